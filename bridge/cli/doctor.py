"""`certbridge doctor`: tries everything the bridge needs, source by source, and says what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from bridge.cli.session import Session, pass_session
from bridge.cli.typed import json_option
from bridge.core.connector import Finding
from bridge.core.errors import BridgeError

if TYPE_CHECKING:
    from bridge.app import Bridge


@click.command("doctor")
@click.argument("names", nargs=-1, metavar="[SOURCE]...")
@json_option
@pass_session
def doctor(session: Session, names: tuple[str, ...], as_json: bool) -> None:
    """Try everything certbridge needs: database, mail, addresses, and at each platform keys, rights and places."""
    from bridge.cli.output import print_json
    from bridge.cli.source_vendor import print_findings

    chosen = [session.source(name) for name in names]
    with session.bridge() as bridge:
        found = {} if chosen else {"certbridge": list(_house(bridge))}
        found |= {name: list(_source(bridge, name)) for name in chosen or bridge.sources}
    if as_json:
        print_json(
            {name: [{"level": one.level, "message": one.message} for one in said] for name, said in found.items()}
        )
    else:
        page = session.page()
        for name, said in found.items():
            page.title(name)
            print_findings(page, said)
    errors = sum(one.level == "error" for said in found.values() for one in said)
    if errors:
        raise BridgeError(f"{errors} {'thing is' if errors == 1 else 'things are'} wrong; each line says what to do.")


def _house(bridge: Bridge) -> Iterator[Finding]:
    from bridge.config.forms import is_public_https

    problems = bridge.store.problems()
    yield from (Finding("error", problem) for problem in problems)
    yield from (Finding("warning", warning) for warning in bridge.store.warnings())
    if not problems:
        yield Finding("ok", "The database can be read and written.")
    if bridge.config.mail.mode == "off":
        yield Finding("warning", "Mail is off: certificates are made, and their mails are held until it is set up.")
    else:
        yield Finding("ok", f"Mail leaves by {bridge.config.mail.mode}.")
    public = bridge.config.public_url
    if is_public_https(public):
        yield Finding("ok", f"{public} is a public https address; QR codes carry it.")
    else:
        yield Finding("warning", f"{public} is no public https address: no source can go live, no platform can send.")
    if not bridge.daemon_running:
        yield Finding("warning", "certbridge serve does not run: nothing is received or polled now.")


def _source(bridge: Bridge, name: str) -> Iterator[Finding]:
    from bridge.cli.shown.source import look

    (shown,) = [one for one in look(bridge) if one.name == name]
    if shown.mapping_problem:
        yield Finding("error", f"The mapping in the file is not in force: {shown.mapping_problem}")
    if shown.row and shown.row.paused_until:
        yield Finding("warning", f"Paused until {shown.row.paused_until:%Y-%m-%d %H:%M} UTC: {shown.row.pause_reason}")
    if shown.silent_since:
        said = f"Nothing was heard since {shown.silent_since:%Y-%m-%d %H:%M} UTC, longer than quiet_after allows."
        yield Finding("error", f"{said} Look at the webhook at the platform, and try: certbridge poll {name}")
    if shown.refusal:
        when = f"{shown.refusal.received_at:%Y-%m-%d %H:%M} UTC"
        yield Finding(
            "warning", f"The last request, {when}, was refused (HTTP {shown.refusal.status}): {shown.refusal.reason}"
        )
    if shown.poll and shown.poll.error:
        yield Finding("error", f"The last poll failed: {shown.poll.error}")
    for state in ("held", "failed"):
        if shown.counts.get(state):
            advice = f"certbridge events list --source {name} --state {state}"
            many = "1 event is" if shown.counts[state] == 1 else f"{shown.counts[state]} events are"
            yield Finding("warning", f"{many} {state}: {advice}")
    try:
        yield from shown.connector.diagnose(bridge.api(name))
    except BridgeError as error:
        yield Finding("error", str(error))
