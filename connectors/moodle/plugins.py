"""The plugins by which Moodle reports events: where each puts the shared secret, and how its body is cut."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from pydantic import SecretStr

from bridge.core.errors import PayloadError, SignatureError
from bridge.core.headers import basic, basic_login, with_header
from bridge.core.models import InboundRequest, SourceEvent
from bridge.core.payload import read_object
from bridge.core.signatures import Secrets, standard_webhooks_signature, verify_standard_webhooks, verify_token
from connectors.moodle import tool_trigger, xapi
from connectors.moodle.events import cut
from connectors.moodle.settings import MoodleSettings

Signed = tuple[bytes, dict[str, str]]


class Plugin(ABC):
    """One plugin's dialect."""

    suffix: ClassVar[str | None] = None
    """What the plugin itself puts behind the address; there is then no room for a token of ours."""

    @abstractmethod
    def prove(self, request: InboundRequest, secrets: Secrets, *, proven: bool) -> None:
        """Raises SignatureError unless the request carries one of `secrets`; `proven`: its address did already."""

    @abstractmethod
    def read(self, body: bytes) -> Iterable[SourceEvent]:
        """Cuts the body into events. Raises PayloadError."""

    @abstractmethod
    def sign(self, body: bytes, headers: Mapping[str, str], secret: SecretStr, now: datetime) -> Signed:
        """Returns body and headers with the secret in them."""


class LocalWebhooks(Plugin):
    """The token is a field of the body, which is JSON whatever Content-Type says; versions 3 and 5 alike.

    https://github.com/valentineus/moodle-webhooks
    """

    def prove(self, request: InboundRequest, secrets: Secrets, *, proven: bool) -> None:
        try:
            presented = read_object(request.body).get("token")
        except PayloadError as error:
            if proven:
                return  # read says what is wrong with the body, and it is kept
            raise SignatureError(f"The body cannot be read, so its token cannot be checked. {error}") from error
        verify_token(presented, secrets, what="the field `token` of the body")

    def read(self, body: bytes) -> Sequence[SourceEvent]:
        return [cut(read_object(body))]

    def sign(self, body: bytes, headers: Mapping[str, str], secret: SecretStr, now: datetime) -> Signed:
        """Leaves the body alone to the byte where the token is there already, or where it cannot be read."""
        token = secret.get_secret_value()
        try:
            fields = read_object(body)
        except PayloadError:
            return body, dict(headers)
        kept = fields.get("token") == token
        return body if kept else json.dumps({**fields, "token": token}).encode(), dict(headers)


class ToolTrigger(Plugin):
    """The token is a header that the admin typed into the workflow. https://github.com/catalyst/moodle-tool_trigger"""

    def __init__(self, header: str) -> None:
        self._header = header

    def prove(self, request: InboundRequest, secrets: Secrets, *, proven: bool) -> None:
        verify_token(request.headers.get(self._header.lower()), secrets, what=f"the header {self._header}")

    def read(self, body: bytes) -> Sequence[SourceEvent]:
        return [cut(tool_trigger.fields(body))]

    def sign(self, body: bytes, headers: Mapping[str, str], secret: SecretStr, now: datetime) -> Signed:
        return body, with_header(headers, self._header, secret.get_secret_value())


class LogstoreXapi(Plugin):
    """certbridge is its learning record store: Basic authentication, lists of statements, an address ending in them.

    https://github.com/xAPI-vle/moodle-logstore_xapi
    """

    suffix = "statements"

    def prove(self, request: InboundRequest, secrets: Secrets, *, proven: bool) -> None:
        # Whatever the user name: the password is the secret.
        presented = (basic_login(request.headers) or "").partition(":")[2]
        verify_token(presented, secrets, what="the password (Basic authentication)")

    def read(self, body: bytes) -> Iterator[SourceEvent]:
        return (cut(fields) for fields in xapi.completions(body))

    def sign(self, body: bytes, headers: Mapping[str, str], secret: SecretStr, now: datetime) -> Signed:
        return body, with_header(headers, "Authorization", basic(f"certbridge:{secret.get_secret_value()}"))


class LocalWebhookengine(Plugin):
    """Signed after Standard Webhooks; the ids stand in the object `event`.

    https://github.com/thepankajzx/moodle-local_webhookengine, read in source, never run by us.
    """

    def prove(self, request: InboundRequest, secrets: Secrets, *, proven: bool) -> None:
        verify_standard_webhooks(request.headers, request.body, secrets, now=request.received_at)

    def read(self, body: bytes) -> Sequence[SourceEvent]:
        envelope = read_object(body)
        event, related = envelope.get("event"), envelope.get("relateduser")
        if not isinstance(event, dict):
            raise PayloadError("The body has no object `event`. Remove the custom template in Event Webhooks.")
        fields = {"eventname": envelope.get("eventname"), **event}
        if fields.get("relateduserid") is None and isinstance(related, dict):
            fields["relateduserid"] = related.get("id")
        return [cut(fields)]

    def sign(self, body: bytes, headers: Mapping[str, str], secret: SecretStr, now: datetime) -> Signed:
        present = {name.lower(): value for name, value in headers.items()}
        number = present.get("webhook-id") or hashlib.sha256(body).hexdigest()
        seconds = int(now.timestamp())
        signature = standard_webhooks_signature(number, seconds, body, secret)
        signed = with_header(with_header(headers, "webhook-id", number), "webhook-timestamp", str(seconds))
        return body, with_header(signed, "webhook-signature", signature)


def plugin_of(settings: MoodleSettings) -> Plugin:
    """Returns the dialect that the settings name."""
    return {
        "local_webhooks": LocalWebhooks(),
        "tool_trigger": ToolTrigger(settings.token_header),
        "logstore_xapi": LogstoreXapi(),
        "local_webhookengine": LocalWebhookengine(),
    }[settings.plugin]
