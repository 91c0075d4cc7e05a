"""How a declared source proves that a request is its own: shared tokens in a header, in the address, or as a login."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr

from bridge.core import address_token
from bridge.core.declared.keys import KeyRing
from bridge.core.declared.settings import Fields, SettingName, secret_fields, secrets_of
from bridge.core.headers import authorization, with_header
from bridge.core.models import InboundRequest
from bridge.core.section import Section
from bridge.core.signatures import verify_token

ONLY_THE_VENDOR = (
    "Only the vendor has the key that signs these requests, so no sample of them can be sent. `certbridge try SOURCE "
    "FILE` shows what would become of one."
)
HEADER = r"^[A-Za-z0-9][A-Za-z0-9-]{0,79}$"


@dataclass
class Draft:
    """A request that is being made authentic."""

    body: bytes
    headers: dict[str, str]
    now: datetime
    path_token: str | None = None
    query: dict[str, str] = field(default_factory=dict)

    def set_header(self, name: str, value: str) -> None:
        """Puts a header in place of one of the same name, whatever its capitals."""
        self.headers = with_header(self.headers, name, value)


class ProofKind(Section, ABC):
    """One way to prove a request; the settings it needs are made from it."""

    words: ClassVar[str]
    """For the table of abilities."""

    optional: bool = Field(default=False, description="true: asked for only where its setting is set.")

    @abstractmethod
    def fields(self, *, required: bool) -> Fields:
        """Returns the settings that this proof needs."""

    def configured(self, settings: Any) -> bool:
        """Tells whether this source asks for this proof."""
        return all(getattr(settings, name) is not None for name in self.needed())

    def needed(self) -> list[str]:
        """Returns the names of the settings without which this proof cannot be given."""
        return [name for name in self.fields(required=False) if not name.startswith("previous_")]

    @abstractmethod
    def verify(self, request: InboundRequest, settings: Any, keys: KeyRing) -> None:
        """Raises SignatureError unless the request gives this proof."""

    @abstractmethod
    def sign(self, draft: Draft, settings: Any) -> None:
        """Makes a sample give this proof."""


class TokenProof(ProofKind):
    """A shared secret that the sender repeats as it is."""

    about: ClassVar[str]
    in_address: ClassVar[bool] = False

    setting: SettingName
    description: str | None = Field(default=None, max_length=300, description="What the admin reads about the setting.")
    own: bool = Field(
        default=False,
        description="true: the admin makes it up and enters it at the sender (what stands in the address always is "
        "so); `certbridge init` then makes one.",
    )

    def fields(self, *, required: bool) -> Fields:
        return secret_fields(self.setting, self.description or self.about, required=required)

    def verify(self, request: InboundRequest, settings: Any, keys: KeyRing) -> None:
        presented, what = self.presented(request)
        verify_token(presented, [self.trimmed(one) for one in secrets_of(settings, self.setting)], what=what)

    @abstractmethod
    def presented(self, request: InboundRequest) -> tuple[str | None, str]:
        """Returns the token that came, and what the place is called."""

    def trimmed(self, secret: SecretStr | None) -> SecretStr | None:
        """Returns the secret without what is not part of it."""
        return secret

    def secret(self, settings: Any) -> str:
        """Returns the secret in use."""
        found: SecretStr = getattr(settings, self.setting)
        return found.get_secret_value()


class HeaderProof(TokenProof):
    """A fixed value in a header of its own."""

    words = "shared token in a header"
    about = "The value that the sender puts into its header."

    name: str = Field(pattern=HEADER, description="The name of the header, such as X-Webhook-Token.")
    prefix: str = Field(default="", max_length=40, description='What stands before the value, such as "v1=".')
    setting: SettingName = Field(default="header_token", description="The setting that holds the value.")

    def presented(self, request: InboundRequest) -> tuple[str | None, str]:
        value = request.headers.get(self.name.lower())
        return (without_prefix(value.strip(), self.prefix) if value else None), f"the header {self.name}"

    def trimmed(self, secret: SecretStr | None) -> SecretStr | None:
        # People copy the value with what stands before it.
        return SecretStr(without_prefix(secret.get_secret_value(), self.prefix)) if secret else None

    def sign(self, draft: Draft, settings: Any) -> None:
        draft.set_header(self.name, self.prefix + without_prefix(self.secret(settings), self.prefix))


class BearerProof(TokenProof):
    """`Authorization: Bearer TOKEN`."""

    words = "bearer token"
    about = "The token that the sender puts behind Bearer in the header Authorization."

    setting: SettingName = Field(default="bearer_token", description="The setting that holds the token.")

    def presented(self, request: InboundRequest) -> tuple[str | None, str]:
        return authorization(request.headers, "bearer"), "the bearer token in the header Authorization"

    def sign(self, draft: Draft, settings: Any) -> None:
        draft.set_header("Authorization", f"Bearer {self.secret(settings)}")


class UrlTokenProof(TokenProof):
    """A secret last part of the webhook address."""

    words = "token in the address"
    about = "Secret last part of the webhook address: /hooks/SOURCE/THIS-TOKEN."
    in_address = True

    setting: SettingName = Field(default="url_token", description="The setting that holds the token.")

    def presented(self, request: InboundRequest) -> tuple[str | None, str]:
        return request.path_token, address_token.WHAT

    def sign(self, draft: Draft, settings: Any) -> None:
        draft.path_token = self.secret(settings)


class QueryProof(TokenProof):
    """A secret behind the question mark of the webhook address."""

    words = "token in the address"
    about = "Secret behind the question mark of the webhook address."
    in_address = True

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,80}$", description="The name of the parameter.")
    setting: SettingName = Field(default="query_token", description="The setting that holds the token.")

    def presented(self, request: InboundRequest) -> tuple[str | None, str]:
        found = query_of(request).get(self.name)
        return found, f"the parameter {self.name} of the webhook address"

    def sign(self, draft: Draft, settings: Any) -> None:
        draft.query[self.name] = self.secret(settings)


def without_prefix(value: str, prefix: str) -> str:
    """Returns the value without its prefix, whatever the capitals of that."""
    return value[len(prefix) :].strip() if prefix and value.lower().startswith(prefix.lower()) else value


def query_of(request: InboundRequest) -> dict[str, str]:
    """Returns the parameters of the request's address; of one that is repeated the first."""
    try:
        found = parse_qs(urlsplit(request.url).query, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}
