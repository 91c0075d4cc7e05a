"""Judges the rules of a mapping for one event: does the condition hold, can it be told, and how to say so."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.core.conditions import Phrase, Undecidable
from bridge.core.expressions import Expression
from bridge.core.mapping_layers import CourseSpec, Rule
from bridge.core.mapping_words import Fault, Gap, Holding, TraceLine, Words, cause, label, traced
from bridge.core.recipients import incomplete
from bridge.core.text import shown


class Judge:
    """The rules that count for one event; `released`: a person has decided what could not be told."""

    def __init__(self, words: Words, course: CourseSpec, overrides: Mapping[str, str], *, released: bool) -> None:
        self.words = words
        self.course = course
        self.overrides = overrides
        self.released = released

    def decided(self, rule: Rule, *, when_unclear: bool) -> bool:
        """Tells whether the condition holds. Raises Holding when it cannot be told (not for a released event)."""
        try:
            holds = self._holds(rule)
        except Holding:
            # An address that a person emptied means "no mail"; a rule about it has nothing to say.
            settled = self.released or (rule.word == "email" and self.overrides.get("recipient.email") == "")
            self.note(rule, "unclear; a person has decided" if settled else "unclear")
            if not settled:
                raise
            return when_unclear
        if holds == (rule.kind == "issue_if"):
            self.note(rule, "true" if holds else "not true")
        return holds

    def _holds(self, rule: Rule) -> bool:
        if not isinstance(rule.test, Phrase):
            return self._expression_holds(rule, rule.test)
        value = self._looked_at(rule)
        if isinstance(value, Gap):
            if rule.test.verb in {"is empty", "is not empty"}:
                return rule.test.verb == "is empty"
            # Name and address are needed in any case, so the rule is not the point.
            start = "" if rule.word in {"name", "email"} and rule.kind != "issue_if" else _start(rule)
            raise _with_rule(value.holding(start), rule)
        if isinstance(value, Fault):
            raise value.holding()
        if rule.test.verb == "looks incomplete":
            return self._incomplete(value) is not None
        try:
            return rule.test.holds(value, zone=self.words.zone)
        except Undecidable as failure:
            message = f"{_start(rule)} the {label(rule.word)} is {failure}. Usual cause: {failure.cause}."
            raise _with_rule(Holding(failure.code, message), rule) from None
        except ValueError as failure:
            message = f"The {label(rule.word)} cannot be compared: {failure}"
            raise _with_rule(Holding("bad_value", message), rule) from None

    def _looked_at(self, rule: Rule) -> object:
        if rule.word in self.course.fields:
            return self.field(rule.word)
        value = self.words.find(rule.word)
        unknown_time = isinstance(value, Gap) and rule.word == "completed_at"
        return self.words.find("completed_on") if unknown_time else value

    def field(self, name: str) -> object:
        """Returns the value of a field of the course's settings. Raises Holding."""
        line = self.course.fields[name]
        return self.overrides.get(f"fields.{name}") or self.words.work_out(line.value, name, line.mark)

    def _expression_holds(self, rule: Rule, expression: Expression) -> bool:
        value = self.words.attempt(expression, f"rule {rule.kind}", rule.mark)
        if isinstance(value, Gap):
            advice = f"If that is normal, write {value.path} | default(false)."
            message = f"{_start(rule)} {value.path} is {value.state}. Usual cause: {cause('')}. {advice}"
            raise _with_rule(Holding("missing_value", message), rule)
        if isinstance(value, Fault):
            raise value.holding()
        if isinstance(value, bool) or value in (0, 1):
            return bool(value)
        message = f"{_start(rule)} it gives {shown(value)}, not true or false. Compare it: data.status == 'free'."
        raise _with_rule(Holding("bad_value", message), rule)

    def _incomplete(self, name: object) -> str | None:
        email = self.words.find("email")
        return incomplete(str(name), email if isinstance(email, str) else None)

    def finding(self, rule: Rule) -> str:
        """Says what was found, without the full stop."""
        if not isinstance(rule.test, Phrase):
            return f'The expression "{rule.condition}" is true'
        value = self._looked_at(rule)
        if isinstance(value, Gap):
            return f"There is no {label(rule.word)}"
        if rule.test.verb == "looks incomplete":
            return f"The name {shown(value)} looks incomplete: {self._incomplete(value)}"
        return f"The {label(rule.word)} is {shown(value)} ({rule.condition})"

    def unmet(self, rule: Rule) -> str:
        """Says which condition for a certificate is not met."""
        if not isinstance(rule.test, Phrase):
            return f'The expression "{rule.condition}" is not true, so no certificate is issued.'
        value = self._looked_at(rule)
        but = (
            f"there is no {label(rule.word)}" if isinstance(value, Gap) else f"the {label(rule.word)} is {shown(value)}"
        )
        return f"{rule.test.needs}, but {but}."

    def note(self, rule: Rule, note: str) -> None:
        """Adds the rule to the trace."""
        try:
            value = self._looked_at(rule) if isinstance(rule.test, Phrase) else ""
        except Holding:
            value = ""  # The reason to hold says what is wrong with it.
        seen = "" if isinstance(value, Gap | Fault) else traced(value)
        self.words.trace.append(TraceLine(f"{rule.kind} {rule.word}", rule.condition, seen, rule.mark, note))


def _start(rule: Rule) -> str:
    if rule.kind == "issue_if" and isinstance(rule.test, Phrase):
        return f"{rule.test.needs}, but"
    return f'The rule "{rule.title}" cannot be decided:'


def _with_rule(holding: Holding, rule: Rule) -> Holding:
    return Holding(holding.code, f"{holding} (Rule: {rule.mark})")
