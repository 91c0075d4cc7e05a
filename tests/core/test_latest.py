"""A place for one number: what is ours may be replaced, what is not stays."""

from __future__ import annotations

from datetime import date

import pytest

from bridge.core import certificate_id
from bridge.core.errors import HeldError
from bridge.core.latest import needs_writing
from bridge.core.models import Certificate, CertificateData, Course, Issuer, Recipient

OURS, EARLIER, ELSEWHERE = (certificate_id.new() for _ in range(3))


def certificate(state: str = "issued") -> Certificate:
    day = date(2026, 11, 20)
    data = CertificateData(
        recipient=Recipient(name="Maria Silva"),
        course=Course(id="68", title="Fire Safety"),
        issuer=Issuer(name="School"),
        completed_on=day,
        issued_on=day,
        zone="UTC",
        locale="en",
    )
    return Certificate(
        id=OURS,
        test=False,
        state=state,  # type: ignore[arg-type]
        version=1,
        data=data,
        url=f"https://certificates.example/c/{certificate_id.grouped(OURS)}",
        pdf_url="",
        source="school",
        subject="7",
        withdrawn=(EARLIER,),
    )


NUMBER = certificate_id.grouped(OURS)


def test_an_empty_place_and_an_earlier_number_are_written() -> None:
    for held in ("", "  ", certificate_id.grouped(EARLIER), f"https://certificates.example/c/{EARLIER}"):
        assert needs_writing(held, NUMBER, certificate(), where="field")


def test_a_place_that_is_right_is_left_alone() -> None:
    assert not needs_writing(NUMBER, NUMBER, certificate(), where="field")


@pytest.mark.parametrize(
    "held",
    ["HR remark: keep me", "0", "null", NUMBER[:-1], f"{NUMBER}, {NUMBER}"],
    ids=["words", "digit", "null", "cut off", "twice"],
)
def test_foreign_text_is_held_and_never_overwritten(held: str) -> None:
    with pytest.raises(HeldError, match="not overwritten") as told:
        needs_writing(held, NUMBER, certificate(), where="field")
    assert told.value.stable_code == "foreign_text"


def test_only_numbers_that_are_not_valid_any_more_are_taken_out() -> None:
    revoked = certificate("revoked")
    assert needs_writing(NUMBER, "", revoked, where="field")
    assert needs_writing(certificate_id.grouped(EARLIER), "", revoked, where="field")
    assert not needs_writing(certificate_id.grouped(ELSEWHERE), "", revoked, where="field")
    assert not needs_writing("HR remark", "", revoked, where="field")
