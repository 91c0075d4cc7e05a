"""`certbridge past`: completions from before the start line, as a list, and certificates for those a person chooses."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from bridge.cli.choosing import Selection
from bridge.cli.session import Session, actor, pass_session
from bridge.cli.typed import json_option
from bridge.core.errors import BridgeError

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.flow.bring import Candidate
    from bridge.flow.past import Looked

mail_option = click.option("--mail/--no-mail", default=True, help="Write to the learners, or issue without a word.")
expired_option = click.option(
    "--expired", is_flag=True, help="Also certificates that are expired by now; nobody is written to about these."
)


_UNASKED = (
    " Only what it sent by itself was looked at: as it is configured, there is nothing to ask its platform with. From "
    "a table: certbridge issue --csv FILE."
)


@click.command("past")
@click.argument("name", metavar="SOURCE")
@click.option("--since", required=True, metavar="DATE", help="From this day on, such as 2026-01-31.")
@click.option("--issue", "wanted", type=Selection(), metavar="SELECTION", help="Issue these: all, or such as 1,3-5.")
@mail_option
@expired_option
@click.option("--yes", is_flag=True, help="With --issue all: do not ask.")
@json_option
@pass_session
@click.pass_context
def past(
    ctx: click.Context,
    session: Session,
    name: str,
    since: str,
    wanted: frozenset[int] | None,
    mail: bool,
    expired: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """List completions from before the source's start line, or there already at the first contact; issue a selection.

    Dates and expiry count from the completion.
    """
    issue = ctx.get_parameter_source("wanted") is not click.core.ParameterSource.DEFAULT
    source, start = session.source(name), _start(session, since)
    if issue and wanted is not None and (yes or as_json):
        raise click.UsageError(
            "Numbers count in the list as it is now, which may have changed since you saw it. Leave --yes and --json "
            "out, and the rows are shown once more before anything is issued; or write --issue all."
        )
    today = datetime.now(ZoneInfo(session.config.issuer.zone)).date()
    with session.bridge() as bridge:
        looked = _look(bridge, source, start)
        found = looked.candidates
        if not looked.whole:
            _warn(source)
        if not issue:
            asked = bridge.sources[source].connector.polls()
            _print(session, source, found, today, asked=asked, as_json=as_json)
            return
        _issue(session, bridge, source, found, wanted, today, mail=mail, expired=expired, ask=not yes, as_json=as_json)


def _start(session: Session, since: str) -> datetime:
    try:
        day = date.fromisoformat(since.strip())
    except ValueError:
        raise click.UsageError(f"--since needs a date such as 2026-01-31, not {since[:40]!r}.") from None
    return datetime.combine(day, time(), ZoneInfo(session.config.issuer.zone)).astimezone(UTC)


def _look(bridge: Bridge, source: str, since: datetime) -> Looked:
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    from bridge.cli.replaying import stderr_console

    console = stderr_console()
    columns = SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"Asking {source}", total=None)
        return bridge.past.look(bridge.sources[source], since, lambda: progress.advance(task))


def _warn(source: str) -> None:
    from bridge.cli.replaying import stderr_console

    stderr_console().print(
        f"This list is not whole: {source} may make no more requests today, so the platform was not asked about "
        "everything. Raise that number in the settings of the source, and look again.",
        style="yellow",
    )


def _print(session: Session, source: str, found: list[Candidate], today: date, *, asked: bool, as_json: bool) -> None:
    from bridge.cli.choosing import as_json as row
    from bridge.cli.choosing import print_list
    from bridge.cli.output import print_json

    if as_json:
        print_json([row(one, number, today) for number, one in enumerate(found, start=1)])
        return
    page = session.page()
    if not found:
        page.say(f"{source} has no older completion without a certificate in that time.{'' if asked else _UNASKED}")
        return
    print_list(page, found, today)
    page.say()
    page.say("Nothing is issued yet. Choose with --issue all, or --issue 1,3-5.", style="cyan")


def _issue(
    session: Session,
    bridge: Bridge,
    source: str,
    found: list[Candidate],
    wanted: frozenset[int] | None,
    today: date,
    *,
    mail: bool,
    expired: bool,
    ask: bool,
    as_json: bool,
) -> None:
    from bridge.cli.choosing import chosen, print_list
    from bridge.cli.events import tell
    from bridge.cli.replaying import EVENTS, put_back

    rows = chosen(found, wanted, today, expired=expired)
    if not rows:
        raise BridgeError("None of these can be issued; the list (without --issue) says why.")
    if not as_json:
        print_list(session.page(), rows, today)
    if ask and not as_json:
        click.confirm(f"Issue {len(rows):,} certificates{'' if mail else ', without mail'}?", abort=True)
    old = [one for one in rows if one.expired(today)]
    fresh = [one for one in rows if not one.expired(today)]
    numbers = bridge.past.issue(bridge.sources[source], fresh, mail=mail, actor=actor())
    numbers += bridge.past.issue(bridge.sources[source], old, mail=False, actor=actor())
    tell(session, bridge, put_back(bridge, EVENTS, numbers, lambda tx, number: None), as_json=as_json)
