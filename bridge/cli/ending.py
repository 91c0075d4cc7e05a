"""How a command ends: exit code and last words for what was expected, a report to paste for what was not."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import click

from bridge import __version__
from bridge.core.errors import BridgeError, ConfigError
from bridge.core.text import one_line

FINE, EXPECTED, USAGE, UNEXPECTED, INTERRUPTED = 0, 1, 2, 3, 130


def ended(command: Callable[[], object]) -> int:
    """Runs a command and returns the exit code, having said on stderr what went wrong."""
    try:
        result = command()
        # Without standalone mode click returns the code of `ctx.exit()` (and of --help).
        code = result if isinstance(result, int) and not isinstance(result, bool) else FINE
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return USAGE if isinstance(error, click.UsageError) else EXPECTED
    except (KeyboardInterrupt, click.Abort):
        click.echo("certbridge: stopped.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # `certbridge events list | head`: the reader has seen enough. Nothing more can be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXPECTED
    except ConfigError as error:
        _say_problems(error)
        return EXPECTED
    except BridgeError as error:
        _say(f"certbridge: {error}")
        return EXPECTED
    except Exception as error:  # noqa: BLE001 (the last net: whatever it is, the reader gets a report, not a traceback)
        click.echo(report(error), err=True)
        return UNEXPECTED
    return code


def _say_problems(error: ConfigError) -> None:
    count = len(error.problems)
    if count > 1:
        _say(f"certbridge: {count} problems")
    for problem in error.problems:
        _say(f"certbridge: {problem}" if count == 1 else f"  {problem}")


def _say(message: str) -> None:
    first, *rest = message.splitlines() or [""]
    indent = _indent(first)
    # Lines to be copied into a file keep their own indentation.
    more = (f"{indent}  {_indent(line)}{one_line(line)}" for line in rest)
    click.echo("\n".join([indent + one_line(first), *more]), err=True)


def _indent(line: str) -> str:
    return " " * (len(line) - len(line.lstrip(" ")))


def report(error: Exception) -> str:
    """Describes an unexpected error for a bug report: where, never with what data (it may hold names or secrets)."""
    frames = traceback.extract_tb(error.__traceback__)
    here = str(Path(__file__).parents[2]) + os.sep
    places = [f"    {frame.filename.removeprefix(here)}:{frame.lineno} in {frame.name}" for frame in frames[-8:]]
    return "\n".join(
        [
            "certbridge: something went wrong that nobody expected. Nothing you typed is to blame.",
            "Please report it with these lines (they hold no names and no secrets):",
            "",
            f"    certbridge {__version__}, Python {platform.python_version()}, {platform.system()}",
            f"    command: {_command()}",
            f"    error: {_chain(error)}",
            *places,
        ]
    )


def _command() -> str:
    context = click.get_current_context(silent=True)
    return context.command_path if context else " ".join(["certbridge", *_words(sys.argv[1:])])


def _words(arguments: list[str]) -> list[str]:
    # Only the names of commands; everything else may be a learner's name or a token.
    from bridge.cli.commands import certbridge

    return [word for word in arguments[:1] if word in certbridge.entries]


def _chain(error: BaseException | None) -> str:
    kinds: list[str] = []
    while error is not None and len(kinds) < 5:
        kinds.append(type(error).__name__)
        error = error.__cause__ or error.__context__
    return ", from ".join(kinds)
