"""Asks the vendor for completions, page by page, from where the last poll stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import urljoin

from pydantic import Field, model_validator

from bridge.core.connector import ApiClient, Page
from bridge.core.dates import read_iso
from bridge.core.declared.addresses import host_of
from bridge.core.declared.asking import Ask
from bridge.core.declared.events import Cutter, marked_as_test, shaped, type_of
from bridge.core.declared.signed import Duration
from bridge.core.declared.texts import Formula, JsonTree, Scope, Test, Unclear, Words, line, worked_out
from bridge.core.errors import PayloadError, PermanentError, TemporaryError
from bridge.core.expressions import Expression
from bridge.core.models import JsonObject, SourceEvent
from bridge.core.section import Section
from bridge.core.text import kind

MOST_PAGES: Final = 1_000
_MOST_ITEMS: Final = 10_000


class Pages(Section):
    """How the vendor's list is cut into pages."""

    by: Literal["number", "offset", "link", "token"] = Field(
        description="number, offset: {{ page }} in the request counts pages or items, until a page is empty; link: the "
        "answer names the next address; token: it gives the next {{ page }}."
    )
    start: int = Field(default=1, ge=0, le=1, description="by number: the first page.")
    next: Formula | None = Field(
        default=None,
        description="by link, token: where the answer holds it (answer.links.next); none or empty: the end.",
    )
    last: Test | None = Field(default=None, description="What says of an answer that no page follows.")
    most: int = Field(
        default=100, ge=1, le=MOST_PAGES, description="Pages in one poll; the next poll goes on from there."
    )

    @model_validator(mode="after")
    def _complete(self) -> Pages:
        if (self.next is not None) != (self.by in ("link", "token")):
            raise ValueError("needs next for by: link and by: token, and only for these")
        return self


class Each(Section):
    """A second request for each item of the list: the courses of each learner, the learners of each course."""

    request: Ask = Field(description="What is asked, from outer (the item of the list), since and now.")
    items: Formula | None = Field(
        default=None, description="Where its answer holds the list (default: it is the list)."
    )


class Poll(Section):
    """Where the completions of a source are listed."""

    every: Duration = Field(default=timedelta(minutes=15), description="The pause between two polls.")
    request: Ask = Field(
        description="What is asked, from since (times of completion or change wanted), now and page; the transforms "
        "to_iso, to_epoch and to_local write times as the vendor reads them."
    )
    items: Formula | None = Field(
        default=None, description="Where the answer holds the list (default: it is the list)."
    )
    each: Each | None = Field(
        default=None, description="Asks once more for each item of the list; what is listed there are the items then."
    )
    only: Test | None = Field(
        default=None, description="Which items are events, from item; one without what is looked at is none."
    )
    type: Words = Field(description='The event type, from item: "completed", or "{{ item.kind }}".')
    data: JsonTree | None = Field(
        default=None, description="The event's data from item and answer (default: the item), as that of a webhook."
    )
    test_mark: Test | None = Field(default=None, description="What marks an item as a sample.")
    pages: Pages | None = Field(default=None, description="How the list is cut into pages (default: there is one).")
    overlap: Duration = Field(
        default=timedelta(hours=1), description="How much before the last poll the next one begins."
    )


@dataclass
class Polling:
    """One poll; the cursor says where it begins, and each page where the next one would go on."""

    words: Poll
    cutter: Cutter
    api: ApiClient
    now: datetime
    base_url: str
    spellings: dict[str, str]
    _seen: set[str] = field(default_factory=set)

    def pages(self, cursor: JsonObject, since: datetime) -> Iterator[Page]:
        """Yields the events of each page. Raises TemporaryError, PermanentError."""
        going = cursor.get("going")
        state: JsonObject = going if isinstance(going, dict) else {"page": None, "began": self.now.isoformat()}
        since = _time(state.get("since") or cursor.get("since")) or since
        began = _time(state.get("began")) or self.now
        page = state.get("page")
        most = self.words.pages.most if self.words.pages else 1
        for _ in range(most):
            answer, items = self._ask(page, since)
            page = self._next(page, answer, items)
            found = self._inner(items, answer, since)
            events = [event for scope in found if (event := self._event(scope)) is not None]
            if page is None:
                yield Page(events, {"since": (began - self.words.overlap).isoformat()})
                return
            going_on = {"page": page, "since": since.isoformat(), "began": began.isoformat()}
            yield Page(events, {"since": since.isoformat(), "going": going_on})

    def _ask(self, page: object, since: datetime) -> tuple[object, list[Any]]:
        link = self.words.pages is not None and self.words.pages.by == "link"
        shown = "" if link or page is None else page
        if page is None and self.words.pages is not None:
            shown = {"number": self.words.pages.start, "offset": 0}.get(self.words.pages.by, "")
        scope = {"since": since, "now": self.now, "page": shown, "settings": self.cutter.settings}
        at = str(page) if link and page is not None else None
        return self._listed(self.words.request, self.words.items, scope, at)

    def _inner(self, items: list[Any], answer: object, since: datetime) -> Iterator[Scope]:
        """Yields each item with what stands around it, asking once more for each where the declaration says so."""
        around = {"settings": self.cutter.settings, "since": since, "now": self.now}
        each = self.words.each
        if each is None:
            yield from ({**around, "item": item, "answer": answer} for item in items)
            return
        for outer in items:
            if isinstance(outer, dict):
                inner, found = self._listed(each.request, each.items, {**around, "outer": outer}, None)
                yield from ({**around, "item": item, "answer": inner, "outer": outer} for item in found)

    def _listed(self, ask: Ask, items: Expression | None, scope: Scope, at: str | None) -> tuple[object, list[Any]]:
        try:
            answer = ask.send(self.api, scope, at=at)
            found = answer if items is None else worked_out(items, {"answer": answer})
        except Unclear as unclear:
            raise TemporaryError(f"The list of completions cannot be read: {unclear}.", code="list") from None
        if not isinstance(found, list):
            raise TemporaryError(f"The vendor's list of completions is {kind(found)}, not a list.", code="list")
        return answer, found[:_MOST_ITEMS]

    def _next(self, page: object, answer: object, items: list[Any]) -> object:
        """Returns the next page, or None at the end."""
        words, scope = self.words.pages, {"answer": answer, "settings": self.cutter.settings}
        if words is None or (words.last is not None and _surely(words.last, scope)):
            return None
        if words.by in ("number", "offset"):
            here = page if isinstance(page, int) else (words.start if words.by == "number" else 0)
            return here + (1 if words.by == "number" else len(items)) if items else None
        try:
            found = line(words.next, scope, longest=4_000) if words.next is not None else ""
        except Unclear:
            return None  # no next page is what null and a missing field say
        if not found or found in ("false", "False") or found in self._seen:
            return None
        self._seen.add(found)
        return self._linked(found) if words.by == "link" else found

    def _linked(self, found: str) -> str:
        url = urljoin(self.base_url + "/", found)
        if host_of(url) != host_of(self.base_url) or not url.startswith(self.base_url.partition("://")[0] + "://"):
            raise PermanentError("The vendor's list goes on at another host; it was not called.", code="host_refused")
        return url

    def _event(self, scope: Scope) -> SourceEvent | None:
        if not isinstance(scope["item"], dict) or not scope["item"]:
            return None
        if self.words.only is not None and not _surely(self.words.only, scope):
            return None
        try:
            event = self.cutter.cut(shaped(self.words.data, scope), type_of(self.words.type, scope, self.spellings))
        except PayloadError:
            return None  # an item without a type is no event, as one that `only` leaves out
        if marked_as_test(self.words.test_mark, scope):
            return event.model_copy(update={"skip": MARKED})
        return event


MARKED: Final = "The sender marked this record as a test; it works, and it is no learner."


def _surely(test: Any, scope: Scope) -> bool:
    try:
        return bool(test.surely(scope))
    except Unclear:
        return False


def _time(value: object) -> datetime | None:
    try:
        found = read_iso(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if isinstance(found, datetime) else None
