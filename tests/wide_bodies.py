"""Bodies that are wide, long or deep, and a count of the steps that reading them takes: steps, because clocks differ.

A step is a line of Python. What C code does within one line is not counted, so each shape is also read at the size
limit, where work that grows with the square of the size would not end before the suite does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

Make = Callable[[int], bytes]
"""Returns a body of about so many bytes."""


def repeated(piece: bytes, *, before: bytes = b"", after: bytes = b"") -> Make:
    """Returns a shape that is one piece over and over."""
    return lambda size: before + piece * max(1, (size - len(before) - len(after)) // len(piece)) + after


def numbered(piece: str, *, before: bytes = b"", after: bytes = b"", between: str = ",") -> Make:
    """Returns a shape that is one piece over and over, `{0}` in it counting."""

    def make(size: int) -> bytes:
        count = max(1, (size - len(before) - len(after)) // (len(piece) + len(between) + 3))
        return before + between.join(piece.format(number) for number in range(count)).encode() + after

    return make


_XML: Final = b'<?xml version="1.0"?><a>'
_SOAP: Final = b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
_SOAP_END: Final = b"</e:Body></e:Envelope>"
_PERSON: Final = b"email,course,completed_at\n"

SHAPES: Final[dict[str, Make]] = {
    "wide object": numbered('"key {0}":{0}', before=b"{", after=b"}"),
    "object of one letter values": numbered('"{0}":"x"', before=b"{", after=b"}"),
    "list of nothing": repeated(b"{},", before=b"[", after=b"{}]"),
    "list of little": numbered('{{"id":{0},"type":"x","event":"y"}}', before=b"[", after=b"]"),
    "list of numbers": numbered("{0}", before=b"[", after=b"]"),
    "list of long numbers": repeated(b"9" * 3_999 + b",", before=b"[", after=b"1]"),
    "one long number": repeated(b"9", before=b'{"id":', after=b"}"),
    "one long fraction": repeated(b"9", before=b'{"id":0.', after=b"}"),
    "deep list": repeated(b"["),
    "deep object": repeated(b'{"a":'),
    "commas": repeated(b",", before=b"["),
    "one long text": repeated(b"x", before=b'{"event":"', after=b'"}'),
    "one text of accents": repeated("\u0316\u0301".encode(), before=b'{"event":"a', after=b'"}'),
    "escapes": repeated(b"\\u00e9", before=b'{"event":"', after=b'"}'),
    "backslashes": repeated(b"\\", before=b'{"event":"'),
    "field again and again": repeated(b'"id":1,', before=b"{", after=b'"id":1}'),
    "blank lines": repeated(b"\n"),
    "blank lines in JSON": repeated(b"\n", before=b"{", after=b"x"),
    "text that never ends": repeated(b'"', before=b'{"a'),
    "form": numbered("f{0}=1", between="&"),
    "form of one field": repeated(b"a=1&", after=b"a=1"),
    "form of one list": repeated(b"a[]=1&", after=b"a[]=1"),
    "form of deep fields": repeated(b"[a]", before=b"a", after=b"=1"),
    "form of percent signs": repeated(b"%C3%A9", before=b"event="),
    "XML deep": repeated(b"<a>", before=_XML),
    "XML wide": repeated(b"<b/>", before=_XML, after=b"</a>"),
    "XML of attributes": numbered('b{0}="1"', before=b"<a ", after=b"/>", between=" "),
    "XML of namespaces": numbered('xmlns:b{0}="u{0}"', before=b"<a ", after=b"/>", between=" "),
    "XML of comments": repeated(b"x<!---->", before=_XML, after=b"</a>"),
    "XML of entities": repeated(b"&amp;", before=_XML, after=b"</a>"),
    "XML with a long namespace": lambda size: (
        b'<a:r xmlns:a="' + b"u" * (size // 2) + b'">' + b"<a:b/>" * (size // 12) + b"</a:r>"
    ),
    "SOAP wide": repeated(b"<b/>", before=_SOAP, after=_SOAP_END),
    "table of columns": numbered("c{0}", before=_PERSON.rstrip() + b","),
    "table of equal columns": repeated(b"c,", before=_PERSON.rstrip() + b","),
    "table of one long name": repeated("\u0316\u0301".encode(), before=_PERSON.rstrip() + b",a"),
    "table of rows": numbered("a{0}@example.invalid,c,2026-01-31", before=_PERSON, between="\n"),
    "table of short rows": lambda size: (
        _PERSON.rstrip() + b"".join(b",c%d" % number for number in range(150)) + b"\n" + b"a\n" * (size // 2)
    ),
    "table of empty rows": repeated(b",,\n", before=_PERSON + b"a,b,c\n"),
    "table of one long cell": repeated(b"x", before=_PERSON),
    "table of empty cells": repeated(b",", before=_PERSON),
    "quotation marks": repeated(b'"', before=_PERSON),
    "quotation mark that stays open": repeated(b"x,\n", before=_PERSON + b'"'),
    "separators of every kind": repeated(b";,\t|"),
    "points": repeated(b"."),
    "token of a long head": repeated(b"QUFB", after=b".e30.e30"),
    "token of a long body": repeated(b"QUFB", before=b"eyJhbGciOiJSUzI1NiJ9.", after=b".e30"),
}


def swollen(body: bytes) -> dict[str, Make]:
    """Returns shapes made from a genuine body in which one kind of part grows."""
    try:
        value = json.loads(body)
    except ValueError:
        return _swollen_text(body)
    growing = {"texts": (str, _longer), "numbers": (int, _digits), "lists": (list, _more), "sections": (dict, _wider)}
    counts = {what: _count(value, kind) for what, (kind, _) in growing.items()}

    def shape(what: str) -> Make:
        kind, grow = growing[what]
        return lambda size: json.dumps(_grown(value, kind, grow, size // counts[what])).encode()

    found = {f"longer {what}": shape(what) for what, count in counts.items() if count}
    return {**found, "the same again": lambda size: json.dumps([value] * max(1, size // len(body))).encode()}


def _swollen_text(body: bytes) -> dict[str, Make]:
    def shape(at: int) -> Make:
        return lambda size: body[:at] + b"x" * size + body[at:]

    lines = body.splitlines(keepends=True)
    return {
        **{f"longer at {percent} %": shape(len(body) * percent // 100) for percent in (0, 25, 50, 75, 100)},
        "its last line again and again": lambda size: body + lines[-1] * (size // len(lines[-1])),
        "its first line again and again": lambda size: lines[0] * (size // len(lines[0])) + body,
    }


def _count(value: Any, kind: type) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return int(type(value) is kind) + sum(_count(one, kind) for one in inner)


def _grown(value: Any, kind: type, grow: Callable[[Any, int], Any], size: int) -> Any:
    if isinstance(value, dict):
        value = {name: _grown(one, kind, grow, size) for name, one in value.items()}
    elif isinstance(value, list):
        value = [_grown(one, kind, grow, size) for one in value]
    return grow(value, size) if type(value) is kind else value


def _longer(text: str, size: int) -> str:
    return text * max(1, size // max(1, len(text)))


def _digits(number: int, size: int) -> int | str:
    return int(str(abs(number)) + "9" * min(size, 3_900))


def _more(items: list[Any], size: int) -> list[Any]:
    return items * max(1, size // max(1, len(json.dumps(items))))


def _wider(section: dict[str, Any], size: int) -> dict[str, Any]:
    return {**section, **{f"key {number}": number for number in range(size // 18)}}


def steps(work: Callable[[], object]) -> int:
    """Returns how many lines of Python the work runs."""
    count = 0

    def trace(_frame: FrameType, _event: str, _arg: object) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
