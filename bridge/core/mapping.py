"""Mappings: from a source's event to a decision, by the rules that an admin wrote; no input or output."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bridge.core import document
from bridge.core.conditions import Phrase
from bridge.core.dates import Validity
from bridge.core.declared.layers import layered
from bridge.core.declared.rules import problems as declared_problems
from bridge.core.document import Path
from bridge.core.doubts import NAME_RULE
from bridge.core.errors import ConfigError, MappingError, Mark, Problem
from bridge.core.expressions import Text
from bridge.core.mapping_bundle import MappingBundle, gather
from bridge.core.mapping_decision import OVERRIDES, Decision, Rulebook, decide, waived
from bridge.core.mapping_file import WORDS, MappingFile, schema
from bridge.core.mapping_layers import (
    CourseIndex,
    CourseSpec,
    EventSpec,
    Layer,
    Line,
    Rule,
    course_specs,
    event_specs,
    every_course,
)
from bridge.core.mapping_words import Defaults, TraceLine
from bridge.core.models import SourceEvent
from bridge.core.wording import suggestion

__all__ = [
    "OVERRIDES",
    "CourseListing",
    "Decision",
    "Defaults",
    "Explained",
    "Mapping",
    "MappingBundle",
    "TraceLine",
    "WordListing",
    "compile_mapping",
    "gather",
    "schema",
    "waived",
]

_MOST_STARS = 5


@dataclass(frozen=True)
class CourseListing:
    """One course entry, for `certbridge check`."""

    key: str
    """Empty for the courses that are not listed, where `other_courses` issues them."""
    mark: Mark
    title: str | None
    """As written; None: the source's title."""
    template: str
    template_mark: Mark | None
    fields: frozenset[str]
    """Every custom field that some event type or the entry may give."""


@dataclass(frozen=True)
class Explained:
    """One setting that counts for a course, and where it stands; no mark: our default."""

    setting: str
    value: str
    mark: Mark | None


@dataclass(frozen=True)
class WordListing:
    """One word of an event type, for `certbridge fields`."""

    event_type: str
    word: str
    expression: str
    mark: Mark
    help: str


class Mapping:
    """A compiled mapping; safe to share between threads."""

    def __init__(self, bundle: MappingBundle, connector: str, book: Rulebook) -> None:
        self.name = bundle.files[0][0]
        self.connector = connector
        self.sha256 = bundle.sha256
        self._book = book

    def apply(
        self,
        event: SourceEvent,
        *,
        defaults: Defaults,
        overrides: collections.abc.Mapping[str, str] | None = None,
    ) -> Decision:
        """Decides about an event; pure, and never raises for what the event holds.

        `overrides` are the values a person set when releasing it, by the words of `OVERRIDES` and `fields.NAME`.
        """
        return decide(self._book, event, defaults, overrides or {})

    def event_types(self) -> Sequence[str]:
        """Returns the event types that the mapping has an entry for."""
        return list(self._book.events)

    def acts(self, event_type: str) -> bool:
        """Tells whether the entry for this event type takes back, forgets or merges, instead of completing."""
        entry = self._book.events.get(event_type)
        return entry is not None and entry.act is not None

    def courses(self) -> list[CourseListing]:
        """Returns every course entry, and one with an empty key when courses that are not listed are issued too."""
        book = self._book
        specs = list(book.courses.values())
        return [
            self._listing(spec) for spec in (*specs, *([book.every] if book.other_courses.value == "issue" else []))
        ]

    def templates(self) -> dict[str, Mark]:
        """Returns each template that is named, for a course or for every course, and where."""
        specs = (*self._book.courses.values(), self._book.every)
        named = [line for spec in specs if (line := spec.settings.get("template")) is not None]
        return {str(line.value): line.mark for line in reversed(named)}

    def _listing(self, spec: CourseSpec) -> CourseListing:
        title, template = spec.settings.get("title"), spec.settings.get("template")
        given = [name for event in self._book.events.values() for name in event.fields]
        scored = ["score"] if any("score" in event.words for event in self._book.events.values()) else []
        return CourseListing(
            key=spec.key,
            mark=spec.mark,
            title=_written(title.value) if title else None,
            template=str(template.value) if template else "classic",
            template_mark=template.mark if template else None,
            fields=frozenset((*given, *scored, *spec.fields)),
        )

    def explain(self, course: str) -> list[Explained]:
        """Says what counts for a course (its id, short name, or the key of its entry), and where each line stands."""
        book = self._book
        spec = book.courses.get(course) or book.index.find([course], course)
        if spec is None:
            other = book.other_courses
            return [Explained("other_courses", other.value, other.mark), *_explained(book.every, book)]
        return [Explained("courses", spec.key, spec.mark), *_explained(spec, book)]

    def words(self) -> list[WordListing]:
        """Returns every word and custom field of every event type with the expression it is made from."""
        return [
            WordListing(event.event_type, word, line.value.source, line.mark, WORDS.get(word, "a custom field"))
            for event in self._book.events.values()
            for word, line in (*event.words.items(), *((f"fields.{name}", line) for name, line in event.fields.items()))
        ]


def _explained(spec: CourseSpec, book: Rulebook) -> Iterator[Explained]:
    defaults = {"template": "classic", "again": "reuse", "mail.send": "true"}
    for name, line in spec.settings.items():
        validity = line.value if isinstance(line.value, Validity) else None
        yield Explained(*((validity.setting, validity.text) if validity else (name, _written(line.value))), line.mark)
    for name, default in defaults.items():
        if name not in spec.settings:
            yield Explained(name, default, None)
    for name, field in spec.fields.items():
        yield Explained(f"fields.{name}", field.value.source, field.mark)
    yield Explained("hold_if name", NAME_RULE, None)
    for event in book.events.values():
        for rule in spec.rules.over(event.rules).rules:
            yield Explained(f"{rule.kind} {rule.word} ({event.event_type})", rule.condition, rule.mark)


def _written(value: object) -> str:
    if isinstance(value, Text):
        return value.source
    if isinstance(value, dict):
        return ", ".join(f"{language}: {_written(text)}" for language, text in value.items())
    if isinstance(value, tuple):
        return ", ".join(_written(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


# -- compiling -------------------------------------------------------------------------------------


def compile_mapping(bundle: MappingBundle) -> Mapping:
    """Compiles a mapping. Raises MappingError with every problem and its place."""
    layers, problems = _layers(bundle)
    if problems:
        raise MappingError(problems)
    every = every_course(layers)
    courses = course_specs(layers, every)
    book = Rulebook(event_specs(layers), every, courses, CourseIndex(courses), _other_courses(layers))
    problems = [*_connector_problems(layers), *_event_problems(layers, book), *_course_problems(book)]
    problems += _rule_problems(book)
    if problems:
        raise MappingError(problems)
    return Mapping(bundle, next(layer.connector for layer in layers if layer.connector), book)


def _layers(bundle: MappingBundle) -> tuple[list[Layer], list[Problem]]:
    layers: list[Layer] = []
    problems: list[Problem] = []
    for read in layered([document.read(text, file, error=MappingError) for file, text in bundle.files]):
        try:
            layer = Layer(read, document.validate(read, MappingFile, label=_label, error=MappingError))
            layers.append(layer)
            if layer.file.source is not None:
                problems += declared_problems(read, layer.file.source, ("source",))
        except ConfigError as failure:
            problems += failure.problems
    # What a declaration builds on is read twice: for itself, and below the other.
    return layers, list(dict.fromkeys(problems))


def _label(path: Path) -> str | None:
    if len(path) < 2 or path[0] not in {"courses", "events"}:
        return None
    named = f'{"Course" if path[0] == "courses" else "Event"} "{path[1]}"'
    return ", ".join([named, *([".".join(str(step) for step in path[2:])] if path[2:] else [])])


def _other_courses(layers: Sequence[Layer]) -> Line[Literal["hold", "skip", "issue"]]:
    for layer in layers:
        if layer.file.other_courses is not None:
            return Line(layer.file.other_courses, layer.document.mark(("other_courses",)))
    return Line("hold", layers[0].document.mark(("other_courses",)))


def _connector_problems(layers: Sequence[Layer]) -> Iterator[Problem]:
    named = [layer for layer in layers if layer.connector]
    for layer in layers:
        if layer.file.source is not None and (other := layer.file.connector):
            message = f'"connector: {other}" stands beside source, which makes this file a kind of its own. Remove one.'
            yield layer.document.problem(("connector",), message, key=True)
    if not named:
        yield layers[0].document.problem((), "The mapping extends nothing. Write the first line: extends: NAME.")
    for layer in named[:-1]:
        if layer.file.source is None and layer.connector != named[-1].connector:
            message = f'"connector: {layer.connector}" differs from that of {named[-1].document.file}. Remove it.'
            yield layer.document.problem(("connector",), message)


def _event_problems(layers: Sequence[Layer], book: Rulebook) -> Iterator[Problem]:
    if not book.events and any(layer.connector for layer in layers):
        yield layers[0].document.problem((), "The mapping has no events, so nothing would ever be issued.")
    for event in book.events.values():
        if event.act is None and "name" not in event.words:
            message = f'Event "{event.event_type}" has no name under completion. A certificate needs one.'
            known = [other for other in book.events if other != event.event_type]
            yield Problem(event.mark, message + _event_advice(event.event_type, known))


def _event_advice(event_type: str, known: Sequence[str]) -> str:
    near = suggestion(event_type, known)
    return f" If the event type is misspelt{near}" if near else ""


def _course_problems(book: Rulebook) -> Iterator[Problem]:
    seen: dict[str, CourseSpec] = {}
    for key, spec in book.courses.items():
        if key.count("*") > _MOST_STARS:
            yield Problem(spec.mark, f'Course "{key}" has more than {_MOST_STARS} stars.')
        first = seen.setdefault(key.casefold(), spec)
        if first is not spec:
            yield Problem(
                spec.mark, f'Course "{key}" stands here twice; the first one, "{first.key}", is at {first.mark}.'
            )


def _rule_problems(book: Rulebook) -> Iterator[Problem]:
    parts: list[EventSpec | CourseSpec] = [*book.events.values(), book.every, *book.courses.values()]
    fields = {name for part in parts for name in part.fields}
    found = [rule for part in parts for rule in part.rules.rules]
    for rule in dict.fromkeys(found):
        yield from _rule_problem(rule, fields)
    lines = [spec.settings["mail.cc"] for spec in (book.every, *book.courses.values()) if "mail.cc" in spec.settings]
    for line in dict.fromkeys(lines):
        yield from _cc_problems(line, fields)


def _rule_problem(rule: Rule, fields: collections.abc.Set[str]) -> Iterator[Problem]:
    if not isinstance(rule.test, Phrase):
        return
    known = [*WORDS, *sorted(fields)]
    if rule.word not in known:
        advice = suggestion(rule.word, known) or ". Known: " + ", ".join(known) + "."
        yield Problem(rule.mark, f'{rule.kind} has "{rule.word}: {rule.condition}". There is no such word{advice}')
    elif rule.test.verb == "looks incomplete" and rule.word != "name":
        yield Problem(rule.mark, f'"looks incomplete" is for the name, not for {rule.word}. Use: is empty.')


def _cc_problems(line: Line[object], fields: collections.abc.Set[str]) -> Iterator[Problem]:
    for text in line.value if isinstance(line.value, tuple) else ():
        name = text.source.strip()
        if not text.roots and "@" not in name and name not in fields:
            advice = suggestion(name, sorted(fields)) or ". Write an address, or define the field under fields."
            yield Problem(line.mark, f'mail has "cc: {name}". There is no such field{advice}')
