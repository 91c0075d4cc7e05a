"""`certbridge issue --csv`: certificates from a table that an admin hands over, after a report row by row."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import click

from bridge.cli.past import expired_option, mail_option
from bridge.cli.session import Session, actor, pass_session
from bridge.cli.typed import json_option
from bridge.core.errors import ConfigError
from bridge.core.models import Held
from bridge.core.wording import suggestion

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.flow.bring import Candidate
    from bridge.store.transaction import Transaction

LARGEST: Final = 50 * 1024 * 1024
"""Bytes of a table."""


@click.command("issue")
@click.option(
    "--csv", "file", required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE"
)
@click.option("--map", "mapping", required=True, metavar="MAPPING", help="The source for tables, or its mapping file.")
@click.option("--dry-run", is_flag=True, help="Only the report.")
@mail_option
@expired_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_session
def issue(
    session: Session,
    file: Path,
    mapping: str,
    dry_run: bool,
    mail: bool,
    expired: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Report what each row of a table would come to, then issue; the same file again issues nothing new."""
    from bridge.cli.choosing import chosen

    content, today = _content(file), datetime.now(ZoneInfo(session.config.issuer.zone)).date()
    with session.bridge() as bridge:
        source = _source(bridge, mapping)
        found = bridge.table.look(bridge.sources[source], content)
        rows = chosen(found, None, today, expired=expired)
        if dry_run or not as_json:
            _report(session, found, rows, today, as_json=as_json)
        if dry_run:
            return
        if rows and not (yes or as_json):
            count = f"{len(rows):,} {'certificate' if len(rows) == 1 else 'certificates'}"
            click.confirm(f"Issue {count}{'' if mail else ', without mail'}?", abort=True)
        _issue(session, bridge, source, content, rows, today, mail=mail, as_json=as_json)


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}).") from error
    if len(content) > LARGEST:
        raise ConfigError(f"{file} is larger than {LARGEST >> 20} MiB. Split it.")
    return content


def _source(bridge: Bridge, mapping: str) -> str:
    """Returns the source for tables with this name or mapping file. Raises ConfigError with what to add."""
    able = [name for name, source in bridge.sources.items() if source.connector.reads_tables]
    for name in able:
        file = bridge.config.mapping_path(name)
        if mapping == name or (file is not None and _is(mapping, file, bridge.config.mappings.parent)):
            return name
    if mapping in bridge.sources:
        kind = bridge.sources[mapping].connector.title
        raise ConfigError(
            f"The source {mapping} ({kind}) takes no tables. {_sources_for_tables(bridge, able, mapping)}"
        )
    files = [file.name for name in able if (file := bridge.config.mapping_path(name)) is not None]
    near = suggestion(mapping, [*able, *files])
    raise ConfigError(f"No source uses {mapping}{near or '.'} {_sources_for_tables(bridge, able, mapping)}")


def _is(written: str, file: Path, folder: Path) -> bool:
    """Tells whether this names that mapping file: by its name, or by a path from here or from the configuration."""
    if Path(written).name == written:
        return written in (file.name, file.stem)
    return file.resolve() in (Path(written).resolve(), (folder / written).resolve())


def _sources_for_tables(bridge: Bridge, able: list[str], mapping: str) -> str:
    known = f"--map names one of the sources for tables ({', '.join(able)}), or its mapping file. " if able else ""
    from bridge.config import discover_connectors

    # A configuration without such a source knows no such connector; look at all that are installed.
    kinds = sorted(name for name, connector in discover_connectors().items() if connector.reads_tables)
    named = Path(mapping).stem.lower() if mapping not in bridge.sources else "lists"
    stem = re.sub(r"[^a-z0-9]+", "-", named).strip("-")[:40] or "lists"
    return (
        f"{known or 'There is no source for tables yet. '}Add one to the configuration under sources:, and its mapping "
        f"file:\n  {stem}:\n    connector: {kinds[0] if kinds else '...'}\n    mapping: {stem}.yaml"
    )


def _report(session: Session, found: list[Candidate], rows: list[Candidate], today: date, *, as_json: bool) -> None:
    from bridge.cli.choosing import as_json as row
    from bridge.cli.choosing import print_list
    from bridge.cli.output import print_json

    if as_json:
        print_json([row(one, number, today) for number, one in enumerate(found, start=1)])
        return
    page = session.page()
    print_list(page, found, today)
    page.say()
    page.say(f"{len(found):,} {'row' if len(found) == 1 else 'rows'}, {len(rows):,} to be issued.")
    if any(isinstance(one.outcome, Held) for one in found):
        page.say("Held rows are not kept: mend the table or the mapping, and run the same command again.")


def _issue(
    session: Session,
    bridge: Bridge,
    source: str,
    content: bytes,
    rows: list[Candidate],
    today: date,
    *,
    mail: bool,
    as_json: bool,
) -> None:
    from bridge.cli.events import tell
    from bridge.cli.replaying import EVENTS, put_back

    fresh = [one for one in rows if not one.expired(today)]
    old = [one for one in rows if one.expired(today)]
    puts = bridge.table.issue(bridge.sources[source], content, fresh, mail=mail)
    quiet = bridge.table.issue(bridge.sources[source], content, old, mail=False)
    told = {put.inbox_id for put in puts} if mail else frozenset()
    numbers = list(dict.fromkeys(put.inbox_id for put in (*puts, *quiet)))
    done = put_back(bridge, EVENTS, numbers, lambda tx, number: _again(tx, number, mail=number in told))
    tell(session, bridge, done, as_json=as_json, nothing="Nothing is left to issue; the report says why.")


def _again(tx: Transaction, number: int, *, mail: bool) -> None:
    """Lets a row that came before and stood still have another try: file or mapping may be mended by now."""
    from bridge.flow.bring import NO_MAIL
    from bridge.store import inbox, stuck

    row = inbox.get(tx, number)
    if row is not None and row.state in stuck.STATES:
        kept = {word: value for word, value in row.overrides.items() if word not in NO_MAIL}
        inbox.replay(tx, number, actor=actor(), overrides=kept if mail else {**kept, **NO_MAIL})
