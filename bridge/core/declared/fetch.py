"""Asks the vendor about an event before anything is issued: for what it leaves out, and whether it is true."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from bridge.core.connector import ApiClient
from bridge.core.declared.asking import Follow
from bridge.core.declared.texts import JsonTree, Scope, Test, Unclear
from bridge.core.errors import HeldError, PermanentError, UnconfirmedError
from bridge.core.models import SourceEvent
from bridge.core.section import Section

_GONE = ("http_404", "http_410")


class Fetch(Section):
    """What is asked about each event; the answer stands in `data.fetched`."""

    events: tuple[str, ...] = Field(
        default=(), max_length=50, description="The event types that it is asked for (default: all)."
    )
    request: Follow = Field(description="What is asked.")
    data: JsonTree | None = Field(
        default=None, description="What of the answer is kept, from answer (default: all of it)."
    )
    expect: Test | None = Field(
        default=None, description="What must be true of the answer: answer.status == 'completed'."
    )
    because: str = Field(
        default="The source does not confirm it (yet).", max_length=300, description="What is said where it is not."
    )

    def concerns(self, event: SourceEvent) -> bool:
        """Tells whether this event is asked about."""
        return not self.events or event.event_type in self.events

    def about(self, event: SourceEvent, settings: dict[str, object], api: ApiClient) -> Any:
        """Returns what the vendor knows.

        Raises UnconfirmedError while it does not confirm the event, HeldError where the event lacks what is needed to
        ask, and what the client raises.
        """
        scope: Scope = {"data": event.data, "event": event.words(), "settings": settings}
        try:
            answer = self.request.send(api, scope)
        except Unclear as unclear:
            raise HeldError(f"The vendor cannot be asked about this event: {unclear}.", code="missing_value") from None
        except PermanentError as error:
            if error.stable_code in _GONE:
                raise UnconfirmedError(f"The vendor has no such record. {self.because}") from error
            raise
        scope = {**scope, "answer": answer}
        self._check(scope)
        try:
            return self.data.value(scope, gaps=True) if self.data is not None else answer
        except Unclear as unclear:
            raise HeldError(f"The vendor's answer cannot be used: {unclear}.", code="bad_value") from None

    def _check(self, scope: Scope) -> None:
        if self.expect is None:
            return
        try:
            confirmed = self.expect.holds(scope)
        except Unclear as unclear:
            raise UnconfirmedError(f"{self.because} ({unclear}.)") from None
        if not confirmed:
            raise UnconfirmedError(self.because)
