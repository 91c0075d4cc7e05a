"""Decides about one event: ignored, held for a person, or a completion with everything a certificate is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

from bridge.core.dates import Validity
from bridge.core.doubts import NAME_DOUBTS, NAME_RULE, TEXT_DOUBTS, Doubt, about_field, about_name, about_title
from bridge.core.expressions import Text
from bridge.core.mapping_acts import decide_act
from bridge.core.mapping_layers import CourseIndex, CourseSpec, EventSpec, Line, Rule, RuleSet
from bridge.core.mapping_rules import Judge
from bridge.core.mapping_words import (
    MAX_FIELD,
    MAX_LINE,
    Defaults,
    Fault,
    Gap,
    Holding,
    TraceLine,
    Words,
    label,
    traced,
)
from bridge.core.models import Completion, Course, Held, Ignored, MailChoice, Outcome, Recipient, SourceEvent
from bridge.core.recipients import MAX_NAME, read_address
from bridge.core.text import as_text, one_line, plain_or_quoted, shown, storable
from bridge.core.transforms import pick

OVERRIDES: Final[Mapping[str, str]] = {
    "recipient.name": "the learner's name",
    "recipient.email": "the learner's e-mail address; empty: no mail",
    "course.title": "the title as printed",
    "completed_on": "the date of completion, such as 2026-01-31",
    "mail.send": "no: this learner gets no mail",
    "released": "what a person has decided already (codes of earlier holds; yes: everything); set by releasing",
}
"""The words a person may set when an event is released; `fields.NAME` for custom fields and the score comes on top."""

_NAME_ADVICE: Final = (
    "Correct it at the source and replay the event, or release it with the right name: certbridge events release "
    'NUMBER --set "recipient.name=..." --reason TEXT. If that is how the learner is called, release it without --set.'
)
_TEXT_ADVICE: Final = (
    "Correct it at the source or in the mapping and replay the event, or release it with the right one: certbridge "
    'events release NUMBER --set "{}=..." --reason TEXT. If it is right, release it without --set.'
)
_NO: Final = frozenset({"no", "false", "0", "off"})
_YES: Final = frozenset({"yes", "true", "1", "on"})
_UNCLEAR: Final = ("missing_value", "bad_value", "not_a_number", "not_a_date")
"""Codes of holds because a rule could not be decided."""


def waived(overrides: Mapping[str, str], *codes: str) -> bool:
    """Tells whether a person released this event from a hold with one of these codes; other questions stay open."""
    released = {word.strip().lower() for word in overrides.get("released", "").split(",")}
    return bool(released & _YES) or not released.isdisjoint(codes)


@dataclass(frozen=True)
class Decision:
    """What became of an event, and how."""

    outcome: Outcome
    trace: tuple[TraceLine, ...]


@dataclass(frozen=True)
class Rulebook:
    """Everything a mapping says, ready to decide with."""

    events: Mapping[str, EventSpec]
    every: CourseSpec
    courses: Mapping[str, CourseSpec]
    index: CourseIndex
    other_courses: Line[Literal["hold", "skip", "issue"]]


def decide(book: Rulebook, event: SourceEvent, defaults: Defaults, overrides: Mapping[str, str]) -> Decision:
    """Decides about one event; never raises for what the event holds."""
    if event.skip is not None:
        return Decision(Ignored(code="not_wanted", reason=event.skip), ())
    if event.event_type not in book.events:
        handled = ", ".join(book.events)
        reason = f"The mapping has no entry for {shown(event.event_type)} events; it has one for: {handled}."
        return Decision(Ignored(code="event_type", reason=reason), ())
    if book.events[event.event_type].act is not None:
        return Decision(*decide_act(book.events[event.event_type], event))
    case = _Case(book, event, defaults, overrides)
    outcome = case.outcome()
    return Decision(outcome, tuple(case.words.trace))


class _Stop(Exception):
    """The decision is made."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


class _Case:
    """One event under decision."""

    def __init__(self, book: Rulebook, event: SourceEvent, defaults: Defaults, overrides: Mapping[str, str]) -> None:
        self.book = book
        self.event = event
        self.overrides = overrides
        self.words = Words(event, book.events[event.event_type], defaults, overrides)
        self.listed = self._listed()
        self.course = self.listed or book.every
        self.judge = Judge(self.words, self.course, overrides, released=waived(overrides, *_UNCLEAR))
        self.rules: RuleSet = self.course.rules.over(book.events[event.event_type].rules)

    def outcome(self) -> Outcome:
        try:
            self._check_overrides()
            self._skip()
            self._check_listed()
            self._issue()
            self._look_at_name()
            self._hold()
            return self._completion()
        except _Stop as stop:
            return stop.outcome
        except Holding as holding:
            return Held(code=holding.code, reason=self._who() + str(holding))

    # -- rules -----------------------------------------------------------------------------------

    def _skip(self) -> None:
        for rule in self.rules.of("skip_if"):
            if self.judge.decided(rule, when_unclear=False):
                reason = rule.because or f"{self.judge.finding(rule)}, so it is skipped."
                self._decide(Ignored(code="skip_if", reason=f"{self._who()}{reason} (Rule: {rule.mark})"), rule)

    def _issue(self) -> None:
        for rule in self.rules.of("issue_if"):
            if not self.judge.decided(rule, when_unclear=True):
                reason = rule.because or self.judge.unmet(rule)
                self._decide(Ignored(code="issue_if", reason=f"{self._who()}{reason} (Rule: {rule.mark})"), rule)

    def _hold(self) -> None:
        for rule in self.rules.of("hold_if"):
            answered = (*NAME_DOUBTS, "hold_if") if rule.about_completeness else ("hold_if",)
            if waived(self.overrides, *answered):
                self.judge.note(rule, "released by a person")
            elif self.judge.decided(rule, when_unclear=False):
                reason = rule.because or f"{self.judge.finding(rule)}, so a person has to decide."
                self._decide(Held(code="hold_if", reason=f"{self._who()}{reason} (Rule: {rule.mark})"), rule)

    def _look_at_name(self) -> None:
        """Holds what no certificate shall say; before the rules, of which one may ask the same question again."""
        doubt = about_name(self.words.written["name"]) if isinstance(self.words.find("name"), str) else None
        if doubt is None:
            return
        released = waived(self.overrides, *NAME_DOUBTS)
        note = "released by a person" if released else "decided"
        self.words.trace.append(TraceLine("hold_if name", NAME_RULE, traced(self.words.find("name")), None, note))
        if not released:
            raise _Stop(Held(code=doubt.code, reason=f"{self._who(named=False)}{doubt.finding} {_NAME_ADVICE}"))

    def _look_at(self, doubt: Doubt | None, word: str) -> None:
        if doubt is not None and not waived(self.overrides, *TEXT_DOUBTS):
            raise Holding(doubt.code, f"{doubt.finding} {_TEXT_ADVICE.format(word)}")

    def _decide(self, outcome: Outcome, rule: Rule) -> None:
        self.judge.note(rule, "decided")
        raise _Stop(outcome)

    # -- the course --------------------------------------------------------------------------------

    def _listed(self) -> CourseSpec | None:
        course, short = self.words.find("course"), self.words.find("course short name")
        mapped = [course] if isinstance(course, str) else []
        return self.book.index.find(mapped, short if isinstance(short, str) else None)

    def _check_listed(self) -> None:
        if self.listed is not None:
            note = f'the entry "{self.listed.key}"'
            self.words.trace.append(TraceLine("courses", self.listed.key, "", self.listed.mark, note))
            return
        course = as_text(self.words.need("course"))
        policy, mark = self.book.other_courses.value, self.book.other_courses.mark
        released = waived(self.overrides, "course_not_listed")
        note = "not listed; released by a person" if released else "not listed"
        self.words.trace.append(TraceLine("other_courses", policy, course, mark, note))
        if policy == "issue" or released:
            return
        # As it has to stand in the file: names hold colons and quotes.
        line = f"{plain_or_quoted(course)}: {plain_or_quoted(self._title() or 'Title of the course')}"
        if policy == "skip":
            raise _Stop(Ignored(code="course_not_listed", reason=f"{self._who()}The course is not listed. ({mark})"))
        reason = f'The course is not listed. If it shall have certificates, write "{line}" under courses. ({mark})'
        raise Holding("course_not_listed", reason)

    def _title(self) -> str:
        """Returns the title as printed, or an empty text when there is none (yet)."""
        try:
            return self._printed_title()
        except Holding:
            return ""

    def _printed_title(self) -> str:
        if self.overrides.get("course.title", "").strip():
            return self._one_line(self.overrides["course.title"], "course title")
        line = self.course.settings.get("title")
        if line is None:
            return self._one_line(self.words.need("course title"), "course title")
        text: Any = line.value
        if isinstance(text, dict):
            text = text[pick({language: language for language in text}, self.words.locale)]
        return self._one_line(self.words.work_out(text, "course title", line.mark), "course title")

    def _one_line(self, value: object, word: str, most: int = MAX_LINE) -> str:
        try:
            text = one_line(as_text(value))
        except ValueError as failure:
            raise Holding("bad_value", f"The {label(word)} cannot be used: {failure}") from None
        if len(text) > most:
            raise Holding("too_long", f"The {label(word)} has more than {most} characters: {shown(text)}.")
        if not text:
            raise Gap(word, f"the {label(word)}", "empty", None).holding()
        return text

    # -- the completion ------------------------------------------------------------------------------

    def _completion(self) -> Completion:
        completed_on = self.words.need("completed_on")
        # First the words: where a blank address leaves the learner unknown, its place helps more than the consequence.
        recipient = Recipient(name=self._one_line(self.words.need("name"), "name", MAX_NAME), email=self._email())
        if not self.event.subject:
            raise Holding("missing_value", "The event names no learner: it has no id to know them by.")
        completed_at = self.words.find("completed_at")
        assert isinstance(completed_on, date)
        return Completion(
            subject=self.event.subject,
            keys=self.event.keys,
            recipient=recipient,
            course=self._course(),
            completed_at=completed_at if isinstance(completed_at, datetime) else None,
            completed_on=completed_on,
            zone=self.words.zone,
            expires_on=self._expires_on(completed_on),
            locale=self.words.locale,
            template=str(self._setting("template", "classic")),
            again=self._again(),
            fields=self._fields(),
            mail=self._mail(),
        )

    def _email(self) -> str | None:
        if self.overrides.get("recipient.email") == "":
            return None
        found = self.words.find("email")
        if isinstance(found, Gap) and not found.path:
            # The mapping has no line for it: this source knows no addresses.
            return None
        return self._address(self.words.need("email"))

    def _address(self, value: object) -> str:
        try:
            return read_address(as_text(value))
        except ValueError as failure:
            advice = "Correct it at the source and replay the event, or set it when releasing."
            raise Holding("bad_email", f"{failure} {advice}") from None

    def _course(self) -> Course:
        short, title = self.words.find("course short name"), self._printed_title()
        self._look_at(about_title(title), "course.title")
        return Course(
            id=self._one_line(self.words.need("course"), "course"),
            title=title,
            short_name=short[:MAX_LINE] if isinstance(short, str) else None,
        )

    def _setting(self, name: str, default: object) -> object:
        line = self.course.settings.get(name)
        value = line.value if line else default
        if line is not None:
            named, written = (value.setting, value.text) if isinstance(value, Validity) else (name, traced(value))
            self.words.trace.append(TraceLine(named, written, written, line.mark))
        return value

    def _again(self) -> Literal["reuse", "renew", "hold"]:
        value: Any = self._setting("again", "reuse")
        again: Literal["reuse", "renew", "hold"] = value
        return again

    def _expires_on(self, completed_on: date) -> date | None:
        validity = self._setting("valid", None)
        if not isinstance(validity, Validity):
            return None
        try:
            return validity.expires_on(completed_on)
        except ValueError as failure:
            mark = self.course.settings["valid"].mark
            reason = (
                f"{failure} ({completed_on.isoformat()}): the certificate would be expired from the start. ({mark})"
            )
            raise Holding("already_expired", reason[0].upper() + reason[1:]) from None

    def _fields(self) -> dict[str, str]:
        values: dict[str, object] = {"score": self.words.find("score"), **self.words.fields}
        for name, line in self.course.fields.items():
            if f"fields.{name}" not in self.overrides:
                values[name] = self.words.work_out(line.value, name, line.mark)
                note = "from the course settings"
                self.words.trace.append(
                    TraceLine(f"fields.{name}", line.value.source, traced(values[name]), line.mark, note)
                )
        return {name: self._field_text(name, value) for name, value in values.items() if not isinstance(value, Gap)}

    def _field_text(self, name: str, value: object) -> str:
        if isinstance(value, Fault):
            raise value.holding()
        try:
            text = storable(as_text(value))
        except ValueError as failure:
            raise Holding("bad_value", f"The field {name} cannot be used: {failure}") from None
        if len(text) > MAX_FIELD:
            raise Holding("too_long", f"The field {name} has more than {MAX_FIELD:,} characters.")
        self._look_at(about_field(name, text), f"fields.{name}")
        return text

    def _mail(self) -> MailChoice:
        if not self._setting("mail.send", True) or self.overrides.get("mail.send", "").strip().lower() in _NO:
            return MailChoice(send=False)
        copies: Any = self.course.settings.get("mail.cc")
        found = [address for text in (copies.value if copies else ()) for address in self._copies(text, copies)]
        answer: Any = self.course.settings.get("mail.reply_to")
        replies = self._copies(answer.value, answer, word="mail.reply_to") if answer else []
        return MailChoice(cc=tuple(dict.fromkeys(found)), reply_to=replies[0] if replies else None)

    def _copies(self, text: Text, line: Line[object], word: str = "mail.cc") -> Sequence[str]:
        """Returns the addresses that a text, a list or the name of a field gives; a blank one is left out."""
        plain = text.source.strip()
        if not text.roots and "@" not in plain:
            value = self.judge.field(plain) if plain in self.course.fields else self.words.need(plain)
        else:
            value = self.words.work_out(text, word, line.mark)
        values = value if isinstance(value, list | tuple) else [value]
        addresses = [self._address(item) for item in values if str(item).strip()]
        self.words.trace.append(TraceLine(word, text.source, ", ".join(addresses)[:MAX_LINE], line.mark))
        return addresses

    # -- for people ----------------------------------------------------------------------------------

    def _check_overrides(self) -> None:
        for word in self.overrides:
            if word not in OVERRIDES and not word.startswith("fields."):
                raise Holding(
                    "bad_override", f'"{word[:60]}" cannot be set. Allowed: {", ".join(OVERRIDES)}, fields.NAME.'
                )

    def _who(self, *, named: bool = True) -> str:
        """Returns learner and course as the beginning of a reason; not `named` where the name itself is in doubt."""
        name, email = self.words.find("name") if named else None, self.words.find("email")
        known = next((text for text in (name, email) if isinstance(text, str)), f"learner {self.event.subject or '?'}")
        course = self.words.find("course")
        title = self._title() or f"course {course if isinstance(course, str) else '?'}"
        who = f"{known[:MAX_NAME]}, {title}. "
        return who[0].upper() + who[1:] if not isinstance(name, str) and not isinstance(email, str) else who
