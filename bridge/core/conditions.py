"""Conditions of a mapping in plain words: `score: at least 80`, `email: ends with @test.acme.example`."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from bridge.core.dates import civil, read_iso
from bridge.core.text import as_text, one_line, shown
from bridge.core.wording import suggestion

PHRASES: Final[dict[str, str]] = {
    "is": "the same text, number or date",
    "is not": "another text, number or date",
    "one of": "one of several, separated by commas",
    "contains": "has this text in it",
    "starts with": "starts with this text",
    "ends with": "ends with this text",
    "at least": "this number or more",
    "at most": "this number or less",
    "before": "an earlier date (2026-01-31)",
    "after": "a later date (2026-01-31)",
    "is empty": "missing, null or blank",
    "is not empty": "has a value",
    "looks incomplete": "one word, initials only, digits, a web address, the start of the e-mail address, or what is "
    "held without any rule (for name)",
}
"""The whole list of phrases, with what each is true for."""

_ALONE: Final = frozenset({"is empty", "is not empty", "looks incomplete"})
_NUMERIC: Final = frozenset({"at least", "at most"})
_DATED: Final = frozenset({"before", "after"})
_SIGNS: Final = {">=": "at least", "=>": "at least", "<=": "at most", "=<": "at most", "==": "is", "=": "is",
                 "!=": "is not", "<>": "is not", ">": "at least", "<": "at most", "not": "is not"}  # fmt: skip
_PLAIN_NUMBER: Final = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?")
_MOST_CHOICES: Final = 200


class Undecidable(Exception):
    """A condition cannot be decided for this value; `code` is stable, the message follows "the score is ..."."""

    def __init__(self, code: str, message: str, cause: str) -> None:
        super().__init__(message)
        self.code = code
        self.cause = cause


@dataclass(frozen=True)
class Phrase:
    """One condition on a value."""

    text: str
    """As written."""
    verb: str
    operands: tuple[str, ...] = ()

    @property
    def needs(self) -> str:
        """Says what must be given, as the start of a sentence: "At least 80 is needed"."""
        if self.verb in _ALONE:
            return "A value is needed" if self.verb == "is not empty" else f"A value that {self.verb} is needed"
        what = ", ".join(self.operands)
        wording = {"is": f'"{what}" is needed', "is not": f'Anything but "{what}" is needed'}
        wording |= {"before": f"A date before {what} is needed", "after": f"A date after {what} is needed"}
        wording |= {verb: f'A text that {verb} "{what}" is needed' for verb in ("contains", "starts with", "ends with")}
        return wording.get(self.verb, f"{self.verb.capitalize()} {what} is needed")

    def holds(self, value: object, *, zone: str) -> bool:
        """Decides for a value that is there. Raises Undecidable and, where it is no text at all, ValueError."""
        if self.verb in {"is empty", "is not empty"}:
            return (not as_text(value).strip()) == (self.verb == "is empty")
        if self.verb in _NUMERIC:
            asked, given = Decimal(self.operands[0]), _number(value)
            return given >= asked if self.verb == "at least" else given <= asked
        if self.verb in _DATED:
            limit, day = date.fromisoformat(self.operands[0]), _day(value, zone)
            return day < limit if self.verb == "before" else day > limit
        if self.verb in {"is", "is not", "one of"}:
            return any(_same(value, operand, zone) for operand in self.operands) != (self.verb == "is not")
        text, part = _folded(as_text(value)), _folded(self.operands[0])
        tests = {"contains": part in text, "starts with": text.startswith(part), "ends with": text.endswith(part)}
        return tests[self.verb]


def parse(text: str) -> Phrase:
    """Reads a phrase. Raises ValueError with a sentence for the person who wrote it."""
    words = " ".join(text.split())
    for verb in sorted(PHRASES, key=len, reverse=True):
        if words.lower() == verb or words.lower().startswith(verb + " "):
            return _with_operands(text, verb, words[len(verb) :].strip())
    raise ValueError(f"This is not a condition{_advice(words)}")


def _with_operands(text: str, verb: str, rest: str) -> Phrase:
    if verb in _ALONE:
        if rest:
            raise ValueError(f'Nothing may follow "{verb}".')
        return Phrase(text, verb)
    operands = tuple(_unquoted(part) for part in rest.split(",")) if verb == "one of" else (_unquoted(rest),)
    if not all(operands) or len(operands) > _MOST_CHOICES:
        raise ValueError(f'Something must follow "{verb}", such as: {_EXAMPLES[verb]}.')
    if verb in _NUMERIC and not _PLAIN_NUMBER.fullmatch(operands[0]):
        raise ValueError(f'A plain number must follow "{verb}", such as: {_EXAMPLES[verb]}. For dates: before, after.')
    if verb in _DATED:
        _check_date(operands[0], verb)
    return Phrase(text, verb, operands)


_EXAMPLES: Final = {
    "is": "is Passed",
    "is not": "is not Failed",
    "one of": "one of A, B",
    "contains": "contains Demo",
    "starts with": "starts with TEST",
    "ends with": "ends with @acme.example",
    "at least": "at least 80",
    "at most": "at most 3",
    "before": "before 2026-01-31",
    "after": "after 2026-01-31",
}


def _check_date(text: str, verb: str) -> None:
    try:
        found = read_iso(text)
    except ValueError:
        found = None
    if found is None or isinstance(found, datetime):
        raise ValueError(f'A date must follow "{verb}", such as: {_EXAMPLES[verb]}.')


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _advice(words: str) -> str:
    for sign, verb in _SIGNS.items():
        if words.lower().startswith(sign):
            return f'; did you mean "{verb} {words[len(sign) :].strip()}"?'
    if _PLAIN_NUMBER.fullmatch(words):
        return f'; did you mean "at least {words}" or "is {words}"?'
    first_two = " ".join(words.split()[:2])
    near = suggestion(first_two, list(PHRASES)) or suggestion(first_two.split(" ")[0], list(PHRASES))
    return near or ". Conditions start with: " + ", ".join(PHRASES) + "."


# -- comparing -------------------------------------------------------------------------------------


def _same(value: object, operand: str, zone: str) -> bool:
    if isinstance(value, date):
        return as_text(_day(value, zone)) == operand
    text = as_text(value)
    left, right = _canonical_number(text), _canonical_number(operand)
    if left is not None and right is not None:
        return left == right
    return _folded(text) == _folded(operand)


def _folded(text: str) -> str:
    """Ignores case, spelling variants of Unicode and extra spaces."""
    return unicodedata.normalize("NFC", one_line(text).casefold())


def _canonical_number(text: str) -> Decimal | None:
    # "012" is a code, not the number 12.
    stripped = text.strip()
    if not _PLAIN_NUMBER.fullmatch(stripped) or re.match(r"[+-]?0\d", stripped):
        return None
    return Decimal(stripped)


def _number(value: object) -> Decimal:
    if isinstance(value, date):
        raise Undecidable("not_a_number", f"{shown(value)}, which is a date", "a date was taken for a number")
    text = as_text(value).strip()
    try:
        number = Decimal(text) if not isinstance(value, bool) else None
    except ArithmeticError:
        number = None
    if number is None or not number.is_finite() or (isinstance(value, str) and not _PLAIN_NUMBER.fullmatch(text)):
        raise Undecidable("not_a_number", f"{shown(value)}, which is not a number", _number_cause(text))
    return number


def _number_cause(text: str) -> str:
    if any(sign.isdigit() for sign in text):
        return "it is written with a comma, a unit or a % sign; the transform number reads these"
    return "the platform grades in words here; then compare words, such as: is Passed"


def _day(value: object, zone: str) -> date:
    try:
        found = value if isinstance(value, date) else read_iso(as_text(value), zone)
    except ValueError:
        cause = "it is written in a form of its own; the transforms local and epoch read such dates"
        raise Undecidable("not_a_date", f"{shown(value)}, which is not a date", cause) from None
    return civil(found, zone) if isinstance(found, datetime) else found
