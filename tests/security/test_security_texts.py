"""E4 27 to 34 through the whole loop: what learners and vendors write is printed, tidied or held; never obeyed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from email import message_from_bytes
from typing import Any

import pytest
from flow.rig import Rig, to
from security.attack import HEADERS, Seen, completion, posted, stopped, through_moodle, through_thinkific

from bridge.core import certificate_id
from bridge.core.models import State

MARKUP = (
    "<script>alert(1)</script>",
    "<img src=file:///etc/passwd>",
    "<b>Ana</b><pdf:nextpage />",
    "{{ 7*7 }} {{ config }}",
    "{% for a in range(9) %}x{% endfor %}",
    "[[[ name ]]] ${name} %s %(name)s {0}",
    '"><a href=javascript:alert(1)>',
    "&lt;b&gt; &amp; &#65;",
    "Robert'); DROP TABLE inbox;--",
    "../../../etc/passwd",
)
HEADER_TEXTS = (
    "Ana\r\nBcc: evil@example.org",
    "Ana\nBcc: evil@example.org\n\nHello",
    "Ana\u2028Bcc: evil@example.org",
    "Ana\x85Bcc: evil@example.org",
    "=?utf-8?q?Ana=0ABcc:evil@example.org=0A?=",
    "=?utf-8?b?CkJjYzpldmlsQHgub3Jn?=",
    "Ana =?utf-8?q?x=0D=0ABcc=3Aevil@example.org?= Silva",
    '"Ana" <evil@example.org>',
    "Ana, evil@example.org",
    "Ana; evil@example.org:",
    "(Ana) <ana@example.invalid>, evil@example.org",
)


def printed_everywhere(seen: Seen, text: str) -> None:
    """The text stands on PDF, page and mail just as it was written."""
    squeezed = "".join(text.split())
    assert squeezed in "".join(seen.pdf.split())
    assert squeezed in "".join(seen.page_text.split())
    assert squeezed in "".join(seen.mail_text.split())


def is_no_markup(seen: Seen, text: str) -> None:
    """Nothing of the text became a tag."""
    if "<" in text:
        assert text not in seen.page
        assert text not in seen.mail_html
    for html in (seen.page, seen.mail_html):
        assert "<script" not in html.lower()
        assert "<img src=file" not in html.lower()
        assert "javascript:alert(1)>" not in html.replace("&gt;", "")


def headers_are_ours(seen: Seen, *, recipient: str) -> None:
    """The bytes of the mail, read again, hold exactly the headers we meant, and one recipient."""
    again = message_from_bytes(seen.raw_mail)
    assert sorted(again.keys()) == sorted(HEADERS)
    assert to(seen.mail) == [recipient]
    assert b"\nbcc" not in seen.raw_mail.lower().partition(b"\r\n\r\n")[0]
    attachments = [part.get_filename() for part in seen.mail.iter_attachments()]
    assert len(attachments) == 1
    assert attachments[0]
    assert attachments[0].startswith("certificate-")
    assert attachments[0].replace("-", "").replace(".pdf", "").isalnum()


@pytest.fixture
def open_school(rig: Rig) -> Iterator[Rig]:
    """A running bridge that issues for every course, under the title the vendor gives."""
    rig.mapping("thinkific", "extends: thinkific\nother_courses: issue\n")
    rig.mapping("moodle", "extends: moodle\nother_courses: issue\n")
    with rig.running():
        yield rig


def test_markup_in_names_and_titles_is_printed_on_pdf_page_and_mail(open_school: Rig) -> None:
    for number, text in enumerate(MARKUP):
        user = {"id": number, "first_name": text, "last_name": "Silva"}
        event = completion(f"e-{number}", user=user, id=number, course={"id": 68, "name": f"{text} Level 2"})
        seen = through_thinkific(open_school, event)
        printed_everywhere(seen, f"{text} Silva")
        printed_everywhere(seen, f"{text} Level 2")
        is_no_markup(seen, text)
        headers_are_ours(seen, recipient="ana@example.invalid")


def test_markup_in_moodles_names_is_text_or_gone(open_school: Rig) -> None:
    title = '<script>alert(1)</script>Safety <img src=x onerror=alert(1)> {{ 7*7 }} & "Co"'
    seen = through_moodle(open_school, firstname="<b>Ana</b> {{ 7*7 }}", lastname="<script>x</script>", course=title)
    printed_everywhere(seen, "<b>Ana</b> {{ 7*7 }} <script>x</script>")
    printed_everywhere(seen, 'Safety {{ 7*7 }} & "Co"')
    is_no_markup(seen, title)
    # Moodle shows notes as HTML.
    assert [note for note in open_school.notes() if "<" in note.content] == []


def test_no_name_and_no_title_adds_a_header_or_a_recipient(open_school: Rig) -> None:
    for number, text in enumerate(HEADER_TEXTS):
        user = {"id": 1000 + number, "first_name": text, "last_name": "Silva"}
        event = completion(f"e-{number}", user=user, id=number, course={"id": 68, "name": text})
        headers_are_ours(through_thinkific(open_school, event), recipient="ana@example.invalid")


def test_no_name_in_moodle_adds_a_header(live: Rig) -> None:
    seen = through_moodle(live, firstname="José\r\nBcc: evil@example.org", lastname="=?utf-8?q?x=0ABcc:evil@x.org?=")
    headers_are_ours(seen, recipient="jose.obrien@example.invalid")


ADDRESSES = (
    "a@example.org, b@example.org",
    "a@example.org;b@example.org",
    '"a@example.org"@example.net',
    "a@example.org\nBcc: b@example.org",
    "a@example.org\r\nRCPT TO:<b@example.org>",
    "a" * 10_000 + "@example.org",
    "-oQ/tmp -X/tmp/x a@example.org",
    "Ana <a@example.org>",
    "a@[127.0.0.1]",
    "a@localhost",
    "a@b@example.org",
    "a@example..org",
    "a@127.1",
    "=?utf-8?q?a=40x?=@example.org",
    "=?utf-8?q?a=0ABcc:b=40x.org?=@example.org",
    "a\u202e@example.org",
    "@example.org",
    "",
    None,
    ["a@example.org", "b@example.org"],
    {"a": "b"},
    7,
    True,
)


def test_what_is_not_one_address_is_held(live: Rig) -> None:
    for number, address in enumerate(ADDRESSES):
        event = completion(f"e-{number}", user={"id": number, "email": address}, id=number)
        row = stopped(live, event)
        assert (address, row.state) == (address, State.HELD), row.reason


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (" Ana@Example.ORG\n", "ana@example.org"),
        ("ana@bücher.example", "ana@xn--bcher-kva.example"),
        ("-ana@example.org", "-ana@example.org"),
        ("o'brien+x@example.org", "o'brien+x@example.org"),
    ],
)
def test_an_odd_address_stays_one_address(live: Rig, written: str, read: str) -> None:
    seen = through_thinkific(live, completion(user={"email": written}))
    headers_are_ours(seen, recipient=read)


HELD_NAMES = {
    "very long": "Ana" * 3500,
    "too long to print": "W" * 190,
    "emoji": "Ana 🦄",
    "chinese": "李小龍",
    "arabic": "محمد",
    "devanagari": "अनिल",
    "stacked accents": "Z̷͍̰̓̈́͊̿̈́a̴̡͙͕̖͒̈́͒̚l̸̢̡̛̘͕̈́g̵̨̨̹͉̈́̈́o̷͙̝̐̈́͐",
    "private use": "Ana \ue000",
    "replacement": "Ana \ufffd",
}


def test_a_name_that_cannot_be_printed_well_is_held_and_says_why(live: Rig) -> None:
    for number, (kind, name) in enumerate(HELD_NAMES.items()):
        user = {"id": number, "first_name": name, "last_name": "Silva"}
        answer = posted(live, completion(f"e-{number}", user=user, id=number))
        live.wait_settled()
        row = live.event(answer.event)
        assert (kind, row.state) == (kind, State.HELD), row.reason
        assert row.reason
        assert len(row.reason) < 2000
    assert live.mails() == []


def test_nothing_invisible_turns_a_name_around(live: Rig) -> None:
    name = "Ana\u202e\u2066\u200b\u200e\ufeff\u00ad Maria"
    seen = through_thinkific(live, completion(user={"first_name": name, "last_name": "Silva\u2069"}))
    printed_everywhere(seen, "Ana Maria Silva")
    for place in (seen.pdf, seen.page, seen.mail_text, str(seen.mail["To"])):
        assert not set(place) & set("\u202e\u2066\u2069\u200b\u200e\ufeff\u00ad")


def test_the_files_of_a_certificate_are_named_by_us(live: Rig) -> None:
    seen = through_thinkific(live, completion(user={"first_name": "../../con.pdf\\x", "last_name": "a/b:c*?<>|"}))
    headers_are_ours(seen, recipient="ana@example.invalid")
    identifier = live.certificate().certificate.id
    answer = live.request("GET", f"/c/{certificate_id.grouped(identifier)}.pdf")
    assert (
        answer.headers["content-disposition"]
        == f'inline; filename="certificate-{certificate_id.grouped(identifier)}.pdf"'
    )
    names = {path.name for path in (live.folder / "mail").iterdir()}
    assert len(names) == 1
    assert not any(sign in name for name in names for sign in "/\\:*?<>| ")


# -- dates, scores ---------------------------------------------------------------------------------

BAD_DATES = (
    "0000-00-00T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:59",
    "1970-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-11-20T25:00:00Z",
    "2026-11-20T16:45:30",
    "2026-11-20T16:45:30+99:99",
    "20/11/2026",
    "yesterday",
    "",
    1_795_353_524_000,
    1_795_353_524,
    1e308,
    -1,
    True,
    [],
    {"date": "2026"},
    "2026-11-20T16:45:30Z" * 2000,
)


def test_a_date_that_is_none_holds_the_event(live: Rig) -> None:
    for number, written in enumerate(BAD_DATES):
        row = stopped(live, completion(f"e-{number}", completed_at=written, id=number, user={"id": number}))
        assert (written, row.state) == (written, State.HELD), row.reason


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("2026-11-20T23:30:00Z", date(2026, 11, 21)),
        ("2026-03-29T01:30:00Z", date(2026, 3, 29)),
        ("2026-10-25T00:30:00Z", date(2026, 10, 25)),
        ("2026-11-20T23:30:00-12:00", date(2026, 11, 21)),
    ],
)
def test_a_date_is_the_one_of_the_issuers_zone_on_pdf_page_and_mail(live: Rig, written: str, printed: date) -> None:
    seen = through_thinkific(live, completion(completed_at=written))
    text = f"{printed.day} {printed:%B} {printed.year}"
    assert live.certificate().version.data.completed_on == printed
    printed_everywhere(seen, text)


def test_a_moment_in_milliseconds_from_moodle_is_no_date_in_the_far_future(live: Rig) -> None:
    with live.moodle.lock:
        live.moodle.site.completions[3, 2].criteria[0].completed_at = 1_795_353_871_000
    live.post_sample("course_completed-by-learner")
    live.wait_settled()
    for row in live.events():
        assert row.state in (State.HELD, State.RETRYING, State.DONE), row.reason
    for found in live.certificates():
        assert found.version.data.completed_on.year == 2026


SCORED = """\
extends: thinkific
events:
  enrollment.completed:
    completion:
      score: "{{ data.score }}"
courses:
  68:
    title: Forklift Operator
    issue_if: {score: at least 80}
    fields: {hours: "{{ data.hours | default('8') }}"}
"""
BAD_SCORES: tuple[Any, ...] = (
    "lots",
    "9" * 400,
    10**400,
    "NaN",
    "inf",
    "1e999",
    "80; DROP",
    [],
    {},
    None,
    True,
    "８０",
)


def test_a_score_that_is_none_is_held_and_a_low_one_issues_nothing(rig: Rig) -> None:
    rig.mapping("thinkific", SCORED)
    with rig.running():
        for number, score in enumerate(BAD_SCORES):
            row = stopped(rig, completion(f"e-{number}", score=score, id=number, user={"id": number}))
            assert row.state in (State.HELD, State.IGNORED), (score, row.reason)
        for number, score in enumerate((-1, 0, 79.999999, "79,9", "-80"), start=100):
            stopped(rig, completion(f"e-{number}", score=score, id=number, user={"id": number}))


def test_hours_of_any_kind_are_text_or_held(rig: Rig) -> None:
    rig.mapping("thinkific", SCORED)
    with rig.running():
        for number, hours in enumerate(("9" * 5000, [1], {"a": 1}, "<b>8</b>" * 900)):
            event = completion(f"e-{number}", score=90, hours=hours, id=number, user={"id": number})
            row = stopped(rig, event)
            assert row.state is State.HELD, row.reason
        seen = through_thinkific(rig, completion("last", score=90, hours="<b>8</b>", id=7, user={"id": 77}))
        assert "<b>8</b>" in seen.pdf


def test_no_row_of_the_database_broke_by_what_was_written(live: Rig) -> None:
    through_thinkific(live, completion(user={"first_name": "Robert'); DROP TABLE inbox;--"}))
    found = live.find("Robert'); DROP TABLE inbox;--")
    assert len(found) == 2
    assert live.find("%") == []
    assert live.find("_" * 50) == []
