"""Click groups that load their commands when they are called, suggest what was meant, and end as the contract says."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import click

from bridge.cli.ending import ended
from bridge.core.wording import suggestion


class Entry(NamedTuple):
    """One command before it is loaded: `module:attribute`, and its line in the help."""

    where: str
    help: str


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    def __init__(self, *args: Any, entries: Mapping[str, Entry] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entries = dict(entries or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names in the order of a first day: set up, understand, look, mend."""
        return [*self.entries, *(name for name in super().list_commands(ctx) if name not in self.entries)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command. Returns None for a name that does not exist."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = entry.where.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.where} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them, so that `--help` is quick."""
        lines = [(name, self._help_line(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(lines)

    def _help_line(self, ctx: click.Context, name: str) -> str:
        if name in self.entries:
            return self.entries[name].help
        command = super().get_command(ctx, name)
        return command.get_short_help_str(300) if command else ""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command that was typed; a wrong name is answered with the nearest right one."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            near = suggestion(args[0], self.list_commands(ctx))
            ctx.fail(f"There is no command {args[0]!r}{near or '.'}")
        return super().resolve_command(ctx, args)


class RootGroup(LazyGroup):
    """The outermost group: every way to end passes through `ended`."""

    def main(  # type: ignore[override]  # click overloads it by standalone_mode; this one never returns
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Runs the command line and ends the process."""
        extra.pop("standalone_mode", None)
        # A name that the terminal cannot spell is shown with question marks; it never ends a command.
        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="replace")
        sys.exit(ended(lambda: super(RootGroup, self).main(args, prog_name, standalone_mode=False, **extra)))
