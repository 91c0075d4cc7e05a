"""The form of a mapping file, for both layers: what may be written where, with the help that editors show."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    WithJsonSchema,
    model_validator,
)

from bridge.core.conditions import PHRASES, Phrase, parse
from bridge.core.dates import Validity, valid_for, valid_until
from bridge.core.declared.model import Declaration
from bridge.core.expressions import Expression, Text, compile_expression, compile_text
from bridge.core.recipients import read_address
from bridge.core.section import Section

WORDS: Final[Mapping[str, str]] = {
    "name": "the learner's name as it will be printed",
    "email": "the learner's e-mail address",
    "course": "the course's id at the source",
    "course title": "the course's title at the source",
    "score": "the grade, where the source gives one",
    "completed_at": "the moment of completion",
    "completed_on": "the date of completion, in the time zone of the certificate",
    "locale": "the learner's language, such as pt-BR",
}
"""The words that conditions know, beside the names of custom fields."""

PLACE_NAMES: Final = ("data", "event")
"""What the locale and the zone of an event may be made from."""
EVENT_NAMES: Final = (*PLACE_NAMES, "locale", "zone")
"""What the words of an event may be made from."""
COURSE_NAMES: Final = (*EVENT_NAMES, "name", "email", "course", "score", "completed_at", "completed_on", "fields")
"""What the settings of a course may be made from."""

_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_TEMPLATE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}([_-][A-Za-z0-9]{1,8}){0,3}")

# Editors read 8 as a number and yes as a boolean where we read text.
_TEXT_SCHEMA: Final = {"type": ["string", "number", "boolean"]}


def _as_given(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError('One line of text is needed here; text with [ ] { } or "{{ ... }}" belongs in quotes.')
    return raw


def _text(names: tuple[str, ...]) -> Callable[[object], Text]:
    def check(raw: object) -> Text:
        return compile_text(_as_given(raw), names)

    return check


def _expression(raw: object) -> Expression:
    return compile_expression(_as_given(raw), COURSE_NAMES)


def _conditions(raw: object) -> tuple[Phrase, ...]:
    if raw is None:
        # {score: one of a, b} is read by YAML as two entries, the second without a value.
        raise ValueError("No condition stands here. A text with a comma or a bracket inside { } belongs in quotes.")
    return tuple(parse(_as_given(item)) for item in (raw if isinstance(raw, list) and raw else [raw]))


def _pattern(pattern: re.Pattern[str], advice: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(advice)
        return value

    return AfterValidator(check)


def _field_name(name: str) -> str:
    if name in {*WORDS, "course_title", "zone", "title", "event", "data", "fields"}:
        raise ValueError(f'"{name}" is already a word of ours. Choose another name for the field.')
    if not _FIELD.fullmatch(name):
        raise ValueError("The name of a field has letters, digits and _, and starts with a letter.")
    return name


def _cc(raw: object) -> tuple[Text, ...]:
    texts = raw if isinstance(raw, list) else [raw]
    return tuple(_cc_item(_as_given(text)) for text in texts)


def _cc_item(text: str) -> Text:
    compiled = compile_text(text.strip(), COURSE_NAMES)
    if not compiled.roots:
        if "@" in text:
            read_address(text)
        elif not _FIELD.fullmatch(text.strip()):
            raise ValueError("Write an address, the name of a field, or {{ ... }}.")
    return compiled


def _reply_to(raw: object) -> Text:
    compiled = compile_text(_as_given(raw), COURSE_NAMES)
    if not compiled.roots:
        read_address(compiled.source)
    return compiled


def _validity(read: Callable[[str], Validity]) -> PlainValidator:
    def check(raw: object) -> Validity:
        return read(_as_given(raw))

    return PlainValidator(check)


_TextSchema: Final = WithJsonSchema(_TEXT_SCHEMA)
PlaceText = Annotated[Text, PlainValidator(_text(PLACE_NAMES)), _TextSchema]
EventText = Annotated[Text, PlainValidator(_text(EVENT_NAMES)), _TextSchema]
CourseText = Annotated[Text, PlainValidator(_text(COURSE_NAMES)), _TextSchema]
FieldName = Annotated[str, AfterValidator(_field_name)]
Language = Annotated[str, _pattern(_LANGUAGE, "Write a language code, such as en or pt-BR.")]
TemplateName = Annotated[str, _pattern(_TEMPLATE, "The name of a template has letters, digits, - and _.")]
Phrases = Annotated[
    tuple[Phrase, ...],
    PlainValidator(_conditions),
    WithJsonSchema(
        {
            "anyOf": [_TEXT_SCHEMA, {"type": "array", "items": _TEXT_SCHEMA}],
            "description": "A condition: " + "; ".join(f"{phrase} ({meaning})" for phrase, meaning in PHRASES.items()),
        }
    ),
]
CcTexts = Annotated[
    tuple[Text, ...],
    PlainValidator(_cc),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
ExpressionText = Annotated[Expression, PlainValidator(_expression), WithJsonSchema({"type": "string"})]
ValidFor = Annotated[Validity, _validity(valid_for), WithJsonSchema({"type": "string"})]
ValidUntil = Annotated[Validity, _validity(valid_until), WithJsonSchema({"type": "string"})]
Title = Annotated[
    Annotated[CourseText, Tag("text")] | Annotated[dict[Language, CourseText], Field(min_length=1), Tag("languages")],
    Discriminator(lambda raw: "languages" if isinstance(raw, dict) else "text"),
]


class Conditions(Section):
    """Lines `word: condition`; several conditions for one word stand in a list."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Phrases]

    expression: ExpressionText | None = Field(
        default=None, description="The way out: an expression that gives true or false."
    )
    because: str = Field(default="", max_length=500, description="The reason to show when these lines decide.")

    @model_validator(mode="after")
    def _has_lines(self) -> Conditions:
        if self.because and not self.lines() and self.expression is None:
            raise ValueError("It gives a reason but no condition. Write a line such as: score: at least 80.")
        return self

    def lines(self) -> dict[str, tuple[Phrase, ...]]:
        """Returns the conditions by word."""
        return dict(self.__pydantic_extra__ or {})


def _added(raw: object) -> object:
    return {} if raw == "none" else raw


Added = Annotated[Conditions, BeforeValidator(_added)]


class CourseWords(Section):
    """Which course it was."""

    id: EventText | None = Field(default=None, description="Its id at the source; needed where the event names none.")
    title: EventText | None = Field(default=None, description="Its title as printed, unless the course entry has one.")
    short_name: EventText | None = Field(default=None, description="Its short name, for course entries with a *.")


class CompletionWords(Section):
    """How the source's data becomes our words."""

    name: EventText | None = Field(default=None, description="The learner's name as printed.")
    email: EventText | None = Field(default=None, description="The learner's e-mail address.")
    course: CourseWords = CourseWords()
    completed_at: EventText | None = Field(default=None, description="ISO time or date, or made one by a transform.")
    score: EventText | None = Field(default=None, description="The grade, if there is one.")
    locale: PlaceText | None = Field(default=None, description="The learner's language.")
    zone: PlaceText | None = Field(default=None, description="The IANA time zone of the completion's date.")
    fields: dict[FieldName, EventText] = Field(default={}, description="More values; a missing one is left out.")


class Rules(Section):
    """Who gets a certificate, and who decides."""

    skip_if: Added | None = Field(
        default=None, description="Any line true: never a certificate, and the reason is kept."
    )
    hold_if: Added | None = Field(default=None, description="Any line true: a person decides.")
    issue_if: Added | None = Field(default=None, description="All lines must be true for a certificate.")


class RevocationWords(Section):
    """The source took a completion back: its certificate is revoked."""

    reason: EventText = Field(description="The reason, as everybody who opens the certificate's page will read it.")


class ErasureWords(Section):
    """The source asks to forget a learner."""

    policy: Literal["erase", "ask"] = Field(
        default="ask", description="erase: names, addresses and files go at once; ask: a person releases the event."
    )


class MergeWords(Section):
    """Several records of one learner became one at the source."""

    into: EventText | None = Field(default=None, description="The record that stays; default: the event's learner.")
    merged: EventText = Field(description="The records that are gone: one id, or a list.")


class EventMapping(Rules):
    """What to do with one event type of the source."""

    completion: CompletionWords = Field(default=CompletionWords(), description="The words, and what each is made from.")
    revocation: RevocationWords | None = Field(
        default=None, description="This event takes a completion back: its certificate is revoked."
    )
    erasure: ErasureWords | None = Field(default=None, description="This event asks to forget a learner.")
    merge: MergeWords | None = Field(default=None, description="This event says that records of a learner became one.")

    @property
    def act(self) -> RevocationWords | ErasureWords | MergeWords | None:
        """What the event asks for, when it is no completion."""
        return self.revocation or self.erasure or self.merge

    @model_validator(mode="after")
    def _one_meaning(self) -> EventMapping:
        acts = [name for name in ACTS if getattr(self, name) is not None]
        others = self.model_fields_set - set(acts)
        if acts and (len(acts) > 1 or others):
            raise ValueError(f"An event with {acts[0]} means that alone. Remove: {', '.join([*acts[1:], *others])}.")
        return self


ACTS: Final = ("revocation", "erasure", "merge")


class MailSettings(Section):
    """How the learner is told."""

    send: bool | None = Field(default=None, description="false: no mail.")
    cc: CcTexts | None = Field(default=None, description="Addresses, or names of fields that hold one.")
    reply_to: Annotated[Text, PlainValidator(_reply_to), WithJsonSchema({"type": "string"})] | None = Field(
        default=None, description="Where answers go."
    )


class CourseRules(Rules):
    """Decisions for courses."""

    template: TemplateName | None = Field(default=None, description="The certificate's template (default: classic).")
    valid_for: ValidFor | None = Field(
        default=None, description="Counted from the completion: 2 years, 18 months, 90 days, forever."
    )
    valid_until: ValidUntil | None = Field(
        default=None, description="A date (2027-06-30), or the next day of every year (31 December)."
    )
    again: Literal["reuse", "renew", "hold"] | None = Field(
        default=None, description="Same learner and course later: keep the certificate, make a new one, or ask."
    )
    fields: dict[FieldName, CourseText] = Field(default={}, description="More values for certificate and mail.")
    mail: MailSettings = Field(default=MailSettings(), description="How the learner is told.")

    @model_validator(mode="after")
    def _one_validity(self) -> CourseRules:
        if self.valid_for is not None and self.valid_until is not None:
            raise ValueError("Either valid_for or valid_until, not both.")
        return self


class CourseEntry(CourseRules):
    """One course: its title, and what differs from every_course."""

    title: Title | None = Field(
        default=None, description="The title as printed: a text, or one per language {en: ..., de: ...}."
    )


def _entry(raw: object) -> object:
    return {} if raw is None else {"title": raw} if isinstance(raw, str) else raw


_ENTRY_SCHEMA: Final = {"anyOf": [{"$ref": "#/$defs/CourseEntry"}, {**_TEXT_SCHEMA, "description": "The title."}]}


class MappingFile(Section):
    """A mapping: how a source's data becomes our words, and the decisions of the school."""

    extends: Annotated[str, _pattern(_TEMPLATE, "Write the name of a shipped mapping.")] | None = Field(
        default=None, description="The mapping that this one builds on."
    )
    connector: Annotated[str, _pattern(_TEMPLATE, "Write the name of a connector.")] | None = Field(
        default=None, description="The kind of source; only where nothing is extended."
    )
    source: Declaration | None = Field(
        default=None, description="Declares the kind of source itself; the file's name is then that of the connector."
    )
    events: dict[str, EventMapping] = Field(default={}, description="One entry for each event type of the source.")
    every_course: CourseRules = Field(default=CourseRules(), description="What goes for all courses.")
    other_courses: Literal["hold", "skip", "issue"] | None = Field(
        default=None, description="Completed but not listed below (default: hold)."
    )
    courses: dict[str, Annotated[CourseEntry, BeforeValidator(_entry)]] = Field(
        default={}, description="One entry per course: its id, or its short name (with * for any text)."
    )


_BUILT_ON: Final = (
    "Declaration",
    "Webhook",
    "Api",
    "BasicLogin",
    "ClientCredentials",
    "RateWords",
    "Fetch",
    "Poll",
    "Each",
)
"""Groups of a declaration; in one that builds on another, each holds no more than what differs."""


def schema() -> dict[str, Any]:
    """Returns the JSON Schema of mapping files, for editors that complete and check while typing."""
    made: dict[str, Any] = _without_null(MappingFile.model_json_schema())
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "certbridge mapping"
    made["properties"]["courses"]["additionalProperties"] = _ENTRY_SCHEMA
    for part in _BUILT_ON:
        made["$defs"][part].pop("required", None)
    for part in ("EventMapping", "CourseRules", "CourseEntry"):
        for rule in Rules.model_fields:
            block = made["$defs"][part]["properties"][rule]
            block["anyOf"] = [
                {"$ref": block.pop("$ref")},
                {"const": "none", "description": "Nothing inherited counts."},
            ]
    return made


def _without_null(part: Any) -> Any:
    # A line that is absent is None in the model, but nobody may write null.
    if isinstance(part, list):
        return [_without_null(item) for item in part]
    if not isinstance(part, dict):
        return part
    cleaned = {key: _without_null(value) for key, value in part.items() if (key, value) != ("default", None)}
    choices = [choice for choice in cleaned.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del cleaned["anyOf"]
        cleaned |= choices[0]
    elif choices:
        cleaned["anyOf"] = choices
    return cleaned
