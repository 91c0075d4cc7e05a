"""Events that are no completion but change one: taken back, to be forgotten, or of records that became one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.core.expressions import Text
from bridge.core.mapping_file import ErasureWords, MergeWords, RevocationWords
from bridge.core.mapping_layers import EventSpec, Line
from bridge.core.mapping_words import Holding, TraceLine, event_scope
from bridge.core.models import Erasure, Held, Merge, Outcome, Revocation, SourceEvent
from bridge.core.sandbox import ExpressionFailure, MissingValue
from bridge.core.text import as_text, one_line

MOST_MERGED = 100


def decide_act(spec: EventSpec, event: SourceEvent) -> tuple[Outcome, tuple[TraceLine, ...]]:
    """Returns what such an event asks for, or Held with the reason why it cannot be told."""
    assert spec.act is not None
    case = _Act(spec.act, event)
    try:
        return case.outcome(), tuple(case.trace)
    except Holding as holding:
        return Held(code=holding.code, reason=f"{event.event_type}: {holding}"), tuple(case.trace)


class _Act:
    def __init__(self, act: Line[RevocationWords | ErasureWords | MergeWords], event: SourceEvent) -> None:
        self.act = act
        self.event = event
        self.trace: list[TraceLine] = []
        self._scope: Mapping[str, object] = {"data": event.data, "event": event_scope(event)}

    def outcome(self) -> Outcome:
        words, event = self.act.value, self.event
        if isinstance(words, RevocationWords):
            return self._revocation(words)
        if isinstance(words, ErasureWords):
            return Erasure(subject=self._subject(), policy=words.policy)
        subject = self._one("into", words.into) if words.into is not None else self._subject()
        merged = tuple(dict.fromkeys(one for one in self._several("merged", words.merged) if one != subject))
        self.trace.append(
            TraceLine("merge", "", f"{', '.join(merged)} into {subject}", self.act.mark, event.event_type)
        )
        return Merge(subject=subject, merged=merged)

    def _revocation(self, words: RevocationWords) -> Revocation:
        event = self.event
        if not event.keys and not (event.subject and event.course):
            raise Holding("missing_value", "The event names neither the completion nor learner and course.")
        reason = self._one("reason", words.reason)
        return Revocation(keys=event.keys, subject=event.subject, course=event.course, reason=reason)

    def _subject(self) -> str:
        if not self.event.subject:
            raise Holding("missing_value", "The event names no learner: it has no id to know them by.")
        return self.event.subject

    def _one(self, word: str, text: Text) -> str:
        found = self._value(word, text)
        try:
            value = one_line(as_text(found))
        except ValueError as failure:
            raise Holding("bad_value", f"The line {word} cannot be used: {failure} ({self.act.mark})") from None
        if not value:
            raise Holding("missing_value", f"The line {word} is empty for this event. ({self.act.mark})")
        self.trace.append(TraceLine(word, text.source, value, self.act.mark))
        return value

    def _several(self, word: str, text: Text) -> Sequence[str]:
        found = self._value(word, text)
        items = found if isinstance(found, list | tuple) else [found]
        if len(items) > MOST_MERGED:
            raise Holding("too_long", f"The line {word} names more than {MOST_MERGED} records. ({self.act.mark})")
        try:
            return [one_line(as_text(item)) for item in items]
        except ValueError as failure:
            raise Holding("bad_value", f"The line {word} cannot be used: {failure} ({self.act.mark})") from None

    def _value(self, word: str, text: Text) -> object:
        try:
            return text.value(self._scope)
        except MissingValue as missing:
            reason = f"The event brought no value for {word}: {missing.path} is {missing.state}. ({self.act.mark})"
            raise Holding("missing_value", reason) from None
        except ExpressionFailure as failure:
            raise Holding("bad_value", f"The line {word} cannot be used: {failure} ({self.act.mark})") from None
