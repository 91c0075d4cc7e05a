"""A declaration that builds on another: what it says counts, what it leaves out is that of the other."""

from __future__ import annotations

from typing import Any

import pytest
from declared_examples import API, EVENT, EVENTS, HEAD, NOW, SECRET, SITE, SMALL, WEBHOOK, request

from bridge.core.connector import Connector
from bridge.core.declared import read_declared
from bridge.core.errors import MappingError
from bridge.core.mapping import compile_mapping, gather

OWN = """\
extends: acme
source:
  title: Acme Academy
  webhook:
    proof: [{header: {name: X-Other}}]
  event:
    subject: "{{ data.learner }}"
"""


def kind(text: str = OWN, base: str = SMALL, **more: str) -> type[Connector[Any]]:
    return read_declared("academy", text, "academy.yaml", texts={"acme": base, **more}.get)


def refused(text: str, base: str = SMALL, **more: str) -> list[str]:
    with pytest.raises(MappingError) as caught:
        kind(text, base, **more)
    return str(caught.value).splitlines()


def parsed(found: type[Connector[Any]], item: dict[str, Any]) -> Any:
    (event,) = found(found.Settings.model_validate({"header_token": SECRET})).parse(request(item))
    return event


def test_groups_are_merged_setting_by_setting() -> None:
    found = kind()
    assert (found.name, found.title, found.docs_url) == ("academy", "Acme Academy", "https://acme.example/webhooks")
    event = parsed(found, {"type": "done", "id": "1", "learner": "7", "user": "8", "course": "68"})
    assert (event.event_type, event.subject, event.course) == ("done", "7", "68")


def test_a_list_takes_the_place_of_the_other() -> None:
    found = kind()
    connector = found(found.Settings.model_validate({"header_token": SECRET}))
    assert connector.sign(b"{}", {}, NOW).headers == {"X-Other": SECRET}


def test_the_base_is_left_as_it_is() -> None:
    base = read_declared("acme", SMALL, "acme.yaml")
    kind()
    assert base.title == "Acme LMS"
    assert parsed(base, {"type": "done", "id": "1", "learner": "7", "user": "8"}).subject == "8"


def test_what_is_added_needs_nothing_of_the_base() -> None:
    found = kind(OWN + API)
    assert {"site", "key"} <= set(found.Settings.model_fields)
    assert found(found.Settings.model_validate(SITE)).hosts() == ("lms.acme.example",)


def test_event_types_of_both_are_known() -> None:
    found = kind(OWN + 'events: {passed: {completion: {name: "{{ data.name }}"}}}\n')
    assert found.event_types == {"done", "passed"}


def test_a_declaration_may_build_on_one_that_builds_on_another() -> None:
    middle = "extends: acme\nsource:\n  title: In between\n  limits: Some.\n"
    found = kind("extends: middle\nsource:\n  title: On top\n", middle=middle)
    assert (found.title, found.abilities.limits, found.event_types) == ("On top", "Some.", {"done"})


def test_a_mapping_over_it_is_for_the_new_kind_and_reads_the_words_of_the_base() -> None:
    texts = {"acme": SMALL, "academy": OWN}
    assert compile_mapping(gather("mappings/academy.yaml", OWN, texts.get)).connector == "academy"
    mapping = compile_mapping(gather("school.yaml", "extends: academy\nother_courses: issue\n", texts.get))
    assert (mapping.connector, mapping.event_types()) == ("academy", ["done"])


def test_what_is_wrong_in_its_own_lines_is_said_with_their_place() -> None:
    wrong = OWN.replace("data.learner", "date.learner").replace("title: Acme Academy", "titel: Acme Academy")
    assert refused(wrong) == [
        'academy.yaml:3:3 source has "titel: Acme Academy". There is no such setting; did you mean title?',
        'academy.yaml:7:14 source.event has "subject: {{ date.learner }}". "date" is not known; did you mean data?',
    ]


def test_what_is_wrong_in_the_base_is_said_with_the_place_there() -> None:
    message = (
        'mappings/acme.yaml:10:13 source.event has "course: {{ date.course }}". "date" is not known; did you mean data?'
    )
    base = SMALL.replace("data.course", "date.course", 1)
    assert refused(OWN, base) == [message]
    with pytest.raises(MappingError) as caught:
        compile_mapping(gather("academy.yaml", OWN, {"acme": base}.get))
    assert str(caught.value).splitlines() == [message]


def test_a_place_of_the_base_does_not_stand_for_what_was_put_in_its_place() -> None:
    longer = SMALL.replace("[{header: {name: X-Token}}]", "[{bearer: {}}, {header: {name: X-Token, prefix: p}}]")
    wrong = OWN.replace("[{header: {name: X-Other}}]", "[{header: {}}, {header: {}}]")
    assert refused(wrong, longer) == [
        'academy.yaml:5:14 source.webhook.proof.0.header has no "name". It is required.',
        'academy.yaml:5:28 source.webhook.proof.1.header has no "name". It is required.',
    ]


@pytest.mark.parametrize("base", ["connector: acme\n" + EVENTS, "connector: acme\nsource: text\n"])
def test_a_base_that_declares_nothing_is_refused(base: str) -> None:
    (message,) = refused(OWN, base)
    assert message.startswith('academy.yaml:1:1 "extends: acme" stands beside source, but mappings/acme.yaml declares')
    with pytest.raises(MappingError, match="declares no source"):
        compile_mapping(gather("academy.yaml", OWN, {"acme": base}.get))


def test_a_declaration_that_builds_on_itself_is_refused() -> None:
    (message,) = refused(OWN, base=OWN)
    assert "extends itself in the end" in message


def test_without_extends_everything_stands_in_the_file() -> None:
    assert kind(HEAD + WEBHOOK + EVENT + EVENTS).event_types == {"done"}
