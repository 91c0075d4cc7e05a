"""`certbridge sources go-live`: what test mode caught, whether everything is ready, and the switch to live."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from bridge.cli.session import Session, actor, pass_session
from bridge.core.connector import Finding
from bridge.core.errors import BridgeError, ConfigError
from bridge.core.models import State

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.cli.output import Page
    from bridge.core.document import Document
    from bridge.store.certificates import CertificateHit
    from bridge.store.transaction import Transaction

_MOST: Final = 1_000
"""Of what test mode caught; newest first."""


@click.command("go-live")
@click.argument("name", metavar="SOURCE")
@click.option("--from-now", is_flag=True, help="Move the start line to now: what test mode caught gets nothing real.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def go_live(session: Session, name: str, from_now: bool, yes: bool) -> None:
    """List what test mode caught, check mail, addresses and permissions, and write `mode: live`."""
    from bridge.cli.source_vendor import print_findings

    source = session.source(name)
    page = session.page()
    block = session.config.sources[source]
    if block.mode == "live":
        page.say(f"{source} is live already.")
        return
    if from_now and block.since is not None:
        raise ConfigError(
            f"since: of {source} is set in {session.path}, and at the next start it would move the start line back to "
            f"{page.when(block.since)}. Remove that line, and try again."
        )
    with session.bridge() as bridge:
        caught = _caught(bridge, source)
        _print_caught(page, source, caught, _stuck(bridge, source))
        page.heading("Ready?")
        findings = list(_findings(bridge, source))
        print_findings(page, findings)
        if any(one.level == "error" for one in findings):
            raise BridgeError(f"{source} stays in test mode. Mend what is marked, and try again.")
        _say_consequence(page, bridge, source, len(caught), from_now=from_now)
        if not yes:
            click.confirm(f"Write `mode: live` for {source} into {session.path}?", abort=True)
        # The start line first: a source that is live must never begin at the old one.
        _note(bridge, source, from_now=from_now)
        _write(session.path, source)
    page.say(f"{source} is live from the next start on: restart certbridge serve.", style="green")


def _caught(bridge: Bridge, source: str) -> list[CertificateHit]:
    from bridge.store import certificates

    found = bridge.store.read(lambda tx: certificates.search(tx, source=source, limit=_MOST))
    return [hit for hit in found if hit.certificate.test and hit.certificate.state == "issued"]


def _stuck(bridge: Bridge, source: str) -> dict[State, int]:
    """Returns how many events of test mode came no further, by state."""
    from bridge.store import inbox

    def count(tx: Transaction, state: State) -> int:
        return sum(row.test for row in inbox.search(tx, source=source, state=state, limit=_MOST))

    states = (State.HELD, State.FAILED)
    return bridge.store.read(lambda tx: {state: number for state in states if (number := count(tx, state))})


def _print_caught(page: Page, source: str, caught: list[CertificateHit], stuck: dict[State, int]) -> None:
    from bridge.cli.output import Column

    page.title(f"What test mode caught of {source}")
    if stuck:
        named = " and ".join(f"{number:,} {state.value}" for state, number in stuck.items())
        page.say(
            f"{named}: these events led to no certificate, and the next ones like them will not either. The reasons: "
            f"certbridge events list --source {source}",
            style="yellow",
        )
    if not caught:
        nothing = "No certificate yet." if stuck else "Nothing yet."
        page.say(f"{nothing} Complete a course as a test learner first, and look at the certificate.", style="yellow")
        return
    columns = [Column("Learner"), Column("Course"), Column("Completed", fixed=True)]
    rows = [(hit.version.data, hit.completion) for hit in caught]
    page.table(columns, [[data.recipient.name, data.course.title, str(done.completed_on)] for data, done in rows])


def _findings(bridge: Bridge, source: str) -> Iterator[Finding]:
    from bridge.cli.checked import checked
    from bridge.config import live_refusals

    block = bridge.config.sources[source].model_copy(update={"mode": "live"})
    refusals = live_refusals(bridge.config, block)
    yield from (Finding("error", reason) for reason in refusals)
    if not refusals:
        yield Finding("ok", "Mail is set up, the public address is https, and the issuer has a name.")
    for one in checked(bridge.config):
        if one.name == source:
            yield from (Finding("warning", warning) for warning in one.warnings)
    try:
        yield from bridge.sources[source].connector.diagnose(bridge.api(source))
    except BridgeError as error:
        yield Finding("error", str(error))


def _say_consequence(page: Page, bridge: Bridge, source: str, caught: int, *, from_now: bool) -> None:
    from bridge.store import sources

    row = bridge.store.read(lambda tx: sources.get(tx, source))
    line = "now" if from_now or row is None else page.when(row.since)
    page.heading("What happens then")
    page.say(f"Completions from {line} on get real certificates, with mail and write-back.")
    if caught and not from_now and bridge.sources[source].connector.polls():
        page.say(
            f"The first poll finds those of the {caught} above again that are not older, and issues them for real "
            "(where the platform tells the time of a completion; else `certbridge past` does). With --from-now it does "
            "not.",
            style="yellow",
        )
    page.say(f"Older ones stay what they are: certbridge past {source} --since DATE")


def _write(path: Path, source: str) -> None:
    """Changes the one word in the file, and nothing else. Raises ConfigError when it cannot be found there."""
    from bridge.config.files import replace_file
    from bridge.core import document

    raw = path.read_bytes()
    read = document.read(raw, path.name)
    text = _live(raw.decode("utf-8"), read, source)
    wanted = copy.deepcopy(read.data)
    wanted["sources"][source]["mode"] = "live"  # type: ignore[index]
    try:
        safe = text is not None and document.read(text, path.name).data == wanted
    except ConfigError:
        safe = False
    if text is None or not safe:
        mark = read.mark(("sources", source, "mode"))
        raise ConfigError(f"{mark} Write mode: live for {source} by hand; certbridge cannot change this line safely.")
    try:
        replace_file(path, text.encode("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}). Write mode: live by hand.") from error


def _live(text: str, read: Document, source: str) -> str | None:
    """Returns the text with the source live; None where the place is not clear."""
    lines = text.splitlines(keepends=True)
    if read.at(("sources", source, "mode")) is not None:
        mark = read.mark(("sources", source, "mode"))
        line = lines[mark.line - 1]
        head, tail = line[: mark.column - 1], line[mark.column - 1 :]
        lines[mark.line - 1] = head + tail.replace("test", "live", 1)
        return "".join(lines)
    mark = read.mark(("sources", source, "connector"), key=True)
    line = lines[mark.line - 1]
    indent, end = line[: mark.column - 1], "\r\n" if line.endswith("\r\n") else "\n"
    if indent.strip():
        return None
    lines[mark.line - 1] = line.rstrip("\r\n") + end
    lines.insert(mark.line, f"{indent}mode: live{end}")
    return "".join(lines)


def _note(bridge: Bridge, source: str, *, from_now: bool) -> None:
    from bridge.store import history, sources

    def write(tx: Transaction) -> None:
        if from_now:
            sources.start_line(tx, source, tx.now)
        data = {"source": source, "from_now": from_now}
        history.add(tx, "source.went_live", actor=actor(), data=data)

    bridge.store.transact(write)
