"""What a person changes later: a correction or a withdrawal reaches page, PDF, mail and platform, and stays."""

from __future__ import annotations

import pytest
from flow.rig import Rig, changed, sample, to

from bridge.core import certificate_id
from bridge.core.errors import HeldError, PermanentError
from bridge.core.models import State
from bridge.store import certificates, inbox

COMPLETED = "course_completed-by-learner"


def issued(rig: Rig) -> str:
    """Issues a certificate in Moodle and returns its id."""
    rig.post_sample(COMPLETED)
    rig.wait_settled()
    return rig.certificate().certificate.id


def revoke(rig: Rig, identifier: str, *, mail: bool = True) -> None:
    rig.bridge.amending.revoke(identifier, reason="Issued by mistake", actor="ana", mail=mail)
    rig.wait_settled()


def correct(rig: Rig, identifier: str, *, mail: bool = True, **changes: str) -> None:
    words = {name.replace("__", "."): value for name, value in changes.items()}
    rig.bridge.amending.correct(identifier, words, reason="Name misspelt", actor="ana", mail=mail)
    rig.wait_settled()


@pytest.fixture
def both(rig: Rig) -> Rig:
    """A rig that writes a note and a profile field."""
    rig.set("sources.moodle.write_back", {"note": True, "profile_field": "certificateid"})
    return rig


def test_a_revoked_certificate_says_so_on_its_page_in_its_pdf_by_mail_and_in_the_platform(both: Rig) -> None:
    with both.running() as rig:
        identifier = issued(rig)
        grouped = certificate_id.grouped(identifier)
        profile = rig.moodle.site.users[3].profile
        assert profile["certificateid"] == grouped
        revoke(rig, identifier)
        assert rig.certificate().certificate.state == "revoked"
        page = rig.page(identifier)
        assert page.status == 200, "the address never dies"
        assert "Revoked" in page.text
        assert "Issued by mistake" in page.text
        assert "corrected" not in (page.text + rig.pdf_text(identifier)).lower(), "it was never corrected"
        assert "This certificate is genuine and in force." not in page.text
        assert "revoked" in rig.pdf_text(identifier).lower()
        mails = {str(mail["Subject"]): mail for mail in rig.mails()}
        assert list(mails) == [
            "Your certificate: Health & Safety Basics",
            "Certificate withdrawn: Health & Safety Basics",
        ]
        withdrawn = mails["Certificate withdrawn: Health & Safety Basics"]
        assert to(withdrawn) == ["jose.obrien@example.invalid"]
        assert withdrawn["Message-ID"] == f"<{grouped.lower()}.v2.revoked@certificates.acme.example>"
        assert "Issued by mistake" in withdrawn.get_body(("plain",)).get_content()
        assert [note.content.partition(":")[0] for note in rig.notes()] == [
            f"Certificate {grouped} issued",
            f"Certificate {grouped} revoked",
        ]
        assert profile["certificateid"] == ""
        assert all(row.state is State.DONE for row in rig.deliveries()), rig.story()
        (line,) = [line for line in rig.timeline(certificate_id=identifier) if line.kind == "certificate.revoked"]
        assert (line.actor, line.data["reason"]) == ("ana", "Issued by mistake")


def test_after_a_revocation_neither_replay_nor_another_event_issues_again(any_rig: Rig) -> None:
    with any_rig.running() as rig:
        identifier = issued(rig)
        revoke(rig, identifier)
        number = rig.event().id
        rig.bridge.store.transact(lambda tx: inbox.replay(tx, number, refetch=True, actor="test"))
        rig.bridge.workers.wake()
        rig.wait_settled()
        row = rig.event(number)
        assert (row.state, row.code) == (State.IGNORED, "revoked")
        assert row.reason
        assert "was revoked (Issued by mistake)" in row.reason
        assert "A revocation is final: nothing is issued again for the same completion" in row.reason
        other = rig.post("moodle", changed(sample(COMPLETED)[0], objectid="88")).event
        rig.wait_settled()
        assert rig.event(other).code == "revoked"
        assert rig.certificate().certificate.state == "revoked"
        assert len(rig.mails()) == len(rig.notes()) == 2


def test_a_revocation_without_mail_tells_the_platform_and_not_the_learner(live: Rig) -> None:
    identifier = issued(live)
    revoke(live, identifier, mail=False)
    assert len(live.mails()) == 1
    assert len(live.notes()) == 2
    last = live.deliveries("mail")[-1]
    assert (last.state, last.code) == (State.IGNORED, "mail_off")
    assert last.reason == "Whoever changed the certificate chose not to write to the learner."


def test_a_certificate_can_be_revoked_once(live: Rig) -> None:
    identifier = issued(live)
    revoke(live, identifier)
    with pytest.raises(PermanentError, match="is revoked; only an issued one can be revoked"):
        revoke(live, identifier)
    with pytest.raises(PermanentError, match="is revoked; only an issued one can be corrected"):
        correct(live, identifier, recipient__name="José")
    assert live.certificate().certificate.version == 2


def test_a_corrected_certificate_keeps_its_id_and_shows_the_new_words_everywhere(any_rig: Rig) -> None:
    with any_rig.running() as rig:
        identifier = issued(rig)
        grouped = certificate_id.grouped(identifier)
        correct(rig, identifier, recipient__name="José O’Brien", expires_on="2027-01-31")
        hit = rig.certificate()
        assert (hit.certificate.id, hit.certificate.version, hit.certificate.state) == (identifier, 2, "issued")
        assert str(hit.certificate.expires_on) == "2027-01-31"
        page = rig.page(identifier).text
        assert "José O’Brien" in page
        assert "O&#39;Brien &amp; Sons" not in page
        assert "31 January 2027" in page
        assert "this is version 2" in page
        assert "José O’Brien" in rig.pdf_text(identifier)
        first, second = sorted(rig.mails(), key=lambda mail: str(mail["Message-ID"]))
        assert (first["Message-ID"], second["Message-ID"]) == (
            f"<{grouped.lower()}.v1.issued@certificates.acme.example>",
            f"<{grouped.lower()}.v2.corrected@certificates.acme.example>",
        )
        assert second["Subject"] == "Your corrected certificate: Health & Safety Basics"
        # Both versions are kept, each with its file.
        said = rig.read(lambda tx: [row.data.recipient.name for row in certificates.versions(tx, identifier)])
        assert said == ["José O'Brien & Sons", "José O’Brien"]
        assert all(rig.read(lambda tx, n=n: certificates.file(tx, identifier, n, "pdf")) for n in (1, 2))
        # The platform holds the same number as before, so there is nothing to write twice.
        assert len(rig.notes()) == 1
        assert all(row.state is State.DONE for row in rig.deliveries()), rig.story()


def test_replaying_the_event_of_a_corrected_certificate_does_not_undo_the_correction(live: Rig) -> None:
    identifier = issued(live)
    correct(live, identifier, recipient__name="José O’Brien")
    number = live.event().id
    live.bridge.store.transact(lambda tx: inbox.replay(tx, number, refetch=True, actor="test"))
    live.bridge.workers.wake()
    live.wait_settled()
    assert live.event().code == "already_issued"
    assert live.certificate().version.data.recipient.name == "José O’Brien"


def test_a_correction_goes_to_the_corrected_address(live: Rig) -> None:
    identifier = issued(live)
    correct(live, identifier, recipient__email="jose@example.invalid")
    assert [to(mail) for mail in live.mails()] == [["jose.obrien@example.invalid"], ["jose@example.invalid"]]
    key = live.bridge.publisher.recipient_key("jose@example.invalid")
    assert [hit.certificate.id for hit in live.read(lambda tx: certificates.search(tx, recipient_key=key))] == [
        identifier
    ]


def test_a_correction_can_take_the_address_away(live: Rig) -> None:
    identifier = issued(live)
    correct(live, identifier, recipient__email="")
    assert live.certificate().version.data.recipient.email is None
    last = live.deliveries("mail")[-1]
    assert (last.state, last.code) == (State.IGNORED, "no_address")


def test_a_certificate_corrected_and_then_revoked_says_revoked(live: Rig) -> None:
    identifier = issued(live)
    correct(live, identifier, recipient__name="José O’Brien")
    revoke(live, identifier)
    hit = live.certificate()
    assert (hit.certificate.version, hit.certificate.state) == (3, "revoked")
    assert "Revoked" in live.page(identifier).text
    assert "José O’Brien" in live.pdf_text(identifier)
    # What was corrected before stays said.
    assert "Corrected on" in live.page(identifier).text
    assert "corrected on" in live.pdf_text(identifier)


def test_a_certificate_of_a_source_that_is_gone_is_revoked_and_the_learner_told(rig: Rig) -> None:
    with rig.running():
        identifier = issued(rig)
    rig.set("sources.moodle", None)
    with rig.running():
        revoke(rig, identifier)
        assert "Revoked" in rig.page(identifier).text
        assert len(rig.mails()) == 2
        assert len(rig.notes()) == 1


def test_a_mail_that_has_not_left_yet_does_not_leave_after_the_revocation(rig: Rig) -> None:
    rig.set("mail.mode", "smtp")
    rig.set("mail.smtp", {"host": "127.0.0.1", "port": 9, "security": "none", "timeout": 2})
    with rig.running():
        identifier = issued(rig)
        assert rig.delivery("mail").state is State.RETRYING
        revoke(rig, identifier)
        first, second = rig.deliveries("mail")
        assert (first.state, first.code) == (State.CANCELLED, "overtaken")
        assert second.state is State.RETRYING


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"recipient__name": "José O'Brien & Sons"}, PermanentError, "Nothing would change"),
        ({"recipient__nam": "X"}, PermanentError, "cannot be corrected; these can: recipient.name"),
        ({"completed_on": "yesterday"}, PermanentError, "is not a date"),
        ({"recipient__name": "小龍"}, HeldError, "小"),
        ({"recipient__email": "a@b, c@d"}, PermanentError, "recipient.email: .* is not an e-mail address"),
    ],
)
def test_a_correction_that_cannot_be_made_changes_nothing(
    live: Rig, changes: dict[str, str], error: type[Exception], says: str
) -> None:
    identifier = issued(live)
    before = live.pdf_text(identifier)
    with pytest.raises(error, match=says):
        correct(live, identifier, **changes)
    assert live.certificate().certificate.version == 1
    assert live.pdf_text(identifier) == before
    assert len(live.mails()) == 1


def test_an_unknown_certificate_cannot_be_changed(live: Rig) -> None:
    with pytest.raises(LookupError):
        revoke(live, certificate_id.new())


def test_a_revocation_in_thinkific_takes_the_number_back_and_leaves_the_other_fields(live: Rig) -> None:
    live.post_signed(live.thinkific.school.completed_event(97472, event_id="e-1"))
    live.wait_settled()
    revoke(live, live.certificate().certificate.id)
    assert live.fields() == {"Team": "Warehouse North"}
