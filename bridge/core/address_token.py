"""The secret last part of a webhook address, for platforms that sign nothing and as a second proof for others."""

from __future__ import annotations

from typing import Annotated, Final, Protocol

from pydantic import Field, SecretStr

from bridge.core.models import InboundRequest
from bridge.core.signatures import verify_token

WHAT: Final = "the token at the end of the webhook address"
_ALONE: Final = 16
"""Characters at least where this secret is all the proof there is."""
_BESIDE: Final = 8

UrlToken = Annotated[
    SecretStr,
    Field(min_length=_ALONE, description="Secret last part of the webhook address: /hooks/SOURCE/THIS-TOKEN."),
]
"""The setting `url_token` of a source that has no other proof."""
OptionalUrlToken = Annotated[
    SecretStr | None,
    Field(min_length=_BESIDE, description="If set, the webhook address must end in it: /hooks/SOURCE/THIS-TOKEN."),
]
"""The setting `url_token` of a source that may have another proof, too."""
PreviousUrlToken = Annotated[
    SecretStr | None,
    Field(min_length=_BESIDE, description="The last part before, while you change it; still accepted."),
]
"""The setting `previous_url_token`."""


class HasUrlToken(Protocol):
    """Settings with these two."""

    @property
    def url_token(self) -> SecretStr | None: ...

    @property
    def previous_url_token(self) -> SecretStr | None: ...


def accepted(settings: HasUrlToken) -> list[SecretStr]:
    """Returns the last parts that an address may have: the one in use and, for a while, the one before."""
    return [token for token in (settings.url_token, settings.previous_url_token) if token is not None]


def verify(request: InboundRequest, settings: HasUrlToken) -> None:
    """Raises SignatureError unless the request was sent to an address with such an end."""
    verify_token(request.path_token, accepted(settings), what=WHAT)


def verify_if_set(request: InboundRequest, settings: HasUrlToken) -> None:
    """Raises SignatureError where `url_token` is set and the request was sent to another address."""
    if settings.url_token is not None:
        verify(request, settings)


def last_part(settings: HasUrlToken) -> str | None:
    """Returns the end of the address in use, for samples that are sent to it."""
    return settings.url_token.get_secret_value() if settings.url_token is not None else None
