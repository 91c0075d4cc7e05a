"""What a request and its answer look like in the attempts table: redacted by value, and short."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import quote, quote_plus

from bridge.core.models import JsonObject

Redactor = Callable[[str], str]
"""Replaces every secret it knows in a text."""
Observer = Callable[[JsonObject, JsonObject, float], None]
"""Told about each request: (request, answer, seconds)."""

LIMIT: Final = 2048
"""Bytes of JSON that one summary may take."""
_HIDDEN: Final = "[hidden]"
_SHOWN_HEADERS: Final = ("content-type", "retry-after", "ratelimit-reset", "location", "date", "server")
_SHORTEST: Final = 6  # a shorter value would be found inside ordinary words


def hiding(redactor: Redactor, values: Iterable[str]) -> Redactor:
    """Returns a redactor that also hides these values (a token fetched at run time) in each spelling they travel in."""
    spellings: set[str] = set()
    for value in values:
        for part in (value, *value.split()):
            if len(part) >= _SHORTEST:
                escaped = json.dumps(part)[1:-1]
                spellings |= {part, quote(part, safe=""), quote_plus(part), escaped, escaped.replace("/", "\\/")}
    longest_first = sorted(spellings, key=len, reverse=True)

    def redact(text: str) -> str:
        for spelling in longest_first:
            text = text.replace(spelling, _HIDDEN)
        return redactor(text)

    return redact


def request_summary(
    method: str,
    url: str,
    *,
    query: Mapping[str, str] | None,
    form: Sequence[tuple[str, str]] | None,
    payload: object,
    redact: Redactor,
) -> JsonObject:
    """Returns what was asked, for people."""
    summary: JsonObject = {"method": method, "url": redact(url)[:300]}
    if query:
        summary["query"] = {redact(name): redact(value) for name, value in query.items()}
    if form is not None:
        summary["form"] = [[redact(name), redact(value)] for name, value in form]
    if payload is not None:
        summary["json"] = redact(json.dumps(payload, ensure_ascii=False, default=str))
    return capped(summary)


def answer_summary(status: int, headers: Mapping[str, str], body: bytes, *, redact: Redactor) -> JsonObject:
    """Returns what came back, for people; the body only when it is text."""
    summary: JsonObject = {"status": status, "size": len(body)}
    shown = {name: redact(headers[name])[:200] for name in _SHOWN_HEADERS if name in headers}
    if shown:
        summary["headers"] = shown
    if body:
        # Redacted before it is cut, so that no half of a secret stays at the edge.
        summary["body"] = redact(body[: 8 * LIMIT].decode("utf-8", errors="replace")).replace("\0", "\ufffd")
    return capped(summary)


def capped(summary: JsonObject) -> JsonObject:
    """Returns the summary with its longest entries cut until it fits into LIMIT bytes of JSON."""
    short = dict(summary)
    while _size(short) > LIMIT:
        name = max(short, key=lambda key: _size(short[key]))
        text = short[name] if isinstance(short[name], str) else json.dumps(short[name], ensure_ascii=False)
        short[name] = text[: min(len(text) - 2, len(text) * 3 // 4)].rstrip("…") + "…"
    return short


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", errors="replace"))
