"""What a declared source makes of a body: elements, words, types, samples, and what is of no interest."""

from __future__ import annotations

from typing import Any

import pytest
from declared_examples import EVENT, EVENTS, HEAD, SMALL, WEBHOOK, build, request

from bridge.core.errors import HeldError, PayloadError
from bridge.core.models import Received, SourceEvent

ITEM = {"type": "done", "id": "e-1", "user": 7, "course": "68", "at": "2026-02-14T14:30:10Z", "name": "Dana"}


class NoApi:
    def request(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is to be asked")


def parsed(text: str, body: object, headers: dict[str, str] | None = None, **more: Any) -> list[SourceEvent]:
    return list(build(text).parse(request(body, headers, **more)))


def one(body: object, text: str = SMALL, headers: dict[str, str] | None = None) -> SourceEvent:
    (found,) = parsed(text, body, headers)
    return found


# -- words -------------------------------------------------------------------------------------------


def test_the_words_of_an_event_are_read_from_its_data() -> None:
    event = one(ITEM)
    assert (event.event_id, event.event_type, event.subject, event.course) == ("e-1", "done", "7", "68")
    assert event.keys == ("done:7:68@2026-02-14T14:30:10Z",)
    assert event.occurred_at is not None
    assert event.occurred_at.isoformat() == "2026-02-14T14:30:10+00:00"
    assert event.data == ITEM


def test_without_an_id_the_hash_of_the_data_counts() -> None:
    bare = {key: value for key, value in ITEM.items() if key != "id"}
    assert one(bare).event_id == one(dict(reversed(bare.items()))).event_id
    assert one(bare).event_id.startswith("sha256:")
    assert one(bare).event_id != one({**bare, "user": 8}).event_id


@pytest.mark.parametrize("odd", [None, "", " ", True, 1.5, [], {}, "x" * 301, "x" * 25_000])
def test_a_learner_that_cannot_be_known_is_left_open(odd: object) -> None:
    assert one({**ITEM, "user": odd}).subject is None


@pytest.mark.parametrize("odd", [None, "", "  ", [], {}, True])
@pytest.mark.parametrize("part", ["user", "course", "at"])
def test_a_key_with_a_missing_or_blank_part_is_left_out(part: str, odd: object) -> None:
    assert one({**ITEM, part: odd}).keys == ()


@pytest.mark.parametrize("odd", [None, "", " ", [], True])
def test_an_id_with_a_blank_part_is_none(odd: object) -> None:
    text = SMALL.replace('id: "{{ data.id }}"', 'id: "{{ type }}:{{ data.id }}"')
    assert one(ITEM, text).event_id == "done:e-1"
    assert one({**ITEM, "id": odd}, text).event_id.startswith("sha256:")


def test_a_long_id_is_replaced_by_its_hash() -> None:
    event = one({**ITEM, "id": "x" * 400})
    assert event.event_id.startswith("sha256:")
    assert len(event.event_id) == 71


def test_a_day_without_a_time_is_that_day_in_every_time_zone() -> None:
    event = one({**ITEM, "at": "2026-02-14"})
    assert event.occurred_at is not None
    assert event.occurred_at.isoformat() == "2026-02-14T12:00:00+00:00"


@pytest.mark.parametrize("odd", ["soon", "2026-02-14T14:30", 5, "0001-01-01", "9" * 5_000])
def test_a_time_that_is_none_leaves_the_time_open(odd: object) -> None:
    assert one({**ITEM, "at": odd}).occurred_at is None


@pytest.mark.parametrize("odd", [None, "", " ", [], {}, "x" * 101])
def test_an_event_without_a_type_is_refused(odd: object) -> None:
    with pytest.raises(PayloadError, match="no type"):
        one({**ITEM, "type": odd})


def test_other_spellings_of_a_type_are_the_same_type() -> None:
    text = SMALL.replace("  event:", "  types: {user.done: done}\n  event:")
    assert one({**ITEM, "type": "User.Done"}, text).event_type == "done"


def test_a_type_that_brings_no_certificate_is_skipped_with_its_reason() -> None:
    text = SMALL.replace("  event:", "  not_wanted: {started: Nothing is completed yet.}\n  event:")
    assert one({**ITEM, "type": "started"}, text).skip == "Nothing is completed yet."
    assert build(text).event_types == {"done", "started"}


# -- samples, and events of no interest --------------------------------------------------------------

IGNORE = SMALL.replace("events:\n", "    ignore: [{when: data.kind == 'lesson', because: A lesson only.}]\nevents:\n")


def test_an_event_that_a_rule_ignores_is_skipped_with_its_reason() -> None:
    assert one({**ITEM, "kind": "lesson"}, IGNORE).skip == "A lesson only."
    assert one({**ITEM, "kind": "course"}, IGNORE).skip is None


def test_an_event_of_which_a_rule_cannot_tell_is_held_and_says_why() -> None:
    connector = build(IGNORE)
    (event,) = connector.parse(request(ITEM))
    assert event.skip is None
    with pytest.raises(HeldError, match=r"A lesson only.*data\.kind is missing"):
        connector.enrich(event, NoApi())


def test_an_event_that_needs_nothing_is_left_as_it_is() -> None:
    connector = build(SMALL)
    (event,) = connector.parse(request(ITEM))
    assert connector.enrich(event, NoApi()) == event


# -- bodies ------------------------------------------------------------------------------------------


def with_webhook(lines: str) -> str:
    return HEAD + WEBHOOK + "".join(f"    {line}\n" for line in lines.splitlines()) + EVENT + EVENTS


def test_a_list_is_one_event_for_each_element() -> None:
    events = parsed(SMALL, [ITEM, {**ITEM, "id": "e-2"}])
    assert [event.event_id for event in events] == ["e-1", "e-2"]


def test_a_batch_may_stand_deeper_in_the_body() -> None:
    text = with_webhook("items: body.data.items")
    assert len(parsed(text, {"data": {"items": [ITEM, ITEM]}})) == 2
    assert parsed(text, {"data": {"items": []}}) == []
    for odd in ({}, {"data": None}, {"data": {"items": "x"}}, {"data": {"items": [1]}}, []):
        with pytest.raises(PayloadError):
            parsed(text, odd)


@pytest.mark.parametrize("body", [[], {}, [{}], [ITEM, 1], [[ITEM]], "x", 3, None, True])
def test_what_holds_no_event_is_refused(body: object) -> None:
    with pytest.raises(PayloadError):
        parsed(SMALL, body)


def test_the_type_may_stand_in_a_header_and_the_data_be_shaped() -> None:
    text = HEAD + WEBHOOK.replace("item.type", "headers['x-event']")
    shape = """id: "{{ item.ref }}", user: "{{ item.who.id }}", course: "{{ query.course }}", at: "{{ item.when }}\""""
    text += f"    data: {{{shape}}}\n"
    (event,) = parsed(text + EVENT + EVENTS, {"ref": 5, "who": {"id": "7"}}, {"X-Event": "done"}, query="course=68&x")
    assert event.event_type == "done"
    assert event.data == {"id": 5, "user": "7", "course": "68", "at": None}
    assert (event.subject, event.course) == ("7", "68")


def test_values_are_put_in_as_values_and_never_read_as_json() -> None:
    text = HEAD + WEBHOOK + '    data: {id: "x-{{ item.id }}", deep: {list: ["{{ item.list }}"]}}\n' + EVENT + EVENTS
    event = one({"type": "done", "id": '","user":"evil', "list": [1, {"a": None}]}, text)
    assert event.data == {"id": 'x-","user":"evil', "deep": {"list": [[1, {"a": None}]]}}


FORM = with_webhook("body: form\nnested: brackets")


def test_a_form_is_read_with_groups_and_lists() -> None:
    (event,) = parsed(FORM, b"type=done&id=e-1&user[id]=7&user[tags][]=a&user[tags][]=b&at=&name=Dana+Okafor")
    assert event.data["user"] == {"id": "7", "tags": ["a", "b"]}
    assert event.data["name"] == "Dana Okafor"


def test_groups_may_be_written_with_underscores() -> None:
    (event,) = parsed(FORM.replace("brackets", "underscores"), b"type=done&user__pii__email=a%40b.example&a_b=1")
    assert event.data == {"type": "done", "user": {"pii": {"email": "a@b.example"}}, "a_b": "1"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"name",
        b"a=\xff",
        b"a=%ff",
        b"a=%00",
        b"=1",
        b"user=1&user[id]=2",
        b"user[id]=2&user=1",
        b"a" + b"[a]" * 11 + b"=1",
        b"&".join(b"a%d=1" % number for number in range(3_000)),
    ],
)
def test_a_form_that_cannot_be_read_one_way_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError):
        parsed(FORM, body)


XML = with_webhook("body: xml\ndata: '{{ item.event }}'").replace("item.type", "item.event['@type']")


def test_xml_is_read_without_its_namespaces() -> None:
    body = b"""<?xml version="1.0"?><a:event xmlns:a="urn:x" type="done"><a:id>e-1</a:id><user>7</user>
      <tag>a</tag><tag>b &amp; c</tag><course a:n="1">68</course><empty/></a:event>"""
    (event,) = parsed(XML, body)
    assert event.data == {
        "@type": "done",
        "id": "e-1",
        "user": "7",
        "tag": ["a", "b & c"],
        "course": {"@n": "1", "#": "68"},
        "empty": "",
    }


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "windows-1252", "utf-16"])
def test_xml_is_read_in_the_encoding_that_it_declares(encoding: str) -> None:
    body = f'<?xml version="1.0" encoding="{encoding}"?><event type="done"><name>Zoë Größe</name></event>'
    (event,) = parsed(XML, body.encode(encoding))
    assert event.data["name"] == "Zoë Größe"


@pytest.mark.parametrize(
    "body",
    [
        b'<?xml version="1.0" encoding="no-such-thing"?><a/>',
        b'<?xml version="1.0" encoding="shift_jis"?><a>x</a>',
        b'<?xml version="1.0" encoding="rot13"?><a>x</a>',
        b'<?xml version="1.0" encoding="utf-7"?><a>+AGE-</a>',
        b"",
        b"<a>",
        b"<a></b>",
        b"{}",
        b"<a>\xff</a>",
        b"<a/><b/>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>&unknown;</a>",
        b"<a>" * 200 + b"</a>" * 200,
        b"<a>" + b"<b/>" * 20_001 + b"</a>",
        b"<a>\x00</a>",
    ],
)
def test_xml_that_is_broken_or_dangerous_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError):
        parsed(XML, body)


def test_a_document_type_is_named_as_the_reason() -> None:
    with pytest.raises(PayloadError, match="DOCTYPE"):
        parsed(XML, b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>')


def test_of_several_kinds_of_body_the_first_sign_tells() -> None:
    text = with_webhook("body: [json, xml, form]")
    assert one(ITEM, text).event_id == "e-1"
    assert one(b"type=done&id=e-2", text).event_id == "e-2"
    with pytest.raises(PayloadError, match="no type"):
        one(b"<a>x</a>", text)


# -- answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expected"),
    [("{body: ids}", b'["12", "13"]'), ("{body: text, text: Thanks}", b"Thanks"), ("{}", b'"outcome": "accepted"')],
)
def test_the_sender_is_answered_in_its_dialect(reply: str, expected: bytes) -> None:
    connector = build(with_webhook(f"reply: {reply}"))
    answer = connector.reply(Received(200, "accepted", events=("12", "13")))
    assert expected in answer.body
    refusal = connector.reply(Received(401, "rejected", "why"))
    assert (refusal.status, b"why" in refusal.body) == (401, True)


def test_the_wish_for_a_certificate_in_the_answer_is_declared() -> None:
    connector = build(with_webhook("reply: {certificate: true, wait: 3 minutes}"))
    assert connector.answers_certificate
    assert connector.answer_wait == 25.0
    assert not build(SMALL).answers_certificate
