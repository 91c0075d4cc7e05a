from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from cli_school import School, completed
from pypdf import PdfReader

from bridge.cli.session import actor
from bridge.core import certificate_id


def only_certificate(school: School) -> dict[str, Any]:
    found = school.json("certificates", "list")
    assert isinstance(found, list)
    assert len(found) == 1
    return dict(found[0])


@pytest.fixture
def issued(school: School) -> School:
    """A school that issued one certificate."""
    school.arrives(completed())
    return school


def test_the_list_says_who_and_what_and_until_when(busy: School) -> None:
    shown = busy.certbridge("certificates", "list").output
    assert "Maria Silva" in shown
    assert "Fire Safety" in shown
    assert "2028-02-14" in shown
    assert "issued" in shown


def test_a_certificate_is_found_in_every_spelling(busy: School) -> None:
    one = only_certificate(busy)
    grouped = one["shown_id"]
    for spelling in (one["id"], grouped, grouped.lower(), grouped.replace("-", " "), one["url"], one["pdf_url"]):
        shown = busy.certbridge("certificates", "show", spelling)
        assert shown.exit_code == 0, shown.output
        assert f"Certificate {grouped}" in shown.output
        assert one["url"] in shown.output


def test_a_mistyped_id_is_told_apart_from_an_unknown_one(busy: School) -> None:
    right = only_certificate(busy)["shown_id"]
    wrong = right[:-1] + ("2" if right[-1] != "2" else "3")
    mistyped = busy.certbridge("certificates", "show", wrong)
    assert mistyped.exit_code == 2
    assert "is mistyped" in mistyped.output
    assert "at least one is wrong, or two are swapped" in mistyped.output
    unknown = busy.certbridge("certificates", "show", certificate_id.new())
    assert unknown.exit_code == 1
    assert "It is typed correctly" in unknown.stderr
    short = busy.certbridge("certificates", "show", "ABCD")
    assert short.exit_code == 2
    assert "It has 4 letters and digits; a certificate id has 17." in short.output


def test_the_pdf_can_be_written_to_a_file(busy: School, tmp_path: Path) -> None:
    identifier, out = only_certificate(busy)["id"], tmp_path / "maria.pdf"
    result = busy.certbridge("certificates", "pdf", identifier, str(out))
    assert result.exit_code == 0, result.output
    assert "Maria Silva" in PdfReader(out).pages[0].extract_text()
    again = busy.certbridge("certificates", "pdf", identifier, str(out))
    assert again.exit_code == 2
    assert "--force" in again.output
    assert busy.certbridge("certificates", "pdf", identifier, str(out), "--force").exit_code == 0
    piped = busy.certbridge("certificates", "pdf", identifier, "-")
    assert piped.stdout_bytes == out.read_bytes()


def test_a_version_that_does_not_exist_is_answered_with_those_that_do(busy: School, tmp_path: Path) -> None:
    identifier = only_certificate(busy)["id"]
    result = busy.certbridge("certificates", "pdf", identifier, str(tmp_path / "x.pdf"), "--version", "9")
    assert result.exit_code == 1
    assert "Versions: 1." in result.stderr
    assert not (tmp_path / "x.pdf").exists()


def test_a_correction_makes_a_new_version_and_tells_the_learner(issued: School) -> None:
    identifier = only_certificate(issued)["id"]
    result = issued.certbridge(
        "certificates", "correct", identifier, "--set", "recipient.name=Maria da Silva", "--reason", "married"
    )
    assert result.exit_code == 0, result.output
    assert "recipient.name: Maria Silva → Maria da Silva" in result.output
    shown = issued.json("certificates", "show", identifier)
    assert isinstance(shown, dict)
    assert (shown["id"], shown["version"], shown["state"]) == (identifier, 2, "issued")
    assert [(said["reason"], said["by"]) for said in shown["versions"]][1] == ("married", actor())
    assert [row["state"] for row in shown["deliveries"]] == ["done", "done"]


@pytest.mark.parametrize("value", ["recipient.name=null", "recipient.name=JosÃ© Silva", "course.title=undefined"])
def test_case_certificates_05_a_correction_to_what_is_no_name_is_asked_about_first(issued: School, value: str) -> None:
    identifier = only_certificate(issued)["id"]
    words = ("certificates", "correct", identifier, "--set", value, "--reason", "as it came")
    asked = issued.certbridge(*words, input="n\n")
    assert asked.exit_code == 130
    assert "Print it all the same?" in asked.output
    refused = issued.certbridge(*words, "--json")
    assert refused.exit_code == 1
    assert "Nothing was changed. If it is right, add --yes." in " ".join(refused.stderr.split())
    assert only_certificate(issued)["version"] == 1
    assert issued.certbridge(*words, "--yes").exit_code == 0
    assert only_certificate(issued)["version"] == 2


def test_a_correction_without_mail_writes_nobody(issued: School) -> None:
    identifier = only_certificate(issued)["id"]
    words = ("--set", "completed_on=2026-02-13", "--reason", "wrong day", "--no-mail")
    assert issued.certbridge("certificates", "correct", identifier, *words).exit_code == 0
    shown = issued.json("certificates", "show", identifier)
    assert isinstance(shown, dict)
    assert shown["completed_on"] == "2026-02-13"
    assert [row["state"] for row in shown["deliveries"]] == ["done", "ignored"]


def test_a_revoked_certificate_says_why_and_when(issued: School) -> None:
    identifier = only_certificate(issued)["id"]
    result = issued.certbridge(
        "certificates", "revoke", identifier, "--reason", "exam was taken by somebody else", "--yes"
    )
    assert result.exit_code == 0, result.output
    assert "exam was taken by somebody else" in result.output
    one = only_certificate(issued)
    assert (one["state"], one["revoke_reason"]) == ("revoked", "exam was taken by somebody else")
    again = issued.certbridge("certificates", "revoke", identifier, "--reason", "twice", "--yes")
    assert again.exit_code == 1
    assert "is revoked; only an issued one can be revoked" in again.stderr


def test_a_revocation_without_mail_writes_nobody(issued: School) -> None:
    identifier = only_certificate(issued)["id"]
    words = ("--reason", "issued by mistake", "--yes", "--no-mail")
    assert issued.certbridge("certificates", "revoke", identifier, *words).exit_code == 0
    rows = issued.json("outbox", "list")
    assert isinstance(rows, list)
    assert [row["state"] for row in rows] == ["ignored", "done"]


def test_revoking_asks_first_and_changes_nothing_on_no(issued: School) -> None:
    identifier = only_certificate(issued)["id"]
    result = issued.certbridge("certificates", "revoke", identifier, "--reason", "oops", input="n\n")
    assert result.exit_code == 130
    assert "for ever?" in result.output
    assert only_certificate(issued)["state"] == "issued"
    assert issued.certbridge("certificates", "revoke", identifier, "--reason", "yes", input="y\n").exit_code == 0
    assert only_certificate(issued)["state"] == "revoked"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--reason", "r"), 2, "--set"),
        (("--set", "recipient.name=Maria"), 2, "--reason"),
        (("--set", "expires=2027-01-01", "--reason", "r"), 2, "did you mean expires_on?"),
        (("--set", "completed_on=tomorrow", "--reason", "r"), 1, "'tomorrow' is not a date; write it as 2026-11-23."),
        (("--set", "recipient.name=Maria Silva", "--reason", "r"), 1, "Nothing would change"),
        (("--set", "expires_on=2026-02-13", "--reason", "r"), 1, "2026-02-13 is before the completion on 2026-02-14"),
        (("--set", "completed_on=2029-01-01", "--reason", "r"), 1, "2028-02-14 is before the completion on 2029-01-01"),
        (("--set", "recipient.name=\u674e", "--reason", "r"), 1, "U+674E"),
    ],
)
def test_a_wrong_correction_says_what_to_write(busy: School, words: tuple[str, ...], code: int, said: str) -> None:
    result = busy.certbridge("certificates", "correct", only_certificate(busy)["id"], *words)
    assert result.exit_code == code, result.output
    assert said in result.output
    assert only_certificate(busy)["version"] == 1


def test_what_can_be_corrected_or_set_is_what_the_flow_knows() -> None:
    from bridge.cli import certificates, events
    from bridge.core.mapping import OVERRIDES
    from bridge.flow.compare import WORDS, words_of
    from bridge.issuing.template import load_template
    from bridge.issuing.words import sample_job

    assert certificates.correctable() == tuple(WORDS)
    assert {*events.words(), "released"} == set(OVERRIDES)
    said = words_of(sample_job(load_template("classic", None)).certificate.data)
    assert [word for word in said if not word.startswith("fields.")] == list(WORDS)


def test_the_list_goes_on_where_the_last_page_ended(school: School) -> None:
    for number, name in enumerate(("Ana", "Bea", "Eva"), start=1):
        school.arrives(completed(name, user=number, event=f"e-{number}"))

    def names(*words: str) -> list[str]:
        found = school.json("certificates", "list", *words)
        assert isinstance(found, list)
        return [one["recipient"]["name"] for one in found]

    assert names() == ["Eva Silva", "Bea Silva", "Ana Silva"]
    page = school.certbridge("certificates", "list", "--limit", "2").output
    hint = "Older ones: certbridge certificates list --before "
    last = page.partition(hint)[2].split()[0]
    assert names("--before", last) == ["Ana Silva"]
    assert names("--before", last.lower(), "--text", "eva") == []
    assert "It is typed correctly" in school.certbridge("certificates", "list", "--before", certificate_id.new()).stderr


# -- once more --------------------------------------------------------------------------------------


def mail_ids(school: School) -> list[str]:
    """The names of the mails' files, which are made from their Message-IDs."""
    return sorted(path.name for path in (school.folder / "mail").glob("*.eml"))


def test_the_mail_of_a_certificate_can_be_had_once_more_with_the_same_message_id(issued: School) -> None:
    identifier, before = only_certificate(issued)["id"], mail_ids(issued)
    shutil.rmtree(issued.folder / "mail")
    for _ in range(2):
        result = issued.certbridge("certificates", "replay", identifier, "--mail")
        assert result.exit_code == 0, result.output
    assert mail_ids(issued) == before
    shown = issued.json("certificates", "show", identifier)
    assert isinstance(shown, dict)
    assert [row["state"] for row in shown["deliveries"]] == ["done"] * 3
    resent = [line for line in shown["history"] if line["kind"] == "certificate.resent"]
    assert [(line["actor"], line["data"]["version"]) for line in resent] == [(actor(), 1)] * 2


def test_what_is_sent_once_more_is_what_the_learner_was_last_told(issued: School) -> None:
    identifier = only_certificate(issued)["id"]
    correction = ("--set", "recipient.name=Maria da Silva", "--reason", "married")
    assert issued.certbridge("certificates", "correct", identifier, *correction).exit_code == 0
    corrected = mail_ids(issued)
    assert issued.certbridge("certificates", "replay", identifier).exit_code == 0
    assert mail_ids(issued) == corrected
    assert issued.certbridge("certificates", "revoke", identifier, "--reason", "mistake", "--yes").exit_code == 0
    revoked = mail_ids(issued)
    assert issued.certbridge("certificates", "replay", identifier).exit_code == 0
    assert mail_ids(issued) == revoked


def test_a_write_back_that_does_not_exist_cannot_be_had_once_more(issued: School) -> None:
    result = issued.certbridge("certificates", "replay", only_certificate(issued)["id"], "--write-back")
    assert result.exit_code == 1
    assert "nothing to send again: school has no write-back" in result.stderr
    assert issued.certbridge("certificates", "replay", certificate_id.new()).exit_code == 1
