"""Tells what happens to one webhook, step by step, as the rows of the store say it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bridge.app import Bridge
from bridge.core import certificate_id
from bridge.core.models import State
from bridge.flow.plan import MAIL
from bridge.store import certificates, inbox, outbox
from bridge.store.engine import Transaction

PATIENCE = 60.0
"""Seconds for the whole loop; it takes about two."""


@dataclass(frozen=True)
class Told:
    """One step that happened."""

    step: str
    text: str
    seconds: float
    """Since the webhook was posted."""


@dataclass(frozen=True)
class Look:
    """How far one event is, at one moment."""

    row: inbox.InboxRow
    certificate: certificates.CertificateHit | None
    pdf_bytes: int
    deliveries: list[outbox.OutboxRow]


class StoryEndedEarlyError(Exception):
    """A step did not happen; the text says which and why."""


def follow(bridge: Bridge, inbox_id: int, started: float) -> Iterator[Told]:
    """Yields each step as soon as it is in the store. Raises StoryEndedEarlyError."""
    for step, happened in _STEPS:
        while True:
            look = bridge.store.read(lambda tx: _look(tx, inbox_id))
            text = happened(look)
            if text is not None:
                yield Told(step, text, time.monotonic() - started)
                break
            _fail_if_stuck(look, step, started)
            time.sleep(0.005)


def _look(tx: Transaction, inbox_id: int) -> Look:
    row = inbox.get(tx, inbox_id)
    if row is None:
        raise StoryEndedEarlyError(f"event {inbox_id} is not in the store")
    certified = certificates.of_completion(tx, row.completion_id) if row.completion_id is not None else None
    if certified is None:
        return Look(row, None, 0, [])
    file = certificates.file(tx, certified.id, certified.version, "pdf")
    deliveries = outbox.search(tx, certificate_id=certified.id)
    return Look(row, certificates.hit(tx, certified.id), len(file.bytes) if file else 0, deliveries)


def _fail_if_stuck(look: Look, step: str, started: float) -> None:
    ended: list[inbox.InboxRow | outbox.OutboxRow] = [look.row, *look.deliveries]
    stuck = [one for one in ended if one.state in (State.HELD, State.FAILED, State.IGNORED, State.CANCELLED)]
    if stuck:
        raise StoryEndedEarlyError(f"not {step}: {stuck[0].state}: {stuck[0].reason}")
    if time.monotonic() - started > PATIENCE:
        reasons = "; ".join(one.reason for one in ended if one.reason)
        raise StoryEndedEarlyError(f"not {step} within {PATIENCE:.0f} seconds. {reasons}")


# -- the steps -----------------------------------------------------------------------------------


def _stored(look: Look) -> str | None:
    return f"event {look.row.id}, {look.row.event_type}, id {look.row.event_id}"


def _enriched(look: Look) -> str | None:
    if look.row.record is not None:
        user, course = look.row.record.data.get("user", {}), look.row.record.data.get("course", {})
        return f"the platform says: {user.get('fullname')}, {course.get('shortname')}"
    return "nothing to ask: the event carries everything" if look.row.completion is not None else None


def _mapped(look: Look) -> str | None:
    if look.row.completion is None:
        return None
    said = look.row.completion
    return f"{said['recipient']['name']}, {said['course']['title']}, completed on {said['completed_on']}"


def _issued(look: Look) -> str | None:
    if look.certificate is None or look.certificate.certificate.state != "issued":
        return None
    shown = certificate_id.grouped(look.certificate.certificate.id)
    return f"certificate {shown}, PDF of {look.pdf_bytes / 1024:.0f} kB"


def _mailed(look: Look) -> str | None:
    done = [row for row in look.deliveries if row.kind == MAIL and row.state is State.DONE]
    return str((done[0].receipt or {}).get("summary")) if done else None


def _written_back(look: Look) -> str | None:
    rows = [row for row in look.deliveries if row.kind != MAIL]
    if not rows or any(row.state is not State.DONE for row in rows):
        return None
    return "; ".join(str((row.receipt or {}).get("summary")) for row in rows)


_STEPS: tuple[tuple[str, Callable[[Look], str | None]], ...] = (
    ("stored", _stored),
    ("enriched", _enriched),
    ("mapped", _mapped),
    ("issued", _issued),
    ("mailed", _mailed),
    ("written back", _written_back),
)
