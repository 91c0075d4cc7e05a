"""Kajabi through a whole bridge: a tag says who completed what, by webhook and by asking; a tag says what was issued.

The numbers of the cases are those of the pain list that the connector was built from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from flow.rig import Rig
from flow.rig_vendors_b import ADDRESS_TOKEN, Place, kajabi, number
from vendors.faults import Mode
from vendors.kajabi import KajabiStandIn
from vendors.kajabi_account import Contact, CustomField, Tag

from bridge.core.models import State

Site = Place[KajabiStandIn]
DANA, MARIA, COLIN, ANA = "456", "457", "458", "459"
SAFETY, FORKLIFT = "123", "124"
MARKS = {SAFETY: "789", FORKLIFT: "790"}
WRITTEN = [("field", State.DONE, None), ("note", State.DONE, None), ("issued_tag", State.DONE, None)]


@pytest.fixture
def site(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site with a webhook for each of its two courses; Dana has had the tag of the first for months."""
    with kajabi(rig, monkeypatch) as made:
        prepare(made)
        yield made


def prepare(site: Site) -> None:
    account = site.vendor.account
    account.add(Contact(ANA, "Ana Lima", "ana@example.invalid"))
    for tag in (SAFETY, FORKLIFT):
        account.add_hook(site.address, resource_id=int(tag))


def completes(site: Site, contact: str = ANA, tag: str = SAFETY) -> None:
    """Lets the automation add the tag, and Kajabi tell of it."""
    assert all(answer.status == 200 for answer in site.deliver(site.vendor.account.add_tag(contact, tag)))


def tags(site: Site, contact: str = ANA) -> list[str]:
    with site.vendor.lock:
        return list(site.vendor.account.contacts[contact].tags)


def notes(site: Site) -> list[str]:
    with site.vendor.lock:
        return [note.body for note in site.vendor.account.notes.values()]


def field(site: Site, contact: str = ANA) -> str | None:
    with site.vendor.lock:
        return site.vendor.account.contacts[contact].custom.get("custom_1")


# -- from webhook to write-back ------------------------------------------------------------------


def test_the_webhook_is_registered_once_and_its_tag_becomes_certificate_field_note_and_mark_in_this_order(
    any_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kajabi(any_rig, monkeypatch) as site, site.running() as rig:
        site.vendor.account.add(Contact(ANA, "Ana Lima", "ana@example.invalid"))
        told = site.command("sources", "connect", "kajabi")
        assert told.count("Registered webhook") == 2
        assert site.command("sources", "connect", "kajabi").count("is there already") == 2
        hooks = site.vendor.account.hooks.values()
        assert [(hook.target_url, hook.resource_id) for hook in hooks] == [(site.address, 123), (site.address, 124)]
        completes(site)
        site.assert_loop_closed()
        said = rig.certificate().version.data
        assert (said.recipient.name, said.course.title) == ("Ana Lima", "Safety Basics")
        assert site.steps() == WRITTEN
        assert field(site) == number(rig)
        assert notes(site) == [
            f"Certificate {number(rig)} issued: {rig.bridge.publisher.url(rig.certificate().certificate.id)}"
        ]
        assert tags(site) == [SAFETY, MARKS[SAFETY]]
        writes = [call.name for call in site.vendor.calls if call.method in ("PATCH", "POST")]
        assert [name.rsplit("/", 1)[-1] for name in writes if "token" not in name and "hooks" not in name] == [
            ANA,
            "contact_notes",
            "tags",
        ]


def test_case_01_and_13_two_tags_of_one_contact_are_two_completions_whatever_order_they_come_in(site: Site) -> None:
    told = []
    for tag, first in ((SAFETY, False), (FORKLIFT, True)):
        site.vendor.account.tag_first = first
        told += site.vendor.account.add_tag(ANA, tag)
    # Kajabi gives both envelopes the number of the contact.
    assert len({one.json()["id"] for one in told}) == 1
    with site.running() as rig:
        site.deliver(told)
        site.assert_loop_closed(2)
        assert set(tags(site)) == {SAFETY, FORKLIFT, *MARKS.values()}
        assert len(notes(site)) == 2
        assert field(site) in {number(rig, 0), number(rig, 1)}


def test_the_echo_of_our_own_mark_and_the_older_webhooks_are_answered_200_and_issue_nothing(site: Site) -> None:
    site.vendor.account.add_hook(site.address)
    older = json.dumps(
        {"id": 1, "event": "purchase.created", "payload": {"offer_id": 7, "member_email": "a@b.example"}}
    )
    with site.running() as rig:
        completes(site)
        site.assert_loop_closed()
        (echo,) = [one for one in site.vendor.account.sent if f'"id": "{MARKS[SAFETY]}"'.encode() in one.body]
        (answer,) = site.deliver([echo])
        assert (answer.status, answer.json()["outcome"]) == (200, "ignored")
        answer = rig.post("kajabi", older.encode(), token=ADDRESS_TOKEN)
        assert (answer.status, answer.json()["reason"]) == (200, "This is about a purchase; nothing is completed yet.")
        site.assert_loop_closed()


# -- is it true ----------------------------------------------------------------------------------


def test_case_12_a_forged_webhook_is_refused_or_held(site: Site) -> None:
    account = site.vendor.account
    forged = json.dumps(account.event("tag_added", account.contacts[ANA], account.tags[SAFETY])).encode()
    with site.running() as rig:
        for token in (None, "another-token-of-24-chars"):
            assert rig.post("kajabi", forged, token=token).status == 401
        assert rig.events() == []
        rig.post("kajabi", forged, token=ADDRESS_TOKEN)
        site.settle()
        assert (rig.event().state, rig.event().code) == (State.RETRYING, "unconfirmed")
        assert f"Contact {ANA} does not have the tag {SAFETY}" in (rig.event().reason or "")
        for _ in range(6):
            site.tried_again()
        assert (rig.event().state, rig.certificates()) == (State.HELD, [])
        # Some day Ana really completes it. Kajabi's event is the same to the byte, and this time it is true.
        completes(site)
        site.assert_loop_closed()
        assert rig.event().deliveries == 2


def test_case_02_a_tag_that_is_taken_away_and_added_again_is_the_same_completion(site: Site) -> None:
    site.vendor.account.add_hook(site.address, "tag_removed", 123)
    with site.running() as rig:
        completes(site)
        site.deliver(site.vendor.account.remove_tag(ANA, SAFETY))
        assert rig.events()[-1].state is State.IGNORED
        completes(site)
        site.poll()
        site.assert_loop_closed()
        assert rig.events()[0].deliveries == 2


def test_case_02_a_school_can_let_the_removed_tag_revoke_and_adding_it_again_brings_nothing_back(site: Site) -> None:
    site.vendor.account.add_hook(site.address, "tag_removed", 123)
    revoking = "events:\n  tag_removed: {revocation: {reason: The completion was withdrawn.}}\n"
    site.rig.mapping("kajabi", f"extends: kajabi\nother_courses: issue\n{revoking}")
    with site.running() as rig:
        completes(site)
        site.deliver(site.vendor.account.remove_tag(ANA, SAFETY))
        assert rig.certificate().certificate.state == "revoked"
        assert field(site) == ""
        assert [body.split(":")[0].split()[-1] for body in notes(site)] == ["issued", "revoked"]
        completes(site)
        assert rig.certificate().certificate.state == "revoked"


@pytest.mark.parametrize("contact", [MARIA, COLIN])
def test_case_05_a_name_that_is_one_word_or_made_from_the_address_waits_for_the_real_one(
    site: Site, contact: str
) -> None:
    with site.running() as rig:
        completes(site, contact)
        assert (rig.event().state, rig.event().code) == (State.HELD, "hold_if")
        name = "recipient.name=Maria Silva"
        site.command("events", "release", str(rig.event().id), "--set", name, "--reason", "asked")
        site.settle()
        site.assert_loop_closed()
        assert rig.certificate().version.data.recipient.name == "Maria Silva"


def test_case_06_and_07_another_site_of_the_account_is_none_of_ours_though_the_address_is_the_same(
    site: Site,
) -> None:
    account = site.vendor.account
    account.sites["3"] = "Acme Abroad"
    account.add(Contact("990", "Ana Lima", "ANA@example.invalid", site="3"))
    account.add_hook(site.address, site="3")
    with site.running() as rig:
        site.poll()
        (answer,) = site.deliver(account.add_tag("990", SAFETY))
        assert answer.json()["outcome"] == "ignored"
        assert "belongs to site 3 of the account, not to 2" in (rig.events()[-1].reason or "")
        assert site.poll().new == ()
        completes(site)
        site.assert_loop_closed()


# -- the queue that is Kajabi itself -------------------------------------------------------------


def test_the_poll_works_through_whoever_has_the_tag_and_not_the_mark(
    any_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kajabi(any_rig, monkeypatch) as site, site.running() as rig:
        site.vendor.account.add(Contact(ANA, "Ana Lima", "ana@example.invalid"))
        # First contact: Dana has had her tag for months, and Kajabi does not say since when.
        polled = site.poll()
        assert (polled.new, polled.older) == ((), 1)
        assert (rig.event().state, rig.event().code) == (State.IGNORED, "before_start")
        for tag in (SAFETY, FORKLIFT):
            site.vendor.account.add_tag(ANA, tag)
        assert len(site.poll().new) == 2
        site.assert_loop_closed(2)
        assert set(tags(site)) == {SAFETY, FORKLIFT, *MARKS.values()}
        # Whoever is marked is no longer in the list.
        polled = site.poll()
        assert (polled.new, polled.known) == ((), 1)
        # A webhook that got lost is found, but nobody knows how long it has been on its way.
        assert site.reconciled() == []


def test_whoever_was_there_at_the_first_contact_can_be_chosen_later(site: Site) -> None:
    with site.running():
        site.poll()
        assert "Dana Okafor" in site.command("past", "kajabi", "--since", "2020-01-01")
        site.command("past", "kajabi", "--since", "2020-01-01", "--issue", "all", "--yes")
        site.assert_loop_closed()
        assert tags(site, DANA) == [SAFETY, MARKS[SAFETY]]


def test_webhook_and_poll_in_any_order_and_a_restart_make_one_certificate(
    any_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kajabi(any_rig, monkeypatch) as site:
        prepare(site)
        # The mark cannot be set for now, so that the contact stays in the list.
        site.faults.next(3, "500", lambda call: call.method == "POST" and call.path.endswith("/tags"))
        with site.running():
            site.poll()
            told = site.vendor.account.add_tag(ANA, SAFETY)
            assert len(site.poll().new) == 1
            site.deliver(told)
            completes(site, tag=FORKLIFT)
        with site.running():
            assert site.poll().new == ()
            for _ in range(2):
                site.tried_again()
            site.assert_loop_closed(2)
            assert not site.faults.pending


def test_a_tag_that_joins_the_configuration_later_brings_no_flood_of_old_completions(site: Site) -> None:
    site.set("tags", {FORKLIFT: MARKS[FORKLIFT]})
    with site.running():
        site.poll()
    site.set("tags", MARKS)
    site.vendor.account.add_tag(ANA, FORKLIFT)
    with site.running() as rig:
        assert len(site.poll().new) == 1
        site.assert_loop_closed()
        assert "had this tag before it was added to `tags`" in (rig.events()[0].reason or rig.events()[1].reason or "")
        completes(site)
        site.assert_loop_closed(2)


def test_case_03_a_tag_given_to_everybody_at_once_is_held_above_the_usual_number(site: Site) -> None:
    site.set("hold_above", 2)
    site.rig.set("limits.workers", 1)
    with site.running() as rig:
        site.poll()
        for contact, name in enumerate(("Ana", "Bea", "Eva", "Ida", "Zoe"), start=600):
            site.vendor.account.add(Contact(str(contact), f"{name} Braga", f"{name}@example.invalid"))
            site.vendor.account.add_tag(str(contact), SAFETY)
        assert len(site.poll().new) == 5
        held = [row for row in rig.events() if row.state is State.HELD]
        assert [row.code for row in held] == ["flood"] * 3
        # Those who are held have no mark, so they stay in the list; they are known all the same.
        assert site.poll().new == ()
        site.command("events", "release", "--code", "flood", "--source", "kajabi", "--yes", "--reason", "an exam")
        site.assert_loop_closed(5)


def test_case_04_a_renamed_tag_is_the_same_course_and_a_deleted_one_is_missed(site: Site) -> None:
    account = site.vendor.account
    account.add(Tag(SAFETY, "completed: Safety for Everybody"))
    with site.running() as rig:
        site.poll()
        completes(site)
        assert rig.certificate().version.data.course.title == "Safety for Everybody"
        del account.tags[FORKLIFT]
        error = site.fails_to_poll()
        assert error.stable_code == "tag_missing"
        assert f"Kajabi has no tag '{FORKLIFT}' on this site" in site.command("doctor", "kajabi", fails=True)
        # The other course goes on.
        account.add(Contact("470", "Eva Braga", "eva@example.invalid"))
        account.add_tag("470", SAFETY)
        site.fails_to_poll()
        site.assert_loop_closed(2)


# -- Kajabi in trouble ---------------------------------------------------------------------------


def test_case_09_a_token_that_ends_in_between_is_renewed_once(site: Site) -> None:
    with site.running():
        completes(site)
        assert len(site.vendor.tokens.granted) == 1
        site.vendor.tokens.expire_all()
        completes(site, tag=FORKLIFT)
        site.assert_loop_closed(2)
        assert len(site.vendor.tokens.granted) == 2


def test_case_09_a_key_that_was_rotated_ends_with_advice_and_not_in_a_loop(site: Site) -> None:
    with site.running() as rig:
        completes(site)
        site.vendor.tokens.rotate("another-secret")
        asked = len(site.vendor.named("token"))
        completes(site, tag=FORKLIFT)
        row = rig.events()[-1]
        assert (row.state, row.code) == (State.FAILED, "http_401")
        assert "Kajabi refused `client_id` and `client_secret`" in (row.reason or "")
        assert len(site.vendor.named("token")) == asked + 1
        assert "Kajabi refused `client_id`" in site.command("doctor", "kajabi", fails=True)
    site.set("client_secret", "another-secret")
    with site.running() as rig:
        site.command("events", "replay", "--failed", "--yes")
        site.assert_loop_closed(2)


def test_too_many_requests_let_the_source_rest_as_long_as_kajabi_says(site: Site) -> None:
    site.faults.next(1, "429", "/contacts", seconds=120)
    with site.running() as rig:
        completes(site)
        assert (rig.event().state, rig.event().code) == (State.RETRYING, "http_429")
        assert 110 < (site.rests_for() or 0) <= 120
        site.tried_again(seconds=121)
        site.assert_loop_closed()


@pytest.mark.parametrize(("mode", "code"), [("502", "http_502"), ("html-200", "not_json"), ("drop", "connection")])
def test_a_kajabi_in_trouble_is_asked_again(site: Site, mode: Mode, code: str) -> None:
    site.faults.next(1, mode, "GET /v1/contacts/")
    site.faults.next(1, mode, "/custom_fields")
    site.faults.next(1, mode, "GET /v1/contact_notes")
    with site.running() as rig:
        completes(site)
        assert (rig.event().state, rig.event().code) == (State.RETRYING, code)
    with site.running():
        for _ in range(3):
            site.tried_again()
        site.assert_loop_closed()
        assert not site.faults.pending


def test_a_kajabi_that_is_silent_is_asked_again(site: Site) -> None:
    site.rig.set("limits.read_seconds", 2)
    site.faults.next(1, "slow", "token", seconds=5)
    with site.running() as rig:
        completes(site)
        assert (rig.event().state, rig.event().code) == (State.RETRYING, "timeout")
        site.tried_again()
        site.assert_loop_closed()


@pytest.mark.parametrize("write", [f"PATCH /v1/contacts/{ANA}", "POST /v1/contact_notes", f"POST /v1/contacts/{ANA}"])
def test_what_was_written_while_the_connection_broke_is_not_written_twice(site: Site, write: str) -> None:
    site.faults.next(1, "commit-then-drop", write)
    with site.running() as rig:
        completes(site)
        broken = next(row for row in site.write_backs() if row.state is not State.DONE)
        assert (broken.state, broken.code) == (State.RETRYING, "connection")
        assert rig.certificate().certificate.state == "issued"
    with site.running():
        site.tried_again()
        site.assert_loop_closed()
        assert (len(notes(site)), tags(site)) == (1, [SAFETY, MARKS[SAFETY]])
        assert len(site.vendor.named(write)) == 1
        assert not site.faults.pending


def test_case_08_a_contact_who_is_deleted_before_the_write_back_keeps_the_certificate(site: Site) -> None:
    site.faults.next(1, "502", "/custom_fields")
    with site.running() as rig:
        completes(site)
        del site.vendor.account.contacts[ANA]
        site.tried_again()
        assert site.steps()[0] == ("field", State.FAILED, "contact_gone")
        assert rig.certificate().certificate.state == "issued"
        assert len(rig.mails()) == 1


def test_case_08_a_contact_who_is_deleted_before_certbridge_could_ask_fails_and_says_who(site: Site) -> None:
    told = site.vendor.account.add_tag(ANA, SAFETY)
    del site.vendor.account.contacts[ANA]
    with site.running() as rig:
        site.deliver(told)
        assert (rig.event().state, rig.event().code) == (State.FAILED, "contact_gone")
        assert ANA in (rig.event().reason or "")


def test_case_10_a_custom_field_that_is_missing_holds_up_note_and_mark_until_it_is_there(site: Site) -> None:
    account = site.vendor.account
    del account.fields["51"]
    account.add(CustomField("61", "custom_1", "Certificate ID", site="3"))
    with site.running() as rig:
        completes(site)
        assert site.steps() == [
            ("field", State.FAILED, "field_missing"),
            ("note", State.HELD, "waits_for"),
            ("issued_tag", State.HELD, "waits_for"),
        ]
        assert "no custom field titled 'Certificate ID' on this site" in site.command("doctor", "kajabi", fails=True)
        account.add(CustomField("53", "custom_4", "Certificate ID"))
        site.command("outbox", "replay", "--failed", "--yes")
        site.assert_loop_closed()
        with site.vendor.lock:
            assert account.contacts[ANA].custom == {"custom_4": number(rig)}


def test_a_custom_field_that_kajabi_does_not_show_is_held_until_it_does(site: Site) -> None:
    site.vendor.shows_custom_fields = False
    with site.running() as rig:
        completes(site)
        assert site.steps()[0] == ("field", State.HELD, "not_shown")
        assert field(site) is None
        assert "does not show custom field 'Certificate ID'" in site.command("doctor", "kajabi", fails=True)
        site.vendor.shows_custom_fields = True
        site.command("outbox", "replay", "--held", "--yes")
        site.assert_loop_closed()
        assert field(site) == number(rig)
        assert "Custom field 'Certificate ID' is shown" in site.command("doctor", "kajabi")


def test_text_that_somebody_wrote_into_the_custom_field_stays_whatever_happens_to_the_certificate(site: Site) -> None:
    with site.vendor.lock:
        site.vendor.account.contacts[ANA].custom["custom_1"] = "HR remark"
    with site.running() as rig:
        completes(site)
        assert site.steps()[0] == ("field", State.HELD, "foreign_text")
        site.command("certificates", "revoke", number(rig), "--yes", "--reason", "Issued to the wrong person")
        assert field(site) == "HR remark"


@pytest.mark.parametrize("takes_text_ids", [False, True])
@pytest.mark.parametrize("status", [400, 422])
def test_case_contracts_5_webhooks_are_registered_with_the_id_that_kajabi_takes(
    site: Site, status: int, takes_text_ids: bool
) -> None:
    site.vendor.account.hooks.clear()
    site.vendor.refuses_ids_with, site.vendor.takes_text_ids = status, takes_text_ids
    with site.running():
        assert site.command("sources", "connect", "kajabi").count("Registered webhook") == 2
        assert {hook.resource_id for hook in site.vendor.account.hooks.values()} == {123, 124}
        assert not site.vendor.refused


@pytest.mark.parametrize(("status", "code"), [(200, "contact_gone"), (404, "contact_gone"), (403, "http_403")])
def test_case_contracts_5_a_contact_who_is_gone_is_said_whatever_kajabi_answers(
    site: Site, status: int, code: str
) -> None:
    told = site.vendor.account.add_tag(ANA, SAFETY)
    del site.vendor.account.contacts[ANA]
    site.vendor.missing_contact = status
    with site.running() as rig:
        site.deliver(told)
        assert (rig.event().state, rig.event().code) == (State.FAILED, code)
        assert f"contact {ANA}" in (rig.event().reason or "")


def test_a_key_without_the_right_to_write_is_named_and_nothing_else_suffers(site: Site) -> None:
    site.faults.next(1, "403-empty", "PATCH")
    with site.running() as rig:
        completes(site)
        assert site.steps()[0] == ("field", State.FAILED, "http_403")
        assert "the API key lacks a permission" in (site.write_backs()[0].reason or "")
        assert len(rig.mails()) == 1
        site.command("outbox", "replay", "--failed", "--yes")
        site.assert_loop_closed()


# -- what people do at the command line ----------------------------------------------------------


def test_an_admin_lists_the_tags_asks_about_one_learner_and_is_told_what_is_missing(site: Site) -> None:
    with site.running():
        listed = site.command("sources", "courses", "kajabi")
        assert "123: Safety Basics" in listed  # as it shall stand on the certificate
        assert "789: " in listed
        told = site.command("doctor", "kajabi")
        assert "site 2 has 4 tags" in told
        assert told.count("Kajabi has a webhook for tag") == 2
        site.vendor.account.hooks.clear()
        assert "only the poll finds completions" in site.command("doctor", "kajabi")
        assert "knows no completion" in site.command("sources", "ask", "kajabi", "nobody@example.invalid")
        site.command("sources", "ask", "kajabi", "DANA@example.invalid")
        site.assert_loop_closed()
        assert tags(site, DANA) == [SAFETY, MARKS[SAFETY]]
