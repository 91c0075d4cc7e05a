"""Asks the vendor for completions, page by page, from where the last poll stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final
from urllib.parse import urljoin

from bridge.core.answers import moment
from bridge.core.connector import ApiClient, Page
from bridge.core.declared.addresses import host_of
from bridge.core.declared.events import Cutter, marked_as_test, shaped, type_of
from bridge.core.declared.listing import Listing, Poll
from bridge.core.declared.texts import Scope, Unclear, line, worked_out
from bridge.core.errors import PayloadError, PermanentError, TemporaryError
from bridge.core.models import JsonObject, SourceEvent
from bridge.core.text import kind

_MOST_ITEMS: Final = 10_000
_LOOKED_BELOW: Final = 5
"""Items of the first list below which `look` looks for one of the second."""
_GONE: Final = ("http_400", "http_404", "http_410", "http_422", "host_refused")
"""What is said of a page that the vendor no longer knows, or that is at the host of a former address."""


@dataclass
class Polling:
    """One poll; the cursor says where it begins, and each page where the next one would go on."""

    words: Poll
    cutter: Cutter
    api: ApiClient
    now: datetime
    base_url: str
    spellings: dict[str, str]

    def pages(self, cursor: JsonObject, since: datetime) -> Iterator[Page]:
        """Yields the events of each page. Raises TemporaryError, PermanentError."""
        going = cursor.get("going")
        state: JsonObject = going if isinstance(going, dict) else {"page": None, "began": self.now.isoformat()}
        since = moment(state.get("since") or cursor.get("since")) or since
        began = moment(state.get("began")) or self.now
        around = {"settings": self.cutter.settings, "since": since, "now": self.now}
        turning = _Turning(self.words, self.api, self.base_url, around, state.get("page"))
        for number in range(turning.most):
            answer, items = turning.turn() if number else turning.resume()
            found = list(self._inner(items, answer, around))
            self._check(found)
            events = [event for scope in found if (event := self._event(scope)) is not None]
            if turning.page is None:
                yield Page(events, {"since": (began - self.words.overlap).isoformat()})
                return
            going_on = {"page": turning.page, "since": since.isoformat(), "began": began.isoformat()}
            more = number == turning.most - 1
            yield Page(events, {"since": since.isoformat(), "going": going_on}, more)

    def look(self, since: datetime) -> SourceEvent | None:
        """Asks as a poll does, for the first item alone, and returns it as an event, whether it is one or not.

        None where nothing is listed. Raises TemporaryError where the list is not as it is declared, PermanentError.
        """
        around = {"settings": self.cutter.settings, "since": since, "now": self.now}
        answer, items = _Turning(self.words, self.api, self.base_url, around).turn()
        found = list(islice(self._inner(items[:_LOOKED_BELOW], answer, around), 1))
        self._check(found)
        return next((event for scope in found if (event := self._cut(scope)) is not None), None)

    def _inner(self, items: list[Any], answer: object, around: Scope) -> Iterator[Scope]:
        """Yields each item with what stands around it, asking once more for each where the declaration says so."""
        for item in items:
            if self.words.each is None:
                yield self._detailed({**around, "item": item, "answer": answer})
            elif isinstance(item, dict):
                yield from map(self._detailed, self._below(self.words.each, {**around, "outer": item}))

    def _below(self, each: Listing, around: Scope) -> Iterator[Scope]:
        turning = _Turning(each, self.api, self.base_url, around)
        for _ in range(turning.most):
            answer, items = turning.turn()
            yield from ({**around, "item": item, "answer": answer} for item in items)
            if turning.page is None:
                return
        raise TemporaryError(f"One of the vendor's lists has more than {turning.most:,} pages.", code="list")

    def _detailed(self, scope: Scope) -> Scope:
        """Returns what stands around an item with what the vendor says of it alone, where the list leaves that out."""
        detail = self.words.detail
        if detail is None or not isinstance(scope["item"], dict) or not _surely(detail.when, scope):
            return {**scope, "detail": {}}
        try:
            return {**scope, "detail": detail.send(self.api, scope)}
        except Unclear as unclear:
            raise TemporaryError(f"The list of completions cannot be read: {unclear}.", code="list") from None
        except PermanentError as error:
            if error.stable_code not in ("http_404", "http_410"):
                raise
            return {**scope, "detail": {}}  # nothing is known of it; `expect` tells whether that is so of everything

    def _check(self, found: list[Scope]) -> None:
        expect = self.words.expect
        if expect is not None and found and not any(_surely(expect, scope) for scope in found):
            raise TemporaryError(
                f'The vendor\'s list looks different from what is declared ("{expect.expression.source}" is true of '
                "nothing in it), so nothing was taken from it.",
                code="list",
            )

    def _event(self, scope: Scope) -> SourceEvent | None:
        if not isinstance(scope["item"], dict) or not scope["item"]:
            return None
        if self.words.only is not None and not _surely(self.words.only, scope):
            return None
        event = self._cut(scope)
        if event is not None and marked_as_test(self.words.test_mark, scope):
            return event.model_copy(update={"skip": MARKED})
        return event

    def _cut(self, scope: Scope) -> SourceEvent | None:
        try:
            return self.cutter.cut(shaped(self.words.data, scope), type_of(self.words.type, scope, self.spellings))
        except PayloadError:
            return None  # an item without a type is no event, as one that `only` leaves out


@dataclass
class _Turning:
    """One list of the vendor's, and the page it is at."""

    words: Listing
    api: ApiClient
    base_url: str
    around: Scope
    page: object = None
    """The page to be asked for next: None before the first, and after the last one."""
    _seen: set[str] = field(default_factory=set)
    _before: list[Any] = field(default_factory=list)

    @property
    def most(self) -> int:
        """The pages that may be asked for in one poll."""
        return self.words.pages.most if self.words.pages else 1

    def turn(self) -> tuple[object, list[Any]]:
        """Asks for the page and returns answer and items; `page` is the next one then. Raises TemporaryError."""
        words = self.words
        link = words.pages is not None and words.pages.by == "link"
        shown = "" if link or self.page is None else self.page
        if self.page is None and words.pages is not None:
            shown = {"number": words.pages.start, "offset": 0}.get(words.pages.by, "")
        try:
            at = str(self.page) if link and self.page is not None else None
            answer = words.request.send(self.api, {**self.around, "page": shown}, at=at)
            found = answer if words.items is None else worked_out(words.items, {"answer": answer})
        except Unclear as unclear:
            raise TemporaryError(f"The list of completions cannot be read: {unclear}.", code="list") from None
        if not isinstance(found, list):
            raise TemporaryError(f"The vendor's list of completions is {kind(found)}, not a list.", code="list")
        if len(found) > _MOST_ITEMS:
            raise TemporaryError(f"The vendor's list has more than {_MOST_ITEMS:,} items in one answer.", code="list")
        if words.pages is not None and found and found == self._before:
            # A vendor that does not know the page's parameter: what it lists behind this page is never seen.
            raise _goes_on_nowhere("the page after it is the same page again")
        self._before = found
        self.page = self._next(answer, found)
        return answer, found

    def resume(self) -> tuple[object, list[Any]]:
        """Asks for the page at which an earlier poll stopped, or from the beginning where that page is gone."""
        try:
            return self.turn()
        except PermanentError as error:
            if self.page is None or error.stable_code not in _GONE:
                raise
        self.page = None
        return self.turn()

    def _next(self, answer: object, items: list[Any]) -> object:
        """Returns the page after this one, or None at the end."""
        words, scope = self.words.pages, {**self.around, "answer": answer}
        if words is None or (words.last is not None and _surely(words.last, scope)):
            return None
        if words.by in ("number", "offset"):
            here = self.page if isinstance(self.page, int) else (words.start if words.by == "number" else 0)
            return here + (1 if words.by == "number" else len(items)) if items else None
        try:
            given = worked_out(words.next, scope) if words.next is not None else ""
            found = line(words.next, scope, longest=4_000) if words.next is not None and given not in ([], {}) else ""
        except Unclear as unclear:
            if unclear.missing:
                return None  # no next page is what null and a missing field say
            # Taken for the end, the cursor would move past what was never looked at.
            raise TemporaryError(f"The vendor's list names a next page that is none: {unclear}.", code="list") from None
        if not found or found in ("false", "False"):
            return None
        if found in self._seen:
            raise _goes_on_nowhere("it names a page as the next one that it named before")
        self._seen.add(found)
        return self._linked(found) if words.by == "link" else found

    def _linked(self, found: str) -> str:
        url = urljoin(self.base_url + "/", found)
        if host_of(url) != host_of(self.base_url) or not url.startswith(self.base_url.partition("://")[0] + "://"):
            raise PermanentError("The vendor's list goes on at another host; it was not called.", code="host_refused")
        return url


def _goes_on_nowhere(what: str) -> TemporaryError:
    return TemporaryError(
        f"The vendor's list does not go on: {what}. That is not its end, so the poll counts as failed.", code="list"
    )


MARKED: Final = "The sender marked this record as a test; it works, and it is no learner."


def _surely(test: Any, scope: Scope) -> bool:
    try:
        return bool(test.surely(scope))
    except Unclear:
        return False
