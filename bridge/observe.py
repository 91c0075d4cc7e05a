"""What the bridge lets be seen of itself: log lines, redaction by value, and the points where a crash test kills it."""

from __future__ import annotations

import base64
import collections
import html
import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TextIO
from urllib.parse import quote, quote_plus

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from bridge.core.errors import MisplacedError, UnavailableError

REDACTED: Final = "[redacted]"
SHORTEST_SECRET: Final = 4
"""Characters. Replacing "a" by value would make every text useless; the configuration refuses shorter secrets."""

_SENSITIVE_HEADER: Final = re.compile(
    r"authori[sz]ation|cookie|token|secret|signature|hmac|api-?key|password|credential|session|^x-auth", re.IGNORECASE
)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LINE_BREAK: Final = frozenset("\n\t")


# -- redaction -------------------------------------------------------------------------------------


class Redactor:
    """Replaces secret values wherever they stand: plain, percent-encoded, in JSON, HTML, hex or base64."""

    def __init__(self, secrets: Iterable[str | SecretStr] = ()) -> None:
        self._values: set[str] = set()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str | SecretStr]) -> None:
        """Replaces these, too, from now on."""
        self._values |= {item.get_secret_value() if isinstance(item, SecretStr) else item for item in secrets}
        forms = {form for value in self._values if len(value) >= SHORTEST_SECRET for form in _forms(value)}
        # The longest first, or a short form would leave the tail of a longer one behind.
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._text = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        encoded = [re.escape(form.encode("utf-8", "surrogatepass")) for form in ordered]
        self._bytes = re.compile(b"|".join(encoded)) if ordered else None

    def text(self, text: str) -> str:
        """Returns the text with every secret replaced."""
        return self._text.sub(REDACTED, text) if self._text else text

    def body(self, raw: bytes) -> bytes:
        """Returns a request's body with every secret replaced: some vendors put the token there."""
        return self._bytes.sub(REDACTED.encode(), raw) if self._bytes else raw

    def data(self, value: object) -> Any:
        """Returns JSON-like data with every secret replaced, in keys and values, and secret values masked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self.body(value)
        if isinstance(value, SecretStr):
            return REDACTED
        if isinstance(value, Mapping):
            return {self.text(key) if isinstance(key, str) else key: self.data(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.data(item) for item in value]
        return value

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Returns headers to keep or show: sensitive ones by name reduced to their length, all others by value."""
        return {name: self._header(name, value) for name, value in headers.items()}

    def _header(self, name: str, value: str) -> str:
        if _SENSITIVE_HEADER.search(name):
            # The length tells "empty" and "cut off" from "wrong", which is what people ask when it does not fit.
            return f"[redacted, {len(value)} characters]"
        return self.text(value)


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    percent = quote(raw, safe="")
    plus = quote_plus(raw)
    yield from (secret, percent, plus, _lower_percent(percent), _lower_percent(plus), quote(raw))
    escaped = json.dumps(secret)[1:-1]
    # PHP, and with it many a learning platform, writes a slash in JSON as "\\/".
    yield from (escaped, escaped.replace("/", "\\/"), json.dumps(secret, ensure_ascii=False)[1:-1], html.escape(secret))
    yield from (raw.hex(), raw.hex().upper(), repr(secret)[1:-1])
    for offset in range(3):
        yield from _in_base64(raw, offset)


def _lower_percent(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda match: match.group().lower(), text)


def _in_base64(raw: bytes, offset: int) -> Iterator[str]:
    # In "user:secret" the secret may start at any of three offsets; the symbols it alone decides are the same always.
    encoded = base64.b64encode(bytes(offset) + raw).rstrip(b"=").decode()
    first = -(-offset * 8 // 6)
    last = (offset + len(raw)) * 8 // 6
    inner = encoded[first:last]
    # Very short runs would be found in innocent text; four bytes of secret give at least four symbols of their own.
    if len(inner) >= SHORTEST_SECRET:
        yield inner
        yield inner.translate(str.maketrans("+/", "-_"))


# -- logs ------------------------------------------------------------------------------------------


def configure_logging(
    *,
    level: str = "info",
    form: str = "auto",
    redactor: Redactor | None = None,
    stream: TextIO | None = None,
) -> None:
    """Sends every log line (ours and the libraries') to `stream` (standard error), redacted.

    `form` is `text` (for people), `json` (one object per line) or `auto`: text on a terminal, JSON elsewhere.
    """
    out = stream or sys.stderr
    as_text = form == "text" or (form == "auto" and out.isatty())
    shared = _shared_processors(redactor or Redactor(), as_text=as_text)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(as_text, out)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Their chatter about each connection and each run of a schedule says nothing to an operator.
    for name in ("urllib3", "apscheduler", "waitress.queue", "alembic"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _shared_processors(redactor: Redactor, *, as_text: bool) -> list[Processor]:
    def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {str(key): value if key.startswith("_") else redactor.data(value) for key, value in event.items()}

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Plain tracebacks only: the pretty ones print local variables, and those hold learners and keys.
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
        *([_printable] if as_text else []),
    ]


def _renderer(as_text: bool, out: TextIO) -> Processor:
    if not as_text:
        return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keeps text from outside from forging lines or driving the terminal."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _escaped(value, _LINE_BREAK if key in {"exception", "stack"} else frozenset())
    return event


def _escaped(text: str, kept: frozenset[str]) -> str:
    def replacement(match: re.Match[str]) -> str:
        return match.group() if match.group() in kept else match.group().encode("unicode_escape").decode()

    return _CONTROL.sub(replacement, text)


def put_off(log: Any, event: str, error: UnavailableError, **facts: object) -> None:
    """Tells why something was put off; that the database is not where it was the store has told already, once."""
    say = log.debug if isinstance(error, MisplacedError) else log.warning
    say(event, reason=str(error), **facts)


# -- crash points ----------------------------------------------------------------------------------

CRASH_VARIABLE: Final = "CERTBRIDGE_CRASH_AT"
_passed: collections.Counter[str] = collections.Counter()
_passing = threading.Lock()


def crash_point(name: str) -> None:
    """Kills this process (as `kill -9` does) when CERTBRIDGE_CRASH_AT is `name`, or `name:n` at the n-th time.

    For the crash tests: each place where a crash could lose or double something has a name.
    """
    wanted = os.environ.get(CRASH_VARIABLE)
    if not wanted:
        return
    place, _, count = wanted.partition(":")
    if place != name:
        return
    with _passing:
        _passed[name] += 1
        if _passed[name] == int(count or 1):
            # Straight to standard error: nothing buffered survives, and a test must know that it was this place.
            os.write(2, f"killed at {name}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
