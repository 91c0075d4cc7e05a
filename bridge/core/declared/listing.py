"""Where the completions of a declared source are listed, and how the lists are cut into pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from pydantic import Field, model_validator

from bridge.core.declared.asking import Ask
from bridge.core.declared.signed import Duration
from bridge.core.declared.texts import Formula, JsonTree, Test, Words
from bridge.core.section import Section

MOST_PAGES: Final = 1_000


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


class Listing(Section):
    """A list of the vendor's, page by page."""

    request: Ask = Field(
        description="What is asked, from since (times of completion or change wanted), now and page; the transforms "
        "to_iso, to_epoch and to_local write times as the vendor reads them."
    )
    items: Formula | None = Field(
        default=None, description="Where the answer holds the list (default: it is the list)."
    )
    pages: Pages | None = Field(default=None, description="How the list is cut into pages (default: there is one).")


class Each(Listing):
    """A second list for each item of the first: the courses of each learner, the learners of each course."""

    request: Ask = Field(description="What is asked, from outer (the item of the first list), since, now and page.")


class Detail(Ask):
    """A request about one item, for what the list leaves out."""

    when: Test = Field(description="Which items it is asked about, from item: item.status is undefined.")


class Poll(Listing):
    """Where the completions of a source are listed."""

    every: Duration = Field(default=timedelta(minutes=15), description="The pause between two polls.")
    each: Each | None = Field(
        default=None, description="Asks once more for each item of the list; what is listed there are the items then."
    )
    detail: Detail | None = Field(
        default=None,
        description="Asks once more about an item where the list leaves out what is needed; detail is the answer then.",
    )
    expect: Test | None = Field(
        default=None,
        description="What is true of items as they are declared: item.status is defined. Where it is true of none on a "
        "page, the poll fails and says so, instead of finding nothing.",
    )
    only: Test | None = Field(
        default=None, description="Which items are events, from item; one without what is looked at is none."
    )
    type: Words = Field(description='The event type, from item: "completed", or "{{ item.kind }}".')
    data: JsonTree | None = Field(
        default=None,
        description="The event's data from item, detail and answer (default: the item), as that of a webhook.",
    )
    test_mark: Test | None = Field(default=None, description="What marks an item as a sample.")
    overlap: Duration = Field(
        default=timedelta(hours=1), description="How much before the last poll the next one begins."
    )
