"""The secret end of a webhook address: who has it gets in, and the one before it for as long as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

from bridge.core import address_token
from bridge.core.errors import SignatureError
from bridge.core.models import InboundRequest


@dataclass(frozen=True)
class Settings:
    url_token: SecretStr | None = None
    previous_url_token: SecretStr | None = None


BOTH = Settings(SecretStr("the-new-end-of-it"), SecretStr("the-old-end-of-it"))


def request(end: str | None) -> InboundRequest:
    return InboundRequest(
        method="POST",
        url="https://certs.example/hooks/source",
        headers={},
        body=b"{}",
        path_token=end,
        received_at=datetime(2026, 11, 20, tzinfo=UTC),
    )


@pytest.mark.parametrize("end", ["the-new-end-of-it", "the-old-end-of-it"])
def test_the_end_in_use_and_the_one_before_are_accepted(end: str) -> None:
    address_token.verify(request(end), BOTH)
    address_token.verify_if_set(request(end), BOTH)


@pytest.mark.parametrize("end", [None, "", "another-end-of-it", "the-new-end-of-it "])
def test_every_other_end_is_refused(end: str | None) -> None:
    with pytest.raises(SignatureError, match="end of the webhook address"):
        address_token.verify(request(end), BOTH)
    with pytest.raises(SignatureError, match="end of the webhook address"):
        address_token.verify_if_set(request(end), BOTH)


def test_where_no_end_is_set_only_the_second_proof_counts() -> None:
    address_token.verify_if_set(request(None), Settings())
    with pytest.raises(SignatureError, match="No secret is set"):
        address_token.verify(request("anything"), Settings())
    # What is left of a change proves nothing by itself once the setting is gone.
    address_token.verify_if_set(request("anything"), Settings(previous_url_token=SecretStr("the-old-end-of-it")))


def test_samples_are_sent_to_the_end_in_use() -> None:
    assert address_token.last_part(BOTH) == "the-new-end-of-it"
    assert address_token.last_part(Settings()) is None


def test_an_end_that_is_the_only_proof_must_be_longer() -> None:
    alone, beside = TypeAdapter(address_token.UrlToken), TypeAdapter(address_token.OptionalUrlToken)
    assert beside.validate_python("12345678") is not None
    for adapter, short in ((alone, "123456789012345"), (beside, "1234567")):
        with pytest.raises(ValidationError, match="at least"):
            adapter.validate_python(short)
