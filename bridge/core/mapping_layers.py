"""The layers of a mapping laid over each other: what counts for an event type and for a course, and where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Generic, Literal, TypeVar

from bridge.core.conditions import Phrase
from bridge.core.document import Document, Path
from bridge.core.errors import Mark
from bridge.core.expressions import Expression, Text
from bridge.core.mapping_file import (
    ACTS,
    CourseEntry,
    CourseRules,
    ErasureWords,
    EventMapping,
    MappingFile,
    MergeWords,
    RevocationWords,
    Rules,
)

_V = TypeVar("_V", covariant=True)
Kind = Literal["skip_if", "hold_if", "issue_if"]
KINDS: Final[tuple[Kind, ...]] = ("skip_if", "hold_if", "issue_if")


@dataclass(frozen=True)
class Line(Generic[_V]):
    """A value and the place it was written at."""

    value: _V
    mark: Mark


@dataclass(frozen=True)
class Rule:
    """One line of a `skip_if`, `hold_if` or `issue_if`."""

    kind: Kind
    word: str
    """The word it looks at; "expression" for an expression."""
    test: Phrase | Expression
    because: str
    mark: Mark

    @property
    def condition(self) -> str:
        """The condition as written."""
        return self.test.text if isinstance(self.test, Phrase) else self.test.source

    @property
    def title(self) -> str:
        """The whole line, for messages."""
        return f"{self.kind} {self.word}: {self.condition}"

    @property
    def about_completeness(self) -> bool:
        """Tells whether it asks what is asked about every name, and more strictly."""
        return isinstance(self.test, Phrase) and self.test.verb == "looks incomplete"


@dataclass(frozen=True)
class RuleSet:
    """All rules of a part of the file; `clears` names the kinds for which `none` was written."""

    rules: tuple[Rule, ...] = ()
    clears: frozenset[Kind] = frozenset()

    def of(self, kind: Kind) -> tuple[Rule, ...]:
        """Returns the rules of one kind, in the order they were written."""
        return tuple(rule for rule in self.rules if rule.kind == kind)

    def over(self, base: RuleSet) -> RuleSet:
        """Lays these rules over others: skip_if and hold_if add up, an issue_if line replaces that of the same word."""
        replaced = {rule.word for rule in self.of("issue_if")}
        kept = [
            rule
            for rule in base.rules
            if rule.kind not in self.clears and not (rule.kind == "issue_if" and rule.word in replaced)
        ]
        return RuleSet((*kept, *self.rules), base.clears | self.clears)


@dataclass(frozen=True)
class EventSpec:
    """What the words of an event type are made from, and its rules."""

    event_type: str
    mark: Mark
    words: Mapping[str, Line[Text]]
    fields: Mapping[str, Line[Text]]
    rules: RuleSet
    act: Line[RevocationWords | ErasureWords | MergeWords] | None = None
    """What the event asks for, when it is no completion."""

    def over(self, base: EventSpec) -> EventSpec:
        """Lays this layer over another: single words replace, rules add up."""
        return replace(
            self,
            words={**base.words, **self.words},
            fields={**base.fields, **self.fields},
            rules=self.rules.over(base.rules),
            act=self.act or base.act,
        )


@dataclass(frozen=True)
class CourseSpec:
    """The settings of a course entry, or of all courses."""

    key: str
    mark: Mark
    settings: Mapping[str, Line[object]] = field(default_factory=dict)
    """title, template, valid, again, mail.send, mail.cc, mail.reply_to; as the models of the file typed them."""
    fields: Mapping[str, Line[Text]] = field(default_factory=dict)
    rules: RuleSet = RuleSet()

    def over(self, base: CourseSpec) -> CourseSpec:
        """Lays this entry over another: single lines replace, rules add up."""
        return replace(
            self,
            settings={**base.settings, **self.settings},
            fields={**base.fields, **self.fields},
            rules=self.rules.over(base.rules),
        )


@dataclass(frozen=True)
class Layer:
    """One file of a mapping, typed."""

    document: Document
    file: MappingFile

    @property
    def connector(self) -> str | None:
        """The kind of source that the file is for: named in it, or declared by it under its own name."""
        if self.file.source is not None:
            return self.document.file.rpartition("/")[2].removesuffix(".yaml")
        return self.file.connector


def event_specs(layers: Sequence[Layer]) -> dict[str, EventSpec]:
    """Returns every event type of all layers; the first layer is the topmost."""
    merged: dict[str, EventSpec] = {}
    for layer in reversed(layers):
        for event_type, model in layer.file.events.items():
            spec = _event(layer.document, event_type, model)
            merged[event_type] = spec.over(merged[event_type]) if event_type in merged else spec
    return merged


def every_course(layers: Sequence[Layer]) -> CourseSpec:
    """Returns what goes for all courses."""
    merged = CourseSpec("", layers[0].document.mark(("every_course",)))
    for layer in reversed(layers):
        merged = _course(layer.document, "", ("every_course",), layer.file.every_course).over(merged)
    return merged


def course_specs(layers: Sequence[Layer], every: CourseSpec) -> dict[str, CourseSpec]:
    """Returns every course entry, laid over what goes for all courses."""
    entries: dict[str, CourseSpec] = {}
    for layer in reversed(layers):
        for key, model in layer.file.courses.items():
            spec = _course(layer.document, key, ("courses", key), model)
            entries[key] = spec.over(entries[key]) if key in entries else spec
    return {key: spec.over(every) for key, spec in entries.items()}


def _event(document: Document, event_type: str, model: EventMapping) -> EventSpec:
    at: Path = ("events", event_type)
    inside: Path = (*at, "completion")
    completion, course = model.completion, model.completion.course
    written = {
        "name": (completion.name, (*inside, "name")),
        "email": (completion.email, (*inside, "email")),
        "course": (course.id, (*inside, "course", "id")),
        "course title": (course.title, (*inside, "course", "title")),
        "course short name": (course.short_name, (*inside, "course", "short_name")),
        "completed_at": (completion.completed_at, (*inside, "completed_at")),
        "score": (completion.score, (*inside, "score")),
        "locale": (completion.locale, (*inside, "locale")),
        "zone": (completion.zone, (*inside, "zone")),
    }
    words = {word: Line(text, document.mark(path)) for word, (text, path) in written.items() if text is not None}
    return EventSpec(
        event_type=event_type,
        mark=document.mark(at, key=True),
        words=words,
        fields=_fields(document, (*inside, "fields"), completion.fields),
        rules=_rules(document, at, model),
        act=_act(document, at, model),
    )


def _act(document: Document, at: Path, model: EventMapping) -> Line[RevocationWords | ErasureWords | MergeWords] | None:
    named = next((name for name in ACTS if getattr(model, name) is not None), None)
    return Line(getattr(model, named), document.mark((*at, named))) if named else None


def _course(document: Document, key: str, at: Path, model: CourseRules) -> CourseSpec:
    mail = model.mail
    written: dict[str, tuple[object, Path]] = {
        "title": (model.title if isinstance(model, CourseEntry) else None, (*at, "title")),
        "template": (model.template, (*at, "template")),
        "valid": (
            model.valid_for or model.valid_until,
            (*at, "valid_for" if model.valid_for else "valid_until"),
        ),
        "again": (model.again, (*at, "again")),
        "mail.send": (mail.send, (*at, "mail", "send")),
        "mail.cc": (mail.cc, (*at, "mail", "cc")),
        "mail.reply_to": (mail.reply_to, (*at, "mail", "reply_to")),
    }
    return CourseSpec(
        key=key,
        mark=document.mark(at, key=True),
        settings={
            name: Line(value, document.mark(path)) for name, (value, path) in written.items() if value is not None
        },
        fields=_fields(document, (*at, "fields"), model.fields),
        rules=_rules(document, at, model),
    )


def _fields(document: Document, at: Path, texts: Mapping[str, Text]) -> dict[str, Line[Text]]:
    return {name: Line(text, document.mark((*at, name))) for name, text in texts.items()}


def _rules(document: Document, at: Path, model: Rules) -> RuleSet:
    found: list[Rule] = []
    clears: set[Kind] = set()
    for kind in KINDS:
        block = getattr(model, kind)
        if block is None:
            continue
        lines = list(_lines(document, (*at, kind), kind, model))
        found += lines
        if not lines:
            clears.add(kind)
    return RuleSet(tuple(found), frozenset(clears))


def _lines(document: Document, at: Path, kind: Kind, model: Rules) -> Iterator[Rule]:
    block = {"skip_if": model.skip_if, "hold_if": model.hold_if, "issue_if": model.issue_if}[kind]
    if block is None:
        return
    for word, phrases in block.lines().items():
        for number, phrase in enumerate(phrases):
            yield Rule(kind, word, phrase, block.because, document.mark((*at, word, number)))
    if block.expression is not None:
        yield Rule(kind, "expression", block.expression, block.because, document.mark((*at, "expression")))


# -- which entry is for a course -------------------------------------------------------------------


class CourseIndex:
    """Finds the entry for a course: its id, then its short name, then the pattern with the most fixed characters.

    A key of digits only is an id; short names and patterns ignore case.
    """

    def __init__(self, specs: Mapping[str, CourseSpec]) -> None:
        self._exact = {key: spec for key, spec in specs.items() if "*" not in key}
        self._short = {key.casefold(): spec for key, spec in self._exact.items() if not key.isdigit()}
        patterns = [spec for key, spec in specs.items() if "*" in key]
        self._patterns = [
            (_pattern(spec.key), spec) for spec in sorted(patterns, key=lambda spec: -len(spec.key.replace("*", "")))
        ]

    def find(self, ids: Sequence[str], short_name: str | None) -> CourseSpec | None:
        """Returns the entry for a course, or None when it is not listed."""
        for course_id in ids:
            if course_id in self._exact:
                return self._exact[course_id]
        names = [name for name in (short_name, *ids) if name]
        for name in names:
            if name.casefold() in self._short:
                return self._short[name.casefold()]
        for pattern, spec in self._patterns:
            if any(pattern.fullmatch(name[:300].casefold()) for name in names):
                return spec
        return None


def _pattern(key: str) -> re.Pattern[str]:
    # Atomic groups: several stars cost no backtracking beyond each one's first match.
    first, *rest = (re.escape(part) for part in key.casefold().split("*"))
    *middle, last = rest
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle if part) + ".*" + last, re.DOTALL)
