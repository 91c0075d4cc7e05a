"""The block `source:` of a mapping file: everything that is to be said about a kind of source, without a program."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, model_validator

from bridge.core.declared.access import Api
from bridge.core.declared.bodies import BodyKind, Nested
from bridge.core.declared.events import EventWords
from bridge.core.declared.fetch import Fetch
from bridge.core.declared.listing import Poll
from bridge.core.declared.proof import Proof
from bridge.core.declared.reply import ReplyWords
from bridge.core.declared.settings import SettingName, SettingWords
from bridge.core.declared.signed import Duration
from bridge.core.declared.steps import WriteStep
from bridge.core.declared.texts import Formula, JsonTree, Test, Words
from bridge.core.section import Section

MOST_STEPS: Final = 10


def _several(raw: object) -> object:
    return [raw] if isinstance(raw, str) else raw


class Webhook(Section):
    """What the vendor sends."""

    proof: tuple[Proof, ...] = Field(
        min_length=1, max_length=5, description="What makes a request authentic; all that are set up must fit."
    )
    body: Annotated[tuple[BodyKind, ...], BeforeValidator(_several)] = Field(
        default=("json",), min_length=1, description="How the body is written; of several its first sign tells which."
    )
    nested: Nested | None = Field(
        default=None,
        description="How names of a form hold groups: user[email] (brackets) or user__email (underscores).",
    )
    items: Formula | None = Field(
        default=None,
        description="Where the body holds a list of events: body.data.items (default: it is one, or a list).",
    )
    type: Words = Field(description='The event type, from item, body or headers: "{{ item.event }}", or one word.')
    data: JsonTree | None = Field(
        default=None, description="The event's data from item, body, headers and query (default: the item as it came)."
    )
    test_mark: Test | None = Field(
        default=None, description="What marks a sample, from item, body, headers and query; it gets no certificate."
    )
    reply: ReplyWords = Field(default=ReplyWords(), description="How the sender is answered.")


class Declaration(Section):
    """A kind of source."""

    title: str = Field(min_length=1, max_length=80, description="The vendor's own spelling.")
    docs_url: str = Field(pattern=r"^https://\S{3,300}$", description="The vendor's page on webhooks (or its API).")
    setup: str = Field(
        default="", max_length=2_000, description="What an admin does at the vendor, in a few sentences."
    )
    limits: str = Field(default="-", max_length=300, description="What to know before choosing it; for the table.")
    settings: dict[SettingName, SettingWords] = Field(
        default={}, max_length=30, description="Settings of each source, beside the secrets that its proofs need."
    )
    webhook: Webhook | None = Field(default=None, description="What the vendor sends.")
    types: dict[str, str] = Field(
        default={}, max_length=100, description="Other spellings of event types: {courseCompleted: course.completed}."
    )
    not_wanted: dict[str, str] = Field(
        default={}, max_length=100, description="Event types that bring no certificate, each with the reason."
    )
    event: EventWords = Field(default=EventWords(), description="Where the words of an event stand in its data.")
    api: Api | None = Field(default=None, description="The vendor's API.")
    fetch: Fetch | None = Field(default=None, description="What is asked about each event before anything is issued.")
    poll: Poll | None = Field(default=None, description="Where completions are listed.")
    write_back: tuple[WriteStep, ...] = Field(
        default=(), max_length=MOST_STEPS, description="What is written into the source, in order."
    )
    same_within: Duration = Field(
        default=timedelta(0),
        description="Two completions of one learner and course this close together are one (a poll's minute).",
    )

    @model_validator(mode="after")
    def _of_some_use(self) -> Declaration:
        if self.webhook is None and self.poll is None:
            raise ValueError("needs webhook or poll: somebody has to report completions")
        return self
