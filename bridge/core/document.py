"""YAML text that keeps its positions: every scalar stays text, and what surprises people is refused with advice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from bridge.core.errors import ConfigError, Mark, Problem
from bridge.core.wording import Complaint, child, complaints, sounds_secret

MAX_BYTES: Final = 1 << 20
MAX_NODES: Final = 20_000
MAX_DEPTH: Final = 30

Path = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_COMMENT_OR_TEXT: Final = re.compile(r"[ \t]+(#[^\s#][^\r\n]*)")
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Document:
    """One file: dictionaries, lists, text and None, and where each of them was written."""

    file: str
    data: object
    """`dict[str, ...]`, `list`, `str` or None; never a number, a boolean or a date."""
    values: dict[Path, Mark] = field(repr=False)
    keys: dict[Path, Mark] = field(repr=False)
    written: object = field(default=None, repr=False)
    """The data as it stands in the file; differs from `data` once variables were filled in. Only this is ever shown."""

    def mark(self, path: Sequence[str | int], *, key: bool = False) -> Mark:
        """Returns the place of the value at `path` (or of its key), or of the nearest enclosing one that exists."""
        steps = tuple(path)
        while steps:
            found = self.keys.get(steps) if key else None
            found = found or self.values.get(steps)
            if found:
                return found
            steps = steps[:-1]
        return self.values.get((), Mark(self.file, 1, 1))

    def problem(self, path: Sequence[str | int], message: str, *, key: bool = False) -> Problem:
        """Returns a problem at the place of `path`."""
        return Problem(self.mark(path, key=key), message)

    def at(self, path: Sequence[str | int]) -> object:
        """Returns the value at `path`, or None when there is none."""
        return _follow(self.data, path)

    def as_written(self, path: Sequence[str | int]) -> object:
        """Returns what the file has at `path`, before variables were filled in: the only thing that may be shown."""
        return _follow(self.written, path)


def read(text: str | bytes, file: str, *, error: type[ConfigError] = ConfigError) -> Document:
    """Reads one YAML document; raises `error` with every problem that can be told apart.

    Refused: syntax errors, duplicate keys, tags, anchors, aliases, merge keys, several documents, text that a comment
    sign cuts off, other encodings than UTF-8, more than 1 MiB, 20,000 values or 30 levels.
    """
    reading = _Reading(file)
    data: object = None
    try:
        data = reading.document(_decoded(text, file))
    except _Stop as stop:
        reading.problems.append(stop.problem)
    if reading.problems:
        raise error(_in_order(reading.problems))
    return Document(file, data, reading.values, reading.keys, written=data)


def validate(
    document: Document,
    model: type[M],
    *,
    at: Sequence[str | int] = (),
    context: dict[str, Any] | None = None,
    label: Callable[[Path], str | None] | None = None,
    error: type[ConfigError] = ConfigError,
) -> M:
    """Types the part of the document at `at` by a pydantic model; raises `error` with all problems and their places.

    `label` names the thing at a path in a message ('Course "FORKLIFT-*"'); without it the dotted path does.
    The values of secret fields, and of unknown settings beside them, are never shown.
    """
    start = tuple(at)
    try:
        return model.model_validate(document.at(start) if document.at(start) is not None else {}, context=context)
    except ValidationError as failure:
        found = complaints(
            failure, model, data=document.at(start), written=_follow(document.written, start), at=start, label=label
        )
    raise error(_in_order([_placed(document, complaint) for complaint in found]))


def _placed(document: Document, complaint: Complaint) -> Problem:
    return document.problem(complaint.path, complaint.message, key=complaint.on_key)


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.mark.line, problem.mark.column) if problem.mark else (0, 0))


def _follow(data: object, path: Sequence[str | int]) -> object:
    for step in path:
        data = child(data, step)
    return data


# -- reading -------------------------------------------------------------------------------------


class _Stop(Exception):
    """Nothing after this point can be read."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(mark, message)


def _decoded(raw: str | bytes, file: str) -> str:
    first = Mark(file, 1, 1)
    if len(raw) > MAX_BYTES:
        raise _Stop(first, "The file is larger than 1 MiB. Split it, or check that it is the right file.")
    text = raw if isinstance(raw, str) else _utf8(raw, file)
    if "\x00" in text:
        raise _Stop(_mark_at(text[: text.index("\x00")], file), "The file contains a NUL character: it is not text.")
    return text.removeprefix("\ufeff")


def _utf8(raw: bytes, file: str) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _Stop(Mark(file, 1, 1), "The file is saved as UTF-16. Save it as UTF-8.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as failure:
        mark = _mark_at(raw[: failure.start].decode("utf-8"), file)
        raise _Stop(mark, "This character is not UTF-8. Save the file with the encoding UTF-8.") from None


def _mark_at(before: str, file: str) -> Mark:
    lines = before.split("\n")
    return Mark(file, len(lines), len(lines[-1]) + 1)


class _Reading:
    """Builds the data from the parser's events, so that every limit stops the parser and not the machine."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.values: dict[Path, Mark] = {}
        self.keys: dict[Path, Mark] = {}
        self._nodes = 0

    def document(self, text: str) -> object:
        self._text = text
        self._events = self._parsed(text)
        data: object = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Stop(self._mark(event.start_mark), 'A second document starts here ("---"). Use two files.')
                data = self._node(next(self._events), ())
        return data

    def _parsed(self, text: str) -> Iterator[Any]:
        try:
            yield from yaml.parse(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as failure:
            # A line without its colon is noticed on the next one.
            unfinished = failure.context == "while scanning a simple key"
            mark = self._mark(failure.context_mark if unfinished else failure.problem_mark)
            raise _Stop(mark, _syntax_advice(failure, text)) from None
        except yaml.reader.ReaderError as failure:
            mark = _mark_at(text[: failure.position], self.file)
            raise _Stop(mark, "This invisible control character is not allowed. Delete it.") from None
        except (ValueError, OverflowError):
            # PyYAML passes escapes such as "\UFFFFFFFF" straight to chr().
            raise _Stop(Mark(self.file, 1, 1), "The file has an escape that stands for no character.") from None

    def _node(self, event: Any, path: Path) -> object:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _Stop(self._mark(event.start_mark), f"The file has more than {MAX_NODES:,} values.")
        if len(path) > MAX_DEPTH:
            raise _Stop(self._mark(event.start_mark), f"More than {MAX_DEPTH} levels inside each other.")
        mark = self.values[path] = self._mark(event.start_mark)
        self._refuse_references(event, mark)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return None if isinstance(event, yaml.AliasEvent) else self._scalar(event, mark, path)

    def _mapping(self, path: Path) -> dict[str, object]:
        data: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event)
            first = self.keys.get((*path, key)) if key in data else None
            mark = self._mark(event.start_mark)
            if first:
                self.problems.append(Problem(mark, f'"{key}" stands here twice; the first one is at {first}.'))
            else:
                self.keys[(*path, key)] = mark
            data[key] = self._node(next(self._events), (*path, key))
        return data

    def _key(self, event: Any) -> str:
        mark = self._mark(event.start_mark)
        if isinstance(event, yaml.MappingStartEvent):
            raise _Stop(mark, 'An expression starts here without quotes. Write it as "{{ ... }}", with the quotes.')
        if isinstance(event, yaml.AliasEvent):
            raise _Stop(mark, f"{_ALIAS_ADVICE} To use the text itself, put it in quotes.")
        if not isinstance(event, yaml.ScalarEvent):
            raise _Stop(mark, "A list cannot be the name of a setting. Put the name in quotes.")
        self._refuse_references(event, mark)
        key = self._scalar(event, mark, ())
        if key is None:
            raise _Stop(mark, "The name before the colon is missing. To use a special name, put it in quotes.")
        if key == "<<" and event.style is None:
            raise _Stop(mark, 'Merge keys ("<<") are not supported: write the lines out.')
        return key

    def _sequence(self, path: Path) -> list[object]:
        data: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            data.append(self._node(event, (*path, len(data))))
        return data

    def _scalar(self, event: Any, mark: Mark, path: Path) -> str | None:
        text: str = event.value
        if _UNSTORABLE.search(text):
            self.problems.append(Problem(mark, "This text contains a character that cannot be stored or printed."))
        if event.style is not None:
            return text
        if cut := _COMMENT_OR_TEXT.match(self._text, event.end_mark.index):
            advice = _comment_advice(text, cut.group(1).strip()[:40], hide=sounds_secret(path))
            self.problems.append(Problem(mark, f"{advice}; if it is a comment, write a space after the #."))
        return None if text in _NULLS else text

    def _refuse_references(self, event: Any, mark: Mark) -> None:
        if isinstance(event, yaml.AliasEvent):
            self.problems.append(Problem(mark, f"{_ALIAS_ADVICE} To use the text itself, put it in quotes."))
        elif event.anchor is not None:
            self.problems.append(Problem(mark, f'Anchors ("&{event.anchor}") are not supported: write the lines out.'))
        elif event.tag is not None:
            self.problems.append(Problem(mark, "Tags (words with an exclamation mark in front) are not supported."))

    def _mark(self, mark: Any) -> Mark:
        return Mark(self.file, mark.line + 1, mark.column + 1) if mark else Mark(self.file, 1, 1)


def _comment_advice(text: str, rest: str, *, hide: bool) -> str:
    if hide:
        return "YAML takes the # for a comment. If it belongs to the value, put the whole text in quotes"
    advice = f'put the whole text in quotes: "{text} {rest}"' if text else f'put it in quotes: "{rest}"'
    return f'YAML takes "{rest}" for a comment. If it belongs to the value, {advice}'


_ALIAS_ADVICE: Final = "A word that starts with * is an alias in YAML; aliases are not supported: write the lines out."


def _syntax_advice(failure: yaml.MarkedYAMLError, text: str) -> str:
    problem = failure.problem or failure.context or "unreadable"
    mark = failure.problem_mark or failure.context_mark
    here = text[mark.index : mark.index + 1] if mark else ""
    if here == "\t":
        return "A tab stands here. Use spaces to indent."
    if "alias" in (failure.context or ""):
        return f"{_ALIAS_ADVICE} To use the text itself, put it in quotes."
    if "mapping values are not allowed" in problem:
        return "A colon too many. If it belongs to the text, put the text in quotes; else check the indentation."
    if here and f"found character {here!r} that cannot start any token" in problem:
        return f"A value cannot start with {here}. Put it in quotes."
    if "quoted scalar" in (failure.context or ""):
        opened = failure.context_mark.line + 1 if failure.context_mark else 1
        return f"The quotes that open at line {opened} are never closed, or hold a wrong escape."
    if "flow" in (failure.context or ""):
        return 'The brackets do not fit. Text with [ ] { }, "${...}" or "{{ ... }}" belongs in quotes.'
    if "block" in (failure.context or "") or "simple key" in (failure.context or ""):
        return "The indentation does not fit the lines above, or a colon is missing."
    return f"This is not valid YAML: {problem}."
