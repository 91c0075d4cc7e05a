"""What stand-ins for JSON APIs share: routes, strict queries and bodies, and webhooks ready to be delivered."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, NoReturn, TypeVar

from bridge.demo.vendors.stand_in import Answer, Call, RefusalError, StandIn

Route = tuple[str, str, Callable[..., Answer]]
"""Method, pattern of the whole path, handler: (call, *groups of the pattern) to the answer."""
JSON: Final = "application/json"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Delivery:
    """A webhook as the vendor sends it: POST `body` with `headers` to `url`."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Reads the body."""
        return json.loads(self.body)


class JsonStandIn(StandIn):
    """Answers by method and path, in JSON; says what is wrong in the vendor's own dialect."""

    media_type: ClassVar[str] = JSON
    """Of requests and answers."""

    @abstractmethod
    def routes(self) -> Iterable[Route]:
        """Names everything that can be asked."""

    @abstractmethod
    def problem(self, status: int, reason: str) -> Answer:
        """Returns the error as the vendor writes it; the reason is for us, the vendor may tell less."""

    def admit(self, call: Call) -> Answer | None:
        """Lets the call in, before anything else is looked at; an answer ends it. Raises RefusalError."""
        return None

    def answer(self, call: Call) -> Answer:
        """Answers one call."""
        ended = self.admit(call)
        if ended is not None:
            return ended
        for method, pattern, handler in self.routes():
            found = re.fullmatch(pattern, call.path)
            if found and method == call.method:
                if method == "GET" and call.body:
                    self.refuse("a GET with a body")
                return handler(call, *found.groups())
        return self.refuse(f"no such route: {call.method} {call.path}", 404)

    def refuse(self, reason: str, status: int = 400, answer: Answer | None = None) -> NoReturn:
        """Raises RefusalError with the vendor's answer."""
        raise RefusalError(reason, answer or self.problem(status, reason))

    # -- reading requests --------------------------------------------------------------------------

    def query(self, call: Call, known: Set[str] = frozenset()) -> dict[str, str]:
        """Returns the query. Real APIs ignore what they do not know, and then filter less than we meant: refused."""
        query = dict(call.query)
        if len(query) != len(call.query):
            self.refuse("a parameter is there twice")
        if unknown := set(query) - known:
            self.refuse(f"unknown parameters {sorted(unknown)}")
        return query

    def number(self, query: Mapping[str, str], name: str, default: int, highest: int = 1_000_000_000) -> int:
        """Returns a whole number from 1 up to the highest."""
        value = query.get(name, str(default))
        if not re.fullmatch(r"[0-9]{1,12}", value) or not 1 <= int(value) <= highest:
            self.refuse(f"{name}={value}")
        return int(value)

    def moment(self, name: str, value: str) -> datetime:
        """Reads a time; a date alone is its midnight in UTC."""
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.refuse(f"{name}={value} is no date")
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def entries(self, call: Call) -> dict[str, Any]:
        """Returns the body, which must be a JSON object that is not empty, under the vendor's media type."""
        kind = call.headers.get("content-type", "").partition(";")[0].strip()
        if kind != self.media_type:
            self.refuse(f"Content-Type {kind!r}", 415)
        try:
            found = json.loads(call.body.decode("utf-8"))
        except ValueError as error:
            self.refuse(f"the body is no JSON: {error}")
        if not isinstance(found, dict) or not found:
            self.refuse("the body is no object", 422)
        return found

    # -- writing answers ---------------------------------------------------------------------------

    def json(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> Answer:
        """Returns an answer in JSON."""
        kind = {"Content-Type": f"{self.media_type}; charset=utf-8"}
        return Answer(status, json.dumps(value, ensure_ascii=False).encode("utf-8"), {**kind, **(headers or {})})


@dataclass(frozen=True)
class Slice:
    """One page of a list; pages count from 1."""

    number: int
    size: int
    total: int

    @property
    def pages(self) -> int:
        """How many there are; one even when there is nothing."""
        return max(1, -(-self.total // self.size))

    @property
    def first(self) -> int:
        """Rows before this page."""
        return (self.number - 1) * self.size

    @property
    def next(self) -> int | None:
        """The page after this one."""
        return self.number + 1 if self.number < self.pages else None

    @property
    def previous(self) -> int | None:
        """The page before this one."""
        return self.number - 1 if self.number > 1 else None

    def of(self, rows: Sequence[_T]) -> Sequence[_T]:
        """Returns the rows of this page."""
        return rows[self.first : self.first + self.size]


def written(at: datetime, *, milliseconds: bool = True) -> str:
    """Writes a moment as most vendors do: UTC with a Z."""
    pattern = "%Y-%m-%dT%H:%M:%S" + (f".{at.microsecond // 1000:03d}" if milliseconds else "") + "Z"
    return at.astimezone(UTC).strftime(pattern)
