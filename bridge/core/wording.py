"""What is wrong with a setting, in words for people who never heard of the library that found it."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]
Label = Callable[[Path], str | None]

_SHOWN: Final = 60
_LISTED: Final = 14
_PASSWORD: Final = re.compile(r"(//[^/@\s:]*:)\S*@")
_QUERY_VALUE: Final = re.compile(r"([?&][^=&\s]*(?:key|token|secret|pass)[^=&\s]*=)[^&\s]+", re.IGNORECASE)
_SECRET_NAME: Final = re.compile("key|token|secret|password|credential|database", re.IGNORECASE)
_QUOTED: Final = re.compile(r"'((?:[^'\\]|\\.)*)'")


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing wrong at one place of a document."""

    path: Path
    message: str
    on_key: bool = False
    """The name is wrong rather than the value."""


def suggestion(word: str, known: Sequence[str]) -> str:
    """Returns `; did you mean x?` for the nearest known word, or an empty text."""
    near = difflib.get_close_matches(word.lower(), [item.lower() for item in known], n=1, cutoff=0.6)
    matches = [item for item in known if near and item.lower() == near[0]]
    return f"; did you mean {matches[0]}?" if matches else ""


def sounds_secret(path: Path) -> bool:
    """Tells whether a setting of this name may hold a secret, where no model says so."""
    return any(isinstance(step, str) and _SECRET_NAME.search(step) is not None for step in path)


def complaints(
    failure: ValidationError,
    model: type[BaseModel],
    *,
    data: object,
    written: object,
    at: Path = (),
    label: Label | None = None,
) -> list[Complaint]:
    """Turns pydantic's errors on `data` into complaints at paths of the document (`at` stands in front)."""
    found = [(_path_in(data, error), error) for error in failure.errors(include_url=False)]
    explain = _Explain(model, written, at, label)
    return [explain(path, error) for path, error in _without_echoes(found)]


def _path_in(data: object, error: ErrorDetails) -> Path:
    # pydantic puts the names of union members and validators between the steps; only what the file has counts.
    path: list[str | int] = []
    loc = error["loc"]
    for number, step in enumerate(loc):
        if has(data, step):
            data = child(data, step)
        elif not (error["type"] == "missing" and number == len(loc) - 1):
            continue
        path.append(step)
    return tuple(path)


def has(data: object, step: str | int) -> bool:
    """Tells whether a dictionary or list has this entry."""
    if isinstance(data, dict):
        return step in data
    return isinstance(data, list) and isinstance(step, int) and 0 <= step < len(data)


def child(data: object, step: str | int) -> object:
    """Returns this entry of a dictionary or list, or None."""
    if isinstance(data, dict):
        return data.get(step)
    return data[step] if isinstance(data, list) and isinstance(step, int) and 0 <= step < len(data) else None


def _without_echoes(found: Sequence[tuple[Path, ErrorDetails]]) -> Iterator[tuple[Path, ErrorDetails]]:
    # A value that may be text or a section is reported once per possibility; the deepest report is the useful one.
    paths = [path for path, _ in found]
    seen: set[Path] = set()
    for path, error in found:
        deeper = any(len(other) > len(path) and other[: len(path)] == path for other in paths)
        # An entry that is wrong is not counted, so that its list seems too short.
        if path in seen or (deeper and error["type"].endswith(("_type", "too_short"))):
            continue
        seen.add(path)
        yield path, error


class _Explain:
    """Words one error."""

    def __init__(self, model: type[BaseModel], written: object, at: Path, label: Label | None) -> None:
        self._model, self._written, self._at, self._label = model, written, at, label

    def __call__(self, path: Path, error: ErrorDetails) -> Complaint:
        kind = error["type"]
        if not path or (kind == "value_error" and isinstance(error["input"], dict)):
            return Complaint(self._at + path, _about(self._subject(path), _wrong(error)), on_key=True)
        enclosing, name = path[:-1], path[-1]
        subject = self._subject(enclosing)
        if kind == "missing":
            twin = f' (or "{name}_file")' if f"{name}_file" in _names_at(self._model, enclosing) else ""
            return Complaint(self._at + enclosing, f'{subject} has no "{name}"{twin}. It is required.', on_key=True)
        shown = self._shown(path, hide=_is_secret(self._model, path, unknown=kind == "extra_forbidden"))
        if kind == "extra_forbidden":
            known = _names_at(self._model, enclosing)
            advice = suggestion(str(name), known) or (". Allowed here: " + _listed(known) if known else ".")
            return Complaint(self._at + path, f'{subject} has "{shown}". There is no such setting{advice}', on_key=True)
        info = _field_at(self._model, path)
        if error["input"] is None:
            advice = (
                "Write one, or remove the line."
                if info is None or not info.is_required()
                else "Write one; it is required."
            )
            return Complaint(self._at + path, f'{subject} has "{name}:" without a value. {advice}', on_key=True)
        wrong = _form(info) if kind == "string_pattern_mismatch" and info else _wrong(error)
        return Complaint(self._at + path, f'{subject} has "{shown}". {wrong}', on_key="[key]" in error["loc"])

    def _subject(self, enclosing: Path) -> str:
        path = self._at + enclosing
        named = self._label(path) if self._label else None
        return named or (".".join(str(step) for step in path) if path else "The file")

    def _shown(self, path: Path, *, hide: bool) -> str:
        value: object = self._written
        for step in path:
            value = child(value, step)
        if isinstance(path[-1], int):
            return "***" if hide else _short(value)
        return f"{path[-1]}: {'***' if hide else _short(value)}"


def _about(subject: str, text: str) -> str:
    # Connectors write "needs a token" as one writes exceptions; a reader gets a sentence.
    return f"{subject} {text.removeprefix('It ')}" if text.startswith("It ") else f"{subject}: {text}"


def _short(value: object) -> str:
    if isinstance(value, dict):
        return "{...}"
    if isinstance(value, list):
        return "[...]"
    # People paste addresses with the password or the token still in them.
    text = "" if value is None else _PASSWORD.sub(r"\1***@", " ".join(str(value).split()))
    text = _QUERY_VALUE.sub(r"\1***", text) if "://" in text else text
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _listed(words: Sequence[str]) -> str:
    more = ", ..." if len(words) > _LISTED else "."
    return ", ".join(words[:_LISTED]) + more


def _wrong(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in {"value_error", "assertion_error"}:
        return _sentence(str(context["error"]))
    if kind in {"literal_error", "enum"}:
        choices = [choice.replace("\\'", "'") for choice in _QUOTED.findall(context["expected"])]
        return "Allowed: " + ", ".join(choices) + (suggestion(str(error["input"]), choices) or ".")
    if kind in {"too_short", "too_long"} and isinstance(error["input"], str):
        kind = f"string_{kind}"  # A secret counts its characters as a list counts its entries.
    for pattern, words in _WORDS:
        if re.fullmatch(pattern, kind):
            return words.format(**context)
    return error["msg"].rstrip(".") + "."


def _form(info: FieldInfo) -> str:
    """Says what a text of the wrong form should have been: a pattern itself tells an admin nothing."""
    example = info.examples[0] if info.examples else info.default
    hint = f"; an example: {example}" if isinstance(example, str) else ""
    return f"It does not have the right form{hint}." + (f" {info.description}" if info.description else "")


def _sentence(text: str) -> str:
    verb = text.split(" ", 1)[0] in {"is", "has", "needs", "must"}
    return (f"It {text}" if verb else text) + ("" if text.endswith((".", "?", "!")) else ".")


_WORDS: Final = (
    (r"int_.*", "A whole number is needed."),
    (r"float_.*|decimal_.*|finite_number", "A number is needed."),
    (r"bool_.*", "Write true or false."),
    (r"date_.*", "A date is needed, such as 2026-01-31."),
    (r"datetime_.*|timezone_.*", "A date and time with a zone is needed, such as 2026-01-31T08:00:00Z."),
    (r"ip_.*", "An IP address is needed, such as 127.0.0.1."),
    (r"string_type", "One line of text is needed here."),
    (r"model_type|model_attributes_type|dict_type", 'Settings of the form "name: value" are needed here, indented.'),
    (r"list_type|tuple_type|set_type|frozen_set_type", "A list is needed here, such as [one, two]."),
    (r"greater_than_equal", "The smallest allowed is {ge}."),
    (r"less_than_equal", "The largest allowed is {le}."),
    (r"greater_than", "It must be more than {gt}."),
    (r"less_than", "It must be less than {lt}."),
    (r"string_too_long", "It is too long: at most {max_length} characters."),
    (r"string_too_short", "It is too short: at least {min_length} characters."),
    (r"string_pattern_mismatch", "It does not have the right form."),
    (r"too_long", "There are too many: at most {max_length}."),
    (r"too_short", "There are too few: at least {min_length}."),
)


# -- looking into the model ------------------------------------------------------------------------


def _names_at(model: type[BaseModel], path: Path) -> list[str]:
    names: list[str] = []
    for found in _annotations_at(model, path):
        if isinstance(found, type) and issubclass(found, BaseModel):
            names += [info.alias or name for name, info in found.model_fields.items()]
    return list(dict.fromkeys(names))


def _is_secret(model: type[BaseModel], path: Path, *, unknown: bool) -> bool:
    if SecretStr in _annotations_at(model, path):
        return True
    if not unknown:
        return False
    if sounds_secret(path[-1:]):
        return True
    # A misspelt name may well hide a password: the value is shown only where it surely meant something else.
    known = _names_at(model, path[:-1])
    meant = difflib.get_close_matches(str(path[-1]).lower(), known, n=3, cutoff=0.5) or known
    return any(SecretStr in _annotations_at(model, (*path[:-1], name)) for name in meant)


def _annotations_at(model: type[BaseModel], path: Path) -> list[Any]:
    found: list[Any] = [model]
    for step in path:
        found = [inner for outer in found for inner in _inside(outer, step)]
    return found


def _field_at(model: type[BaseModel], path: Path) -> FieldInfo | None:
    """Returns the field of this name; of an entry in a list, that of the list."""
    names = [step for step in path if isinstance(step, str)]
    enclosing = path[: len(path) - 1 - path[::-1].index(names[-1])] if names else ()
    for found in _annotations_at(model, enclosing) if names else ():
        if isinstance(found, type) and issubclass(found, BaseModel):
            for name, info in found.model_fields.items():
                if names[-1] == (info.alias or name):
                    return info
    return None


def _inside(annotation: Any, step: str | int) -> Iterator[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, info in annotation.model_fields.items():
            if step == (info.alias or name):
                yield from _members(info.annotation)
        return
    arguments = get_args(annotation)
    if not arguments:
        return
    yield from _members(arguments[0] if isinstance(step, int) else arguments[-1])


def _members(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin is Union or origin is types.UnionType:
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation
