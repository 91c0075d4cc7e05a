"""`certbridge check`: every mistake in configuration, mappings and templates at once, or the proof of none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from bridge.cli.session import Session, pass_session
from bridge.cli.typed import json_option
from bridge.core.errors import ConfigError

if TYPE_CHECKING:
    from bridge.cli.output import Page
    from bridge.core.mapping import Explained, Mapping


@click.command("check")
@click.option("--explain", "course", metavar="COURSE", help="Say what counts for a course, and where each line stands.")
@click.option("--source", metavar="NAME", help="With --explain: of this source only.")
@json_option
@pass_session
def check(session: Session, course: str | None, source: str | None, as_json: bool) -> None:
    """Find every mistake in configuration, mappings and templates; with --explain, say where a setting comes from."""
    if source is not None and course is None:
        raise click.UsageError("--source goes with --explain COURSE; a check is always for everything.")
    if course is not None:
        _explain(session, course, session.source(source) if source else None, as_json=as_json)
        return
    from bridge.cli.checked import problems as find_problems

    problems = find_problems(session.path, os.environ)
    if as_json:
        _print_json(session, [str(problem) for problem in problems])
    elif not problems:
        _say_fine(session)
    if problems:
        raise ConfigError(problems)


def _print_json(session: Session, problems: list[str]) -> None:
    from bridge.cli.checked import checked
    from bridge.cli.output import print_json

    found = [] if problems else checked(session.config)
    sources = [
        {
            "name": one.name,
            "connector": one.connector,
            "mode": one.mode,
            "mapping": one.mapping,
            "courses": [course.key for course in one.courses],
            "warnings": list(one.warnings),
            "before_live": list(one.before_live),
        }
        for one in found
    ]
    print_json({"problems": problems, "sources": sources})


def _say_fine(session: Session) -> None:
    from rich.text import Text

    from bridge.cli.checked import checked
    from bridge.cli.output import Column

    page = session.page()
    found = checked(session.config)
    page.say(Text.assemble(("No mistakes", "bold green"), f" in {session.path}"))
    if not found:
        page.say("It names no source yet. Add one under `sources:`; config.example.yaml shows how.", style="yellow")
        return
    page.say()
    columns = [Column("Source"), Column("Connector"), Column("Mode"), Column("Mapping"), Column("Courses", "right")]
    page.table(columns, [[one.name, one.connector, one.mode, one.mapping, str(one.listed)] for one in found])
    warnings = [warning for one in found for warning in one.warnings]
    _say_list(page, "Worth a look", list(dict.fromkeys(warnings)))
    _say_list(
        page, "Before a source can go live", list(dict.fromkeys(line for one in found for line in one.before_live))
    )


def _say_list(page: Page, title: str, lines: list[str]) -> None:
    if lines:
        page.heading(title)
        page.facts([("•", line) for line in lines], indent=2)


# -- where a setting comes from ------------------------------------------------------------------


def _explain(session: Session, course: str, source: str | None, *, as_json: bool) -> None:
    from bridge.cli.checked import compiled
    from bridge.cli.output import print_json

    config = session.config
    mappings = {name: compiled(config, name) for name in config.sources if source in (None, name)}
    explained = {name: (mapping, mapping.explain(course)) for name, mapping in mappings.items()}
    if as_json:
        print_json({name: [_explained_json(one) for one in lines] for name, (_, lines) in explained.items()})
        return
    page = session.page()
    if not explained:
        page.say(f"{session.path} names no source yet.")
    for number, (name, (mapping, lines)) in enumerate(explained.items()):
        if number:
            page.say()
        _print_explained(page, name, course, mapping, lines)


def _explained_json(one: Explained) -> dict[str, str | None]:
    return {"setting": one.setting, "value": one.value, "where": str(one.mark) if one.mark else None}


def _print_explained(page: Page, name: str, course: str, mapping: Mapping, lines: list[Explained]) -> None:
    from bridge.cli.output import Column, plain

    listed = bool(lines) and lines[0].setting == "courses"
    page.title(f"{name}: course {plain(course)}, by {mapping.name}")
    if not listed:
        page.say(
            "It is not listed there, so what goes for all courses counts, and other_courses decides.", style="yellow"
        )
    columns = [Column("Setting"), Column("Value"), Column("Where", style="dim")]
    page.table(columns, [[plain(one.setting), one.value, str(one.mark) if one.mark else "default"] for one in lines])
