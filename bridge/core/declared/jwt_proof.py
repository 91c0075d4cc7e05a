"""Proof by a token that the vendor signs with its own key (JWT): as the body itself, or in the header Authorization."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field, field_validator

from bridge.core.declared.addresses import Address, WebAddress
from bridge.core.declared.keys import KeyRing
from bridge.core.declared.proofs import ONLY_THE_VENDOR, Draft, ProofKind
from bridge.core.declared.settings import Fields, visible
from bridge.core.declared.signed import Duration
from bridge.core.declared.texts import Test, Unclear, Words, line
from bridge.core.errors import PayloadError, PermanentError, SignatureError, UnavailableError
from bridge.core.expressions import Expression, Text
from bridge.core.headers import authorization
from bridge.core.models import InboundRequest
from bridge.core.payload import MAX_BYTES, read_object
from bridge.core.section import Section

if TYPE_CHECKING:  # the library is loaded with the first token: few sources need it
    from joserfc.jws import JWSRegistry

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"
]  # fmt: skip
_LONGEST_ID: Final = 200


class Expectation(Section):
    """Something that must be true of the token's claims."""

    that: Test = Field(description="An expression on claims and settings: claims.host == settings.host")
    because: str = Field(max_length=300, description="What is wrong where it is not true.")


class JwtProof(ProofKind):
    """A JSON Web Token, signed with a key from the vendor's list (JWKS)."""

    words = "JWT with the vendor's keys"

    place: Literal["body", "authorization"] = Field(
        default="body", alias="in", description="Where the token stands; authorization: behind Bearer in that header."
    )
    jwks_url: WebAddress = Field(description="The address of the vendor's list of keys; fetched ahead, every hour.")
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256",), min_length=1, description="What it may be signed by.")
    issuer: Words | None = Field(default=None, description="What its claim iss must be.")
    audience: Words | None = Field(default=None, description="What its claim aud must be or hold.")
    expect: tuple[Expectation, ...] = Field(
        default=(), max_length=10, description="What else must be true: that it is about this customer, for example."
    )
    tolerance: Duration = Field(default=timedelta(minutes=5), description="How far the clocks may differ.")

    @field_validator("jwks_url")
    @classmethod
    def _whole(cls, address: Address) -> Address:
        if not address.absolute:
            raise ValueError("A whole address is needed here: https://...")
        return address

    def fields(self, *, required: bool) -> Fields:
        return {}

    def needed(self) -> list[str]:
        texts: list[Text | Expression] = [one.that.expression for one in self.expect]
        texts += [one for one in (self.issuer, self.audience) if one is not None]
        return sorted({name for text in texts for root, name in text.reads if root == "settings"})

    def verify(self, request: InboundRequest, settings: Any, keys: KeyRing) -> None:
        scope = {"settings": visible(settings)}
        claims = self._claims(self._token(request), keys, self.jwks_url.at(scope))
        self._check_times(claims, request.received_at)
        for name, wanted in (("iss", self.issuer), ("aud", self.audience)):
            if wanted is not None:
                self._check_name(name, claims.get(name), line(wanted, scope))
        for one in self.expect:
            try:
                holds = one.that.surely({**scope, "claims": claims})
            except Unclear as unclear:
                raise SignatureError(f"The token cannot be checked: {unclear}.") from None
            if not holds:
                raise SignatureError(
                    f"The token is genuine, but not meant for this source. {one.because}", code="claims"
                )

    def sign(self, draft: Draft, settings: Any) -> None:
        raise PermanentError(ONLY_THE_VENDOR)

    def _token(self, request: InboundRequest) -> str:
        if self.place == "authorization":
            found = authorization(request.headers, "bearer") or ""
        else:
            found = request.body[:MAX_BYTES].strip().decode("ascii", "replace")
        if found.count(".") != 2:
            raise SignatureError("The request is not signed: it holds no JSON Web Token.", code="signature_missing")
        return found

    def _claims(self, token: str, keys: KeyRing, url: str) -> dict[str, object]:
        try:
            header = segment(token, 0)
        except PayloadError:
            raise SignatureError("The token's header cannot be read.") from None
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in self.algorithms or "crit" in header:
            raise SignatureError(f"The token is signed in a way that is not accepted here ({str(algorithm)[:20]!a}).")
        known = keys.find(url, key_id[:_LONGEST_ID] if isinstance(key_id, str) else None)
        if not known:
            raise UnavailableError(
                "The key that signed this request is not known yet; it is fetched from the vendor.",
                code="keys",
                retry_after=60.0,
            )
        from joserfc import jws
        from joserfc.errors import JoseError

        registry = _registry(str(algorithm))
        for key in known:
            try:
                found = jws.deserialize_compact(token, key, registry=registry)
                return read_object(found.payload)
            except PayloadError as error:
                raise SignatureError(f"The token's contents cannot be read. {error}") from None
            except (JoseError, ValueError, TypeError):
                continue
        raise SignatureError("The token's signature does not fit: it was not signed by the vendor, or was changed.")

    def _check_times(self, claims: dict[str, object], now: datetime) -> None:
        for name, sign in (("exp", 1), ("nbf", -1), ("iat", -1)):
            value = claims.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
                raise SignatureError(f"The token's claim {name} is no time.", code="timestamp")
            moment = datetime.fromtimestamp(value, UTC)
            if (now - moment) * sign > self.tolerance:
                word = "is no longer" if name == "exp" else "is not yet"
                raise SignatureError(f"The token {word} valid (claim {name}). Is a clock wrong?", code="timestamp")

    def _check_name(self, name: str, value: object, wanted: str) -> None:
        found = value if isinstance(value, list) else [value]
        if wanted not in found:
            raise SignatureError(f"The token is genuine, but its claim {name} is not {wanted!a}.", code="claims")


def _registry(algorithm: str) -> JWSRegistry:
    """Returns what the library verifies by: this algorithm alone, and as much as any other webhook may hold."""
    from joserfc.jws import JWSRegistry

    class Registry(JWSRegistry):
        max_header_length = 16_384  # some vendors send their certificates along (x5c)
        max_payload_length = 2 * MAX_BYTES  # as base64, which is a third longer

        def get_alg(self, name: str) -> Any:
            # Without its warning about the older name of Ed25519, which many vendors still write: EdDSA (RFC 8037).
            return self.algorithms[name] if name == "EdDSA" == algorithm else super().get_alg(name)

    return Registry(algorithms=[algorithm])


def segment(token: str, number: int) -> dict[str, object]:
    """Returns the JSON object in one part of a token, unchecked. Raises PayloadError."""
    part = token.split(".")[number].encode("ascii", "replace")
    try:
        raw = base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise PayloadError("The body is no JSON Web Token.") from None
    return read_object(raw)
