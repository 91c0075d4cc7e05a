"""Writing certificate numbers into the one text of a user that Teachable lets us write, and only where it is free."""

from __future__ import annotations

from typing import Any

import pytest
from routed_api import RoutedApi
from scripted_api import Answer, KeptMemo, certificate
from test_teachable_confirm import USER, user
from test_teachable_connector import LEARNER, parsed, teachable

from bridge.core.certificate_id import grouped
from bridge.core.connector import Receipt
from bridge.core.errors import HeldError, PermanentError, TemporaryError

NUMBER = f"cert:{grouped(certificate().id)}"
PATCH = f"PATCH /users/{LEARNER}"


def write(*sources: str | None, state: str = "issued", **write_back: Any) -> tuple[Receipt, RoutedApi]:
    """Writes back while `src` holds one value after another."""
    connector = teachable(write_back={"src": True, **write_back})
    (step,) = connector.write_back_steps(certificate(), parsed())
    api = RoutedApi(connector, {USER: [user(src=source) for source in sources], PATCH: user()})
    return connector.write_back(step, certificate(state), KeptMemo(), api), api


def test_nothing_is_written_unless_an_admin_asks_for_it() -> None:
    assert teachable().write_back_steps(certificate(), parsed()) == ()


def test_plans_one_writer_at_a_time_and_the_latest_number_only() -> None:
    (step,) = teachable(write_back={"src": True}).write_back_steps(certificate(), parsed())
    assert dict(step.target) == {"user": LEARNER}
    assert step.lock_key == f"user:{LEARNER}"
    assert step.latest


@pytest.mark.parametrize("empty", [None, ""])
def test_writes_the_number_where_nothing_stands_and_reads_it_back(empty: str | None) -> None:
    receipt, api = write(empty, NUMBER)
    assert receipt.confirmed
    assert [asked.json for asked in api.calls("PATCH")] == [{"src": NUMBER}]


def test_a_number_that_is_there_already_is_not_written_again() -> None:
    receipt, api = write(NUMBER)
    assert receipt.confirmed
    assert api.calls("PATCH") == []


def test_a_sign_up_source_is_left_alone_and_named() -> None:
    with pytest.raises(HeldError, match="newsletter") as caught:
        write("newsletter")
    assert caught.value.stable_code == "foreign_text"


@pytest.mark.parametrize("state", ["issued", "revoked", "erased"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_case_contracts_1_what_is_not_shown_is_neither_written_nor_said_to_be_right(
    state: str, overwrite: bool
) -> None:
    connector = teachable(write_back={"src": True, "overwrite": overwrite})
    (step,) = connector.write_back_steps(certificate(), parsed())
    hidden = {name: value for name, value in user().items() if name != "src"}
    for answer in (hidden, {"user": hidden}):
        api = RoutedApi(connector, {USER: answer, PATCH: hidden})
        with pytest.raises(HeldError, match="does not show") as caught:
            connector.write_back(step, certificate(state), KeptMemo(), api)
        assert (caught.value.stable_code, api.calls("PATCH")) == ("not_shown", [])


def test_case_contracts_1_a_value_that_is_no_longer_shown_after_writing_confirms_nothing() -> None:
    connector = teachable(write_back={"src": True})
    (step,) = connector.write_back_steps(certificate(), parsed())
    hidden = {name: value for name, value in user().items() if name != "src"}
    api = RoutedApi(connector, {USER: [user(src=None), hidden], PATCH: hidden})
    with pytest.raises(HeldError):
        connector.write_back(step, certificate(), KeptMemo(), api)


def test_a_source_that_is_no_text_is_not_taken_for_an_empty_one() -> None:
    with pytest.raises(HeldError, match="17"):
        write(17)  # type: ignore[arg-type]


def test_something_that_only_looks_like_a_number_is_left_alone_too() -> None:
    with pytest.raises(HeldError):
        write("cert:2019-campaign")


def test_a_sign_up_source_is_replaced_where_an_admin_wants_it() -> None:
    receipt, api = write("newsletter", NUMBER, overwrite=True)
    assert api.calls("PATCH")[0].json == {"src": NUMBER}
    assert receipt.details["before"] == "newsletter"


def test_the_number_of_an_earlier_certificate_is_replaced() -> None:
    earlier = f"cert:{grouped('0000000000000000' + '0')}"
    _, api = write(earlier, NUMBER)
    assert len(api.calls("PATCH")) == 1


@pytest.mark.parametrize("state", ["revoked", "erased"])
def test_a_revoked_number_is_removed_and_anything_else_stays(state: str) -> None:
    _, api = write(NUMBER, None, state=state)
    assert api.calls("PATCH")[0].json == {"src": ""}
    for other in ("newsletter", None):
        _, api = write(other, state=state)
        assert api.calls("PATCH") == []


def test_a_number_that_does_not_stick_is_noticed() -> None:
    with pytest.raises(TemporaryError, match="does not show it"):
        write(None, None)


def test_a_learner_who_is_gone_is_said() -> None:
    connector = teachable(write_back={"src": True})
    (step,) = connector.write_back_steps(certificate(), parsed())
    gone = RoutedApi(connector, {USER: Answer({"message": "Not found"}, 404)})
    with pytest.raises(PermanentError) as caught:
        connector.write_back(step, certificate(), KeptMemo(), gone)
    assert caught.value.stable_code == "user_gone"


def test_an_event_without_a_learner_is_not_written_back() -> None:
    event = parsed().model_copy(update={"subject": None})
    assert teachable(write_back={"src": True}).write_back_steps(certificate(), event) == ()
