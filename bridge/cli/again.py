"""What `certbridge events replay` does besides: brings certificates up to date, or has their effects once more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import click

from bridge.cli.replaying import EVENTS, Replayed, put_back, states
from bridge.cli.session import actor
from bridge.core import certificate_id
from bridge.core.errors import HeldError, PermanentError, TemporaryError
from bridge.core.models import State
from bridge.flow.amend import certified
from bridge.store import inbox, stuck
from bridge.store.inbox import InboxRow
from bridge.store.transaction import Transaction

if TYPE_CHECKING:
    from bridge.app import Bridge

_LATER: Final = "Event {} is still being worked on, so its certificate was left alone. Try again in a moment."


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The options of one replay."""

    held: bool
    failed: bool
    refetch: bool | None
    correct: bool
    resend: bool
    no_mail: bool
    reason: str | None

    def check(self, numbers: Sequence[int], *, narrowed: bool) -> tuple[State, ...]:
        """Returns which states are meant instead of numbers. Raises a usage error for what does not go together."""
        chosen = states(held=self.held, failed=self.failed)
        if bool(numbers) == bool(chosen):
            raise click.UsageError(
                "Name the events (`certbridge events replay 12 13`), or take all that wait: --held, --failed or both."
            )
        if narrowed and not chosen:
            raise click.UsageError("--source goes with --held and --failed; events with a number need no source.")
        if chosen and (self.correct or self.resend):
            raise click.UsageError("--correct and --resend are for events named by their numbers.")
        if self.correct and self.resend:
            raise click.UsageError("A correction sends everything that changed; --resend is not needed with --correct.")
        if self.correct != bool(self.reason) or (self.no_mail and not self.correct):
            raise click.UsageError("--correct needs --reason; --reason and --no-mail go with --correct only.")
        return chosen

    def replay(self, bridge: Bridge, numbers: Sequence[int]) -> Replayed[InboxRow]:
        """Replays the events and does what the options ask for."""
        done = put_back(bridge, EVENTS, numbers, self._change)
        if not (self.correct or self.resend):
            return done
        notes, refused = list(done.notes), list(done.refused)
        for row in done.rows:
            try:
                notes.append(self._afterwards(bridge, row))
            except (PermanentError, HeldError, TemporaryError) as error:
                refused.append(str(error))
        asked = [row.id for row in done.rows]
        finished = (not asked or bridge.finish_work(inbox_ids=asked)) and done.finished
        rows = bridge.store.read(lambda tx: list(_rows(tx, asked)))
        return replace(done, rows=rows, refused=refused, notes=notes, finished=finished)

    def _change(self, tx: Transaction, number: int) -> object:
        if self.correct or self.resend:
            certified(tx, number)
        return inbox.replay(tx, number, refetch=self.refetch, actor=actor())

    def _afterwards(self, bridge: Bridge, row: InboxRow) -> str:
        if row.state in stuck.MOVING:
            raise PermanentError(_LATER.format(row.id))
        if self.correct:
            return self._corrected(bridge, row.id)
        identifier = bridge.store.read(lambda tx: certified(tx, row.id)[1].id)
        sent = bridge.amending.resend(identifier, actor=actor())
        return f"Event {row.id}: certificate {certificate_id.grouped(identifier)}, sent again: {_listed(sent)}."

    def _corrected(self, bridge: Bridge, number: int) -> str:
        who, why = actor(), self.reason or ""
        made = bridge.amending.correct_by_event(number, reason=why, actor=who, mail=not self.no_mail)
        if made is None:
            return f"Event {number}: its certificate says all of this already."
        return f"Event {number}: certificate {certificate_id.grouped(made.id)} is corrected, version {made.version}."


def _rows(tx: Transaction, numbers: Iterable[int]) -> Iterable[InboxRow]:
    return (row for number in numbers if (row := inbox.get(tx, number)) is not None)


def _listed(numbers: Sequence[int]) -> str:
    return ("delivery " if len(numbers) == 1 else "deliveries ") + ", ".join(str(number) for number in numbers)
