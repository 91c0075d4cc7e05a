"""Proof by Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from bridge.core.declared.keys import KeyRing
from bridge.core.declared.proofs import ONLY_THE_VENDOR, Draft, ProofKind
from bridge.core.declared.settings import Fields, SettingName, secret_fields, secrets_of
from bridge.core.declared.signed import Duration
from bridge.core.errors import PermanentError
from bridge.core.models import InboundRequest
from bridge.core.signatures import standard_webhooks_key, standard_webhooks_signature, verify_standard_webhooks


class StandardWebhooksProof(ProofKind):
    """Standard Webhooks: a shared key (`whsec_`, v1) or the vendor's public one (`whpk_`, v1a)."""

    words = "Standard Webhooks signature"

    prefix: str = Field(default="webhook", pattern=r"^[a-z][a-z-]{0,30}$", description="The start of its headers.")
    tolerance: Duration = Field(default=timedelta(minutes=5), description="How old or early a request may be.")
    setting: SettingName = Field(default="signing_secret", description="The setting that holds the key.")

    def fields(self, *, required: bool) -> Fields:
        fields = secret_fields(self.setting, "The signing key; it begins with whsec_ or whpk_.", required=required)
        return {name: (Annotated[kind, AfterValidator(_standard_key)], info) for name, (kind, info) in fields.items()}

    def verify(self, request: InboundRequest, settings: Any, keys: KeyRing) -> None:
        verify_standard_webhooks(
            request.headers,
            request.body,
            secrets_of(settings, self.setting),
            now=request.received_at,
            tolerance=self.tolerance,
            prefix=self.prefix,
        )

    def sign(self, draft: Draft, settings: Any) -> None:
        headers = {name.lower(): value for name, value in draft.headers.items()}
        message_id = headers.get(f"{self.prefix}-id", "sample")
        seconds = int(draft.now.timestamp())
        try:
            signature = standard_webhooks_signature(message_id, seconds, draft.body, getattr(settings, self.setting))
        except ValueError:  # a key that is none is refused with the settings, so it is the vendor's public one
            raise PermanentError(ONLY_THE_VENDOR) from None
        for part, value in (("id", message_id), ("timestamp", str(seconds)), ("signature", signature)):
            draft.set_header(f"{self.prefix}-{part}", value)


def _standard_key(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None:
        standard_webhooks_key(secret)
    return secret
