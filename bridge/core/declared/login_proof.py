"""Proof by a user name and a password (HTTP Basic)."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr

from bridge.core.declared.keys import KeyRing
from bridge.core.declared.proofs import Draft, ProofKind
from bridge.core.declared.settings import Fields, SettingName, secret_fields, secrets_of
from bridge.core.errors import SignatureError
from bridge.core.headers import authorization, basic, basic_login
from bridge.core.models import InboundRequest
from bridge.core.signatures import verify_token


class BasicProof(ProofKind):
    """`Authorization: Basic`, a user name with a password."""

    words = "user name and password"

    username: SettingName = Field(default="username", description="The setting that holds the user name.")
    password: SettingName = Field(default="password", description="The setting that holds the password.")

    def fields(self, *, required: bool) -> Fields:
        name = Field(
            ... if required else None, min_length=1, description="The user name that the sender signs in with."
        )
        about = "The password that the sender signs in with."
        return {
            self.username: (str if required else str | None, name),
            **secret_fields(self.password, about, required=required),
        }

    def verify(self, request: InboundRequest, settings: Any, keys: KeyRing) -> None:
        name = getattr(settings, self.username)
        accepted = [
            SecretStr(f"{name}:{secret.get_secret_value()}") if secret else None
            for secret in secrets_of(settings, self.password)
        ]
        login = basic_login(request.headers)
        if login is None and authorization(request.headers, "basic"):
            raise SignatureError("The header Authorization holds no login that could be read.")
        verify_token(login, accepted, what="the login in the header Authorization")

    def sign(self, draft: Draft, settings: Any) -> None:
        secret: SecretStr = getattr(settings, self.password)
        login = f"{getattr(settings, self.username)}:{secret.get_secret_value()}"
        draft.set_header("Authorization", basic(login))
