from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli_school import School
from click.testing import CliRunner

from bridge.cli.commands import COMMANDS, certbridge
from bridge.cli.ending import ended
from bridge.core.errors import ConfigError, Mark, Problem


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs the installed command in a process of its own."""
    program = "import sys; from bridge.cli import main; sys.argv[0] = 'certbridge'; main()"
    surroundings = {**os.environ, "COLUMNS": "100", **env}
    return subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60, env=surroundings
    )


def test_help_lists_every_command_and_loads_none() -> None:
    result = run("--help")
    assert result.returncode == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout
    program = (
        "import sys; from bridge.cli.commands import certbridge\n"
        "try: certbridge(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'sqlalchemy', 'flask', 'requests', 'xhtml2pdf', 'bridge.app', 'bridge.config'} & set(sys.modules)\n"
        "sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert loaded.returncode == 0, loaded.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_exists_and_explains_itself(name: str) -> None:
    result = CliRunner().invoke(certbridge, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage: certbridge" in result.output or f" {name} " in result.output


def test_the_version_is_the_one_of_the_package() -> None:
    from bridge import __version__

    assert run("--version").stdout == f"certbridge {__version__}\n"


def test_a_misspelt_command_is_answered_with_the_right_one() -> None:
    result = run("evnts")
    assert result.returncode == 2
    assert "There is no command 'evnts'; did you mean events?" in result.stderr


def test_a_misspelt_subcommand_is_answered_with_the_right_one() -> None:
    result = run("events", "relase")
    assert result.returncode == 2
    assert "did you mean release?" in result.stderr


def test_without_a_configuration_it_says_how_to_make_one(tmp_path: Path) -> None:
    result = run("-c", str(tmp_path / "none.yaml"), "events", "list")
    assert result.returncode == 1
    assert result.stdout == ""
    assert f"There is no configuration at {tmp_path}/none.yaml." in result.stderr
    assert "certbridge init DIR" in result.stderr


def test_the_configuration_may_be_named_by_the_environment(school: School) -> None:
    result = run("sources", "list", "--json", CERTBRIDGE_CONFIG=str(school.config))
    assert result.returncode == 0, result.stderr
    assert [one["name"] for one in json.loads(result.stdout)] == ["school"]


def test_json_on_standard_output_is_nothing_but_json(school: School) -> None:
    result = run("-c", str(school.config), "events", "list", "--json")
    assert (result.returncode, json.loads(result.stdout)) == (0, [])


def test_a_terminal_that_cannot_spell_a_name_is_no_reason_to_fail(busy: School) -> None:
    result = run("-c", str(busy.config), "events", "list", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert result.returncode == 0, result.stderr
    assert "?" in result.stdout


def test_a_reader_that_has_seen_enough_is_no_error(busy: School) -> None:
    program = "from bridge.cli import main; main()"
    command = [sys.executable, "-c", program, "-c", str(busy.config), "find", "example.org"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(timeout=60) in (0, 1)
    assert "Traceback" not in said
    assert "unexpected" not in said.lower()


# -- how it ends ------------------------------------------------------------------------------------


def test_an_unexpected_error_ends_with_a_report_that_holds_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ValueError("hunter2 of Maria Silva")

    assert ended(fail) == 3
    said = capsys.readouterr().err
    assert "error: ValueError" in said
    assert "in fail" in said
    assert "report" in said
    assert "hunter2" not in said
    assert "Maria" not in said


def test_every_problem_of_a_configuration_gets_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ConfigError([Problem(Mark("a.yaml", 1, 2), "One."), Problem(Mark("a.yaml", 3, 4), "Two.")])

    assert ended(fail) == 1
    assert capsys.readouterr().err.splitlines() == ["certbridge: 2 problems", "  a.yaml:1:2 One.", "  a.yaml:3:4 Two."]


def test_the_last_words_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ConfigError("Maria\x1b[2J\x9b31m\u202e\x07 is wrong")

    assert ended(fail) == 1
    assert not set(capsys.readouterr().err) & set("\x1b\x9b\u202e\x07")


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (click.Abort(), 130), (click.UsageError("no"), 2), (click.ClickException("no"), 1)],
)
def test_each_way_to_end_has_its_exit_code(error: BaseException, code: int) -> None:
    def fail() -> None:
        raise error

    assert ended(fail) == code


def test_no_line_of_the_list_of_commands_wraps_at_eighty_columns() -> None:
    listed = run("--help", COLUMNS="80").stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)


def test_every_command_a_message_names_exists_with_its_options() -> None:
    root = Path(__file__).parents[2]
    named = set()
    for path in [*(root / "bridge").rglob("*.py"), *(root / "connectors").rglob("*.py")]:
        text = re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
        named |= set(re.findall(r"certbridge (events|outbox|certificates|sources) ([\w-]+)([^`\n.;,()]*)", text))
    assert ("outbox", "replay", " --held") in {(group, word, rest.rstrip('"')) for group, word, rest in named}
    for group, word, rest in named:
        command = certbridge.get_command(click.Context(certbridge), group)
        assert isinstance(command, click.Group)
        meant = command.get_command(click.Context(command), word)
        assert meant is not None, f"certbridge {group} {word}"
        known = {option for one in meant.params for option in (*one.opts, *one.secondary_opts)}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, f"certbridge {group} {word}{rest}"


def test_no_message_about_a_delivery_speaks_of_releasing_it() -> None:
    root = Path(__file__).parents[2]
    for path in (root / "bridge" / "clients").rglob("*.py"):
        assert "then release" not in path.read_text(encoding="utf-8"), path
