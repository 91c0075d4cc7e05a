"""Our words for one event: every one worked out, or known to be missing or useless, with a trace of how."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from bridge.core.dates import civil, instant, read_iso
from bridge.core.dates import zone as read_zone
from bridge.core.errors import Mark
from bridge.core.expressions import Expression, Text
from bridge.core.mapping_layers import EventSpec, Line
from bridge.core.models import JsonObject, SourceEvent
from bridge.core.recipients import clean_name, tidy_address
from bridge.core.sandbox import ExpressionFailure, Missing, MissingValue, State
from bridge.core.text import as_text, kind, one_line, shown, storable

MAX_LINE: Final = 300
"""Characters of a title, an id or another value that is printed on one line."""
MAX_FIELD: Final = 2_000

_LABELS: Final = {"email": "e-mail address", "course": "course id", "completed_on": "date of completion",
                  "completed_at": "time of completion"}  # fmt: skip
_CAUSES: Final = {
    "name": "the learner's profile is not filled in, or the source's account may not read it",
    "email": "the learner's profile has none, or the source's account may not read it",
    "score": "the course is not graded, or the grade came later than the event",
    "course title": "the course was deleted or renamed at the source, or its account may not read it",
    "course": "the event is not about a course",
    "completed_on": "the source sends no date with this event",
    "completed_at": "the source sends no date with this event",
}
_OTHER_CAUSE: Final = "the source leaves it out for some learners, or names it in another way than the mapping does"
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}([_-][A-Za-z0-9]{1,8}){0,3}")

_Reader = Callable[[str], str]
"""Cleans a text; may raise ValueError."""


@dataclass(frozen=True)
class Defaults:
    """What the issuer uses where the source says nothing."""

    zone: str
    """IANA time zone."""
    locale: str


@dataclass(frozen=True)
class TraceLine:
    """How one word or rule came out; the parts of `certbridge try`."""

    word: str
    expression: str
    value: str
    """Empty when there is none; `note` says why."""
    mark: Mark | None
    note: str = ""


class Holding(Exception):
    """The event is held; the message is one or more sentences that follow the learner and the course."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Gap:
    """A word without a value."""

    word: str
    path: str
    state: State
    mark: Mark | None

    def holding(self, start: str = "") -> Holding:
        """Returns the reason to hold; `start` is the beginning of the sentence ("At least 80 is needed, but")."""
        first = (
            f"{start} the event brought no {label(self.word)}" if start else f"The event brought no {label(self.word)}"
        )
        return Holding("missing_value", f"{first}. Usual cause: {cause(self.word)}. ({self.where})")

    @property
    def where(self) -> str:
        """Says what was looked for, and where that is written."""
        if not self.path:
            return f"The mapping has no line for {self.word}" + (f"; {self.mark}" if self.mark else "")
        return f"{self.path} is {self.state}" + (f"; {self.mark}" if self.mark else "")


@dataclass(frozen=True)
class Fault:
    """A word with a value that cannot be used."""

    code: str
    word: str
    message: str
    mark: Mark | None

    def holding(self) -> Holding:
        """Returns the reason to hold."""
        return Holding(
            self.code,
            f"The {label(self.word)} cannot be used: {self.message}" + (f" ({self.mark})" if self.mark else ""),
        )


def label(word: str) -> str:
    """Returns a word as a sentence uses it."""
    return _LABELS.get(word, word)


def cause(word: str) -> str:
    """Returns the usual reason for a missing value."""
    return _CAUSES.get(word, _OTHER_CAUSE)


class Words:
    """The words of one event. `values` holds a value, a Gap or a Fault for each of them and for each custom field."""

    def __init__(self, event: SourceEvent, spec: EventSpec, defaults: Defaults, overrides: Mapping[str, str]) -> None:
        self.event = event
        self.trace: list[TraceLine] = []
        self.values: dict[str, object] = {}
        self.written: dict[str, str] = {}
        """Texts as they came: what shows that a name is damaged goes with the tidying."""
        self.fields: dict[str, object] = {}
        self._spec = spec
        self._defaults = defaults
        self._overrides = overrides
        self._scope: dict[str, object] = {"data": event.data, "event": event_scope(event)}
        self._place()
        self._person_and_course()
        self._completion()
        self._custom_fields()

    @property
    def zone(self) -> str:
        """The IANA time zone in which dates are read."""
        return str(self.values["zone"])

    @property
    def locale(self) -> str:
        """The learner's language, or the issuer's."""
        return str(self.values["locale"])

    def need(self, word: str) -> object:
        """Returns the value of a word or field. Raises Holding."""
        value = self.find(word)
        if isinstance(value, Gap | Fault):
            raise value.holding()
        return value

    def find(self, word: str) -> object:
        """Returns the value of a word or field, or its Gap or Fault."""
        if word in self.values:
            return self.values[word]
        return self.fields.get(word, Gap(word, "", "missing", self._spec.mark))

    def work_out(self, text: Text | Expression, word: str, mark: Mark | None) -> object:
        """Works out a text of the course settings with all words known. Raises Holding."""
        found = self.attempt(text, word, mark)
        if isinstance(found, Gap | Fault):
            raise found.holding()
        return found

    def attempt(self, text: Text | Expression, word: str, mark: Mark | None) -> object:
        """Works out a text of the course settings; returns its value, a Gap or a Fault."""
        return self._evaluated(text, word, mark, self._course_scope(text.roots))

    # -- working them out --------------------------------------------------------------------------

    def _place(self) -> None:
        spec, defaults = self._spec.words, self._defaults
        self.values["zone"] = self._or_default("zone", spec.get("zone"), _zone, defaults.zone)
        self.values["locale"] = self._or_default("locale", spec.get("locale"), _locale, defaults.locale)
        self._scope |= {"zone": self.values["zone"], "locale": self.values["locale"]}

    def _or_default(self, word: str, line: Line[Text] | None, read: _Reader, fallback: str) -> str:
        found = self._line(word, line, read)
        if isinstance(found, str):
            return found
        why = found.where if isinstance(found, Gap) else found.message if isinstance(found, Fault) else ""
        self._note(word, line, fallback, f"the issuer's default; {why}")
        return fallback

    def _person_and_course(self) -> None:
        self._word("name", clean_name, override="recipient.name")
        self._word("email", tidy_address, override="recipient.email")
        for word in ("course", "course title", "course short name"):
            self._word(word, one_line)
        if self.event.course is not None and self.event.course != self.values["course"]:
            self.values["course"] = self.event.course
            self.trace.append(TraceLine("course", "", self.event.course, None, "from the connector"))
        self._word("score", None, override="fields.score")

    def _word(self, word: str, clean: _Reader | None, override: str = "") -> None:
        line = self._spec.words.get(word)
        if override in self._overrides:
            self._set_by_person(word, line, self._overrides[override])
            return
        found = self._line(word, line, clean)
        self.values[word] = found
        self._note(word, line, found)

    def _set_by_person(self, word: str, line: Line[Text] | None, value: str) -> None:
        text = one_line(value)
        self.written[word] = value
        self.values[word] = text if text else Gap(word, f"the value set for {word}", "empty", None)
        self._note(word, line, text, "set by a person")

    def _completion(self) -> None:
        line = self._spec.words.get("completed_at")
        moment = self._line("completed_at", line, None)
        if not isinstance(moment, Gap | Fault):
            moment = _moment(moment, line)
        self.values["completed_at"] = moment
        self._note("completed_at", line, moment)
        self.values["completed_on"] = found = self._completed_on(moment)
        if isinstance(found, date):
            self.trace.append(TraceLine("completed_on", "", found.isoformat(), None, self._date_note(moment)))

    def _completed_on(self, moment: object) -> object:
        if "completed_on" in self._overrides:
            return _override_date(self._overrides["completed_on"])
        if isinstance(moment, Fault):
            return moment
        if isinstance(moment, datetime):
            return civil(moment, self.zone)
        if isinstance(moment, date):
            return moment
        if self.event.occurred_at is not None:
            return _event_day(self.event.occurred_at, self.zone)
        return Gap("completed_on", moment.path, moment.state, moment.mark) if isinstance(moment, Gap) else moment

    def _date_note(self, moment: object) -> str:
        if "completed_on" in self._overrides:
            return "set by a person"
        known = isinstance(moment, date)
        return f"in {self.zone}" if known else f"the day of the event in {self.zone}: no completed_at"

    def _custom_fields(self) -> None:
        for name, line in self._spec.fields.items():
            if f"fields.{name}" not in self._overrides:
                self.fields[name] = found = self._line(name, line, None)
                self._note(f"fields.{name}", line, found)
        for key, value in self._overrides.items():
            name = key.removeprefix("fields.")
            if key != name and name != "score":
                self.fields[name] = storable(value)
                self._note(key, self._spec.fields.get(name), value, "set by a person")

    def _line(self, word: str, line: Line[Text] | None, clean: _Reader | None) -> object:
        if line is None:
            return Gap(word, "", "missing", self._spec.mark)
        found = self._evaluated(line.value, word, line.mark, self._scope)
        if isinstance(found, Gap | Fault) or (clean is None and not isinstance(found, str)):
            return found
        try:
            text = as_text(found)
            if clean:  # a custom field may have the name of a word
                self.written[word] = text
            text = clean(text) if clean else storable(text)
        except ValueError as failure:
            return Fault("bad_value", word, str(failure), line.mark)
        return text if text.strip() else Gap(word, _source(line.value), "empty", line.mark)

    def _evaluated(self, text: Text | Expression, word: str, mark: Mark | None, scope: Mapping[str, object]) -> object:
        try:
            return text.value(scope)
        except MissingValue as missing:
            return Gap(word, missing.path, missing.state, mark)
        except ExpressionFailure as failure:
            return Fault("bad_value", word, str(failure), mark)

    def _course_scope(self, roots: frozenset[str]) -> dict[str, object]:
        scope = dict(self._scope)
        for root in roots - set(scope):
            if root == "course":
                parts = {"id": "course", "title": "course title", "short_name": "course short name"}
                scope[root] = {part: self._in_scope(word, self.values[word]) for part, word in parts.items()}
            elif root == "fields":
                scope[root] = {name: self._in_scope(f"fields.{name}", value) for name, value in self.fields.items()}
            else:
                scope[root] = self._in_scope(root, self.values[root])
        return scope

    def _in_scope(self, word: str, value: object) -> object:
        if isinstance(value, Gap):
            return Missing(value.path or word, value.state)
        return Missing(word, "missing") if isinstance(value, Fault) else value

    def _note(self, word: str, line: Line[Text] | None, found: object, note: str = "") -> None:
        if line is None and not note:
            return
        if isinstance(found, Gap | Fault):
            note = found.where if isinstance(found, Gap) else found.message
            found = ""
        source, mark = (line.value.source, line.mark) if line else ("", None)
        self.trace.append(TraceLine(word, source, traced(found), mark, note))


def traced(value: object) -> str:
    """Returns a value as the trace shows it, at most 300 characters."""
    try:
        return as_text(value)[:MAX_LINE]
    except ValueError:
        return kind(value)


def _source(text: Text) -> str:
    return text.source[:MAX_LINE]


def event_scope(event: SourceEvent) -> JsonObject:
    """Returns what `event` means in an expression."""
    return {**event.words(), "received_at": event.received_at}


def _zone(text: str) -> str:
    return read_zone(text.strip()).key


def _locale(text: str) -> str:
    code = text.strip()
    if not _LANGUAGE.fullmatch(code):
        raise ValueError(f"{shown(code)} is no language code.")
    language, *rest = re.split("[_-]", code)
    return "-".join([language.lower(), *(part.upper() if len(part) == 2 else part.title() for part in rest)])


def _moment(value: object, line: Line[Text] | None) -> object:
    """Returns an instant (UTC) or a date; a Fault when it is neither."""
    mark = line.mark if line else None
    if isinstance(value, date):
        return value
    if not isinstance(value, str):
        advice = "say what it counts: {{ ... | epoch }} or {{ ... | epoch_ms }}."
        return Fault("bad_date", "completed_at", f"{shown(value)} is {kind(value)}; {advice}", mark)
    try:
        return read_iso(value)
    except ValueError as failure:
        return Fault("bad_date", "completed_at", f"{shown(value)}: {failure}", mark)


def _event_day(occurred_at: datetime, zone: str) -> object:
    try:
        return civil(instant(occurred_at), zone)
    except ValueError as failure:
        message = f"there is no completed_at, and the day of the event is no help: {failure}"
        return Fault("bad_date", "completed_on", message, None)


def _override_date(text: str) -> object:
    try:
        found = read_iso(text)
    except ValueError:
        found = None
    if found is None or isinstance(found, datetime):
        message = f"{shown(text)} was set by a person, but a date such as 2026-01-31 is needed."
        return Fault("bad_override", "completed_on", message, None)
    return found
