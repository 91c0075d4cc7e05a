"""Cuts what a declared source sends or lists into events: one shape of data, and where its words stand in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import Field

from bridge.core.dates import instant, read_iso
from bridge.core.declared.texts import Condition, Scope, Test, Tree, Unclear, Words, line, worked_out
from bridge.core.errors import HeldError, PayloadError
from bridge.core.expressions import Expression, Text
from bridge.core.models import JsonObject, SourceEvent
from bridge.core.section import Section

LONGEST_ID: Final = 300
"""Characters; a longer event id or key is replaced by its hash, a longer learner or course id counts as missing."""
LONGEST_TYPE: Final = 100


class IgnoreRule(Section):
    """Events of no interest."""

    when: Test = Field(description="An expression on data, type and settings: data.kind == 'lesson'")
    because: str = Field(min_length=1, max_length=300, description="The reason, as the history shows it.")


class EventWords(Section):
    """Where the words of an event stand in `data`; the same for webhooks and polls."""

    id: Words | None = Field(
        default=None,
        description="What is equal for each redelivery of the same happening, and for no other. Where it is missing, "
        "the hash of the data counts.",
    )
    subject: Words | None = Field(default=None, description="The learner's stable id.")
    course: Words | None = Field(default=None, description="The course's stable id.")
    keys: tuple[Words, ...] = Field(
        default=(),
        max_length=10,
        description="What stands for this completion wherever it is reported; one with a missing part is left out.",
    )
    occurred_at: Words | None = Field(default=None, description="When it happened: ISO, or made so by a transform.")
    ignore: Annotated[tuple[IgnoreRule, ...], Field(max_length=30)] = Field(
        default=(), description="Events of no interest; one of which a rule cannot tell is held."
    )


class Cutter:
    """Makes events by the words of one declaration."""

    def __init__(
        self, words: EventWords, settings: Mapping[str, object], not_wanted: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.words = words
        self.settings = settings
        self.not_wanted = not_wanted

    def cut(self, data: JsonObject, event_type: str) -> SourceEvent:
        """Returns the event in one element's data; what cannot be told yet is left open."""
        scope = self._scope(data, event_type)
        return SourceEvent(
            event_id=_short(_id(self.words.id, scope)) or f"sha256:{_digest(data)}",
            event_type=event_type,
            data=data,
            skip=self.not_wanted.get(event_type) or self._ignored(scope),
            **self._who_what_when(scope),
        )

    def completed(self, event: SourceEvent, data: JsonObject) -> SourceEvent:
        """Returns the event with what was fetched since. Raises HeldError where a rule to ignore it cannot be told."""
        scope = self._scope(data, event.event_type)
        found = self._who_what_when(scope)
        keys = tuple(dict.fromkeys((*event.keys, *found.pop("keys"))))
        # What the first look found stays: an id that changes with the vendor's answer would be another learner.
        kept = {name: getattr(event, name) or value for name, value in found.items()}
        record = event.model_copy(update={**kept, "keys": keys, "data": data, "skip": self._ignored(scope)})
        self._hold_unclear(scope, record)
        return record

    def _scope(self, data: JsonObject, event_type: str) -> Scope:
        return {"data": data, "type": event_type, "settings": self.settings}

    def _who_what_when(self, scope: Scope) -> JsonObject:
        keys = (_short(_id(text, scope)) for text in self.words.keys)
        return {
            "subject": _named(self.words.subject, scope),
            "course": _named(self.words.course, scope),
            "keys": tuple(dict.fromkeys(key for key in keys if key)),
            "occurred_at": _moment(self.words.occurred_at, scope),
        }

    def _ignored(self, scope: Scope) -> str | None:
        """Returns the reason of the first rule that surely fits."""
        for rule in self.words.ignore:
            try:
                if rule.when.holds(scope):
                    return rule.because
            except Unclear:
                continue
        return None

    def _hold_unclear(self, scope: Scope, record: SourceEvent) -> None:
        for rule in self.words.ignore if record.skip is None else ():
            try:
                rule.when.holds(scope)
            except Unclear as unclear:
                raise HeldError(
                    f'Whether this event is to be ignored ("{rule.because}") cannot be told: {unclear}. If it is not, '
                    "release it; if that is normal, the declaration of this source should say so with default(...).",
                    code="ignore_unclear",
                    record=record,
                ) from None


def elements(value: object, items: Expression | None) -> list[JsonObject]:
    """Returns the elements of a body: the list at `items`, else the body itself. Raises PayloadError."""
    if items is not None:
        try:
            found = worked_out(items, {"body": value})
        except Unclear as unclear:
            raise PayloadError(f"The body holds no events: {unclear}.") from None
        if found == []:
            return []
    else:
        found = value
    listed = found if isinstance(found, list) else [found]
    if found in ({}, [], [{}]):
        raise PayloadError("The body is empty: the sender put no field into it.")
    if not listed or not all(isinstance(one, dict) and one for one in listed):
        raise PayloadError("The body holds something else than events (groups of named fields).")
    return [one for one in listed if isinstance(one, dict)]


def type_of(text: Text, scope: Scope, spellings: Mapping[str, str]) -> str:
    """Returns the event type. Raises PayloadError where there is none."""
    try:
        found = line(text, scope)
    except Unclear as unclear:
        raise PayloadError(f"The body names no type of event: {unclear}.") from None
    if not 0 < len(found) <= LONGEST_TYPE:
        raise PayloadError("The body names no type of event.")
    return spellings.get(found, spellings.get(found.casefold(), found))


def shaped(tree: Tree | None, scope: Scope) -> JsonObject:
    """Returns an element's data: as it came, or as the declaration shapes it; missing parts are null. PayloadError."""
    item = scope["item"]
    try:
        found = tree.value(scope, gaps=True) if tree is not None else item
    except Unclear as unclear:
        raise PayloadError(f"The body cannot be read as declared: {unclear}.") from None
    return found if isinstance(found, dict) else {"value": found}


def marked_as_test(mark: Condition | None, scope: Scope) -> bool:
    """Tells whether the sender marked a record as a sample; a mark that says neither yes nor no counts as one."""
    if mark is None:
        return False
    try:
        return mark.surely(scope)
    except Unclear:
        return True


def _id(text: Text | None, scope: Scope) -> str:
    """Returns the value of a text as an id; empty where a part of it is missing, blank or no id.

    A blank part must not pass: "learner::course" would be the same for everybody.
    """
    if text is None:
        return ""
    try:
        values = [worked_out(part, scope) for part in text.parts if isinstance(part, Expression)]
        alone = len(text.parts) == 1 and any(isinstance(value, float) for value in values)
        if alone or any(value is None or isinstance(value, bool) or str(value).strip() == "" for value in values):
            return ""
        return line(text, scope, longest=20_000)
    except Unclear:
        return ""


def _named(text: Text | None, scope: Scope) -> str | None:
    found = _id(text, scope)
    return found if 0 < len(found) <= LONGEST_ID else None


def _short(found: str) -> str:
    return found if len(found) <= LONGEST_ID else f"sha256:{hashlib.sha256(found.encode()).hexdigest()}"


def _digest(data: JsonObject) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _moment(text: Text | None, scope: Scope) -> datetime | None:
    if text is None:
        return None
    try:
        value = worked_out(text, scope)
        found = value if isinstance(value, date) else read_iso(value) if isinstance(value, str) else None
        if isinstance(found, date) and not isinstance(found, datetime):
            # Only the day is known. At noon it is that day in every time zone where people study.
            found = datetime.combine(found, time(12), UTC)
        return instant(found) if isinstance(found, datetime) and found.tzinfo else None
    except ValueError:
        return None
