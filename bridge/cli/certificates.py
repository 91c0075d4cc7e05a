"""`certbridge certificates`: look at certificates, correct them, revoke them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli.group import LazyGroup
from bridge.cli.session import Session, actor, pass_session
from bridge.cli.typed import (
    Assignment,
    CertificateId,
    ask_about,
    json_option,
    limit_option,
    reason_option,
    unknown_certificate,
)
from bridge.core import certificate_id
from bridge.core.errors import ConfigError, PermanentError
from bridge.core.models import State

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.store.certificates import CertificateHit, CertificateRow, FileRow
    from bridge.store.chain import Links
    from bridge.store.transaction import Transaction

STATES = ("draft", "issued", "revoked", "erased")


def correctable() -> tuple[str, ...]:
    """Returns what `correct --set` may change; `fields.NAME` besides."""
    from bridge.flow.compare import WORDS

    return tuple(WORDS)


id_argument = click.argument("identifier", type=CertificateId(), metavar="ID")
no_mail_option = click.option("--no-mail", is_flag=True, help="Do not write to the learner.")


@click.group("certificates", cls=LazyGroup)
def certificates() -> None:
    """List, show, correct, replay and revoke certificates. An ID may be typed in any spelling, or be the whole link."""


@certificates.command("list")
@click.option("--source", metavar="NAME", help="Of this source only.")
@click.option("--state", type=click.Choice(STATES), help="In this state only.")
@click.option("--text", metavar="WORDS", help="With these words: a name, an address, a course, an id.")
@click.option("--before", type=CertificateId(), metavar="ID", help="Older than this certificate: the next page.")
@limit_option
@json_option
@pass_session
def list_certificates(
    session: Session,
    source: str | None,
    state: str | None,
    text: str | None,
    before: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List certificates, newest first."""
    from bridge.cli.output import print_json
    from bridge.cli.shown import certificate as shown
    from bridge.store import certificates as stored
    from bridge.store import chain

    wanted = session.source(source) if source else None

    def look(tx: Transaction) -> list[tuple[CertificateHit, Links]]:
        last = _known(tx, before).completion_id if before else None
        hits = stored.search(tx, text=text, state=state, source=wanted, limit=limit, before_completion=last)
        return [(hit, chain.links(tx, hit)) for hit in hits]

    with session.bridge() as bridge:
        linked = bridge.store.read(look)
        if as_json:
            url = bridge.publisher.url
            print_json([shown.as_json(hit, links, url(hit.certificate.id)) for hit, links in linked])
            return
    found = [hit for hit, _ in linked]
    page = session.page()
    if not found:
        page.say("No such certificates." if source or state or text or before else "No certificates yet.")
        return
    page.table(shown.COLUMNS, [shown.line(hit) for hit in found])
    if len(found) == limit:
        oldest = certificate_id.grouped(found[-1].certificate.id)
        page.say(f"Older ones: certbridge certificates list --before {oldest}", style="dim")


@certificates.command("show")
@id_argument
@json_option
@pass_session
def show(session: Session, identifier: str, as_json: bool) -> None:
    """Show one certificate: versions, files, deliveries, history and its link."""
    from bridge.cli.shown.certificate import CertificatePage

    with session.bridge() as bridge:
        seen = CertificatePage.read(bridge.store, identifier, bridge.publisher.url(identifier))
    if as_json:
        seen.print_json()
    else:
        seen.print(session.page())


@certificates.command("pdf")
@id_argument
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), metavar="OUT.pdf")
@click.option("--version", type=click.IntRange(1), help="An older version; else the present one.")
@click.option("--force", is_flag=True, help="Overwrite OUT.pdf.")
@pass_session
def pdf(session: Session, identifier: str, out: Path, version: int | None, force: bool) -> None:
    """Write the PDF of a certificate to OUT.pdf (- for standard output)."""
    if str(out) != "-" and out.exists() and not force:
        raise click.UsageError(f"{out} exists. Choose another name, or overwrite it with --force.")
    with session.bridge() as bridge:
        file = bridge.store.read(lambda tx: _file(tx, identifier, version))
    if str(out) == "-":
        sys.stdout.buffer.write(file.bytes)
        return
    try:
        out.write_bytes(file.bytes)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written ({error.strerror}).") from error
    click.echo(f"{out} written, {len(file.bytes):,} bytes")


def _file(tx: Transaction, identifier: str, version: int | None) -> FileRow:
    from bridge.store import certificates as stored

    row = _known(tx, identifier)
    file = stored.file(tx, identifier, version or row.version, "pdf")
    if file is None:
        versions = ", ".join(str(said.n) for said in stored.versions(tx, identifier))
        raise PermanentError(
            f"Certificate {certificate_id.grouped(identifier)} is {row.state} and has no PDF of version "
            f"{version or row.version}. Versions: {versions}.",
            code="no_pdf",
        )
    return file


@certificates.command("revoke")
@id_argument
@click.option("--yes", is_flag=True, help="Do not ask whether you are sure.")
@no_mail_option
@reason_option
@json_option
@pass_session
def revoke(session: Session, identifier: str, yes: bool, no_mail: bool, reason: str, as_json: bool) -> None:
    """Take a certificate back: page and PDF say so at once, with the reason; this cannot be undone."""
    with session.bridge() as bridge:
        bridge.store.read(lambda tx: _known(tx, identifier))
        if not yes and not as_json:
            shown = certificate_id.grouped(identifier)
            click.confirm(f"Revoke {shown} for ever? The reason is shown to everybody who opens it.", abort=True)
        bridge.amending.revoke(identifier, reason=reason, actor=actor(), mail=not no_mail)
        _say_amended(session, bridge, identifier, as_json=as_json)


@certificates.command("correct")
@id_argument
@click.option(
    "--set",
    "changes",
    type=Assignment(correctable),
    multiple=True,
    required=True,
    metavar="WORD=VALUE",
    help="What it says from now on, such as 'recipient.name=Maria Silva'. May be repeated.",
)
@click.option("--yes", is_flag=True, help="Do not ask about a value that looks damaged, or stands for a missing one.")
@no_mail_option
@reason_option
@json_option
@pass_session
def correct(
    session: Session,
    identifier: str,
    changes: tuple[tuple[str, str], ...],
    yes: bool,
    no_mail: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Make a new version with corrected words; id and link stay, and page and PDF say that it was corrected."""
    with session.bridge() as bridge:
        bridge.store.read(lambda tx: _known(tx, identifier))
        ask_about(dict(changes), yes=yes, as_json=as_json)
        bridge.amending.correct(identifier, dict(changes), reason=reason, actor=actor(), mail=not no_mail)
        _say_amended(session, bridge, identifier, as_json=as_json)


@certificates.command("replay")
@id_argument
@click.option("--mail", is_flag=True, help="Only the mail.")
@click.option("--write-back", is_flag=True, help="Only the write-back.")
@json_option
@pass_session
def replay(session: Session, identifier: str, mail: bool, write_back: bool, as_json: bool) -> None:
    """Have the mail and the write-back once more, with the same Message-ID; a write-back looks whether it is there."""
    every = mail == write_back
    with session.bridge() as bridge:
        bridge.store.read(lambda tx: _known(tx, identifier))
        bridge.amending.resend(identifier, actor=actor(), mail=mail or every, write_back=write_back or every)
        _say_amended(session, bridge, identifier, as_json=as_json)


def _known(tx: Transaction, identifier: str) -> CertificateRow:
    from bridge.store import certificates as stored

    row = stored.get(tx, identifier)
    if row is None:
        raise unknown_certificate(identifier)
    return row


def _say_amended(session: Session, bridge: Bridge, identifier: str, *, as_json: bool) -> None:
    from bridge.cli.follow import wait_for
    from bridge.cli.shown.certificate import CertificatePage
    from bridge.store import outbox

    numbers = [row.id for row in bridge.store.read(lambda tx: outbox.search(tx, certificate_id=identifier))]
    finished = bridge.finish_work(outbox_ids=numbers) or wait_for(bridge, lambda tx: _sent(tx, identifier))
    seen = CertificatePage.read(bridge.store, identifier, bridge.publisher.url(identifier))
    if as_json:
        seen.print_json()
        return
    page = session.page()
    seen.print(page)
    if not finished:
        page.say("The running certbridge sends what follows now.", style="dim")


def _sent(tx: Transaction, identifier: str) -> bool:
    from bridge.store import outbox

    rows = outbox.search(tx, certificate_id=identifier)
    return all(row.state not in (State.READY, State.RUNNING) for row in rows)
