"""Which proofs a declared source asks for, and how several go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field, model_validator

from bridge.core.declared.jwt_proof import JwtProof
from bridge.core.declared.keys import KeyRing
from bridge.core.declared.login_proof import BasicProof
from bridge.core.declared.proofs import (
    BearerProof,
    Draft,
    HeaderProof,
    ProofKind,
    QueryProof,
    TokenProof,
    UrlTokenProof,
)
from bridge.core.declared.settings import Fields
from bridge.core.declared.signed import HmacProof
from bridge.core.declared.standard_proof import StandardWebhooksProof
from bridge.core.errors import SignatureError, UnavailableError
from bridge.core.models import InboundRequest
from bridge.core.section import Section


class OneProof(Section):
    """One way to prove a request."""

    header: HeaderProof | None = Field(default=None, description="A fixed value in a header.")
    hmac: HmacProof | None = Field(default=None, description="A signature with a shared secret.")
    standard_webhooks: StandardWebhooksProof | None = Field(
        default=None, description="A signature after Standard Webhooks."
    )
    jwt: JwtProof | None = Field(default=None, description="A token signed with the vendor's own key.")
    basic: BasicProof | None = Field(default=None, description="A user name and a password.")
    bearer: BearerProof | None = Field(default=None, description="A bearer token.")
    url_token: UrlTokenProof | None = Field(default=None, description="A secret last part of the address.")
    query: QueryProof | None = Field(default=None, description="A secret behind the question mark of the address.")

    @model_validator(mode="after")
    def _exactly_one(self) -> OneProof:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"needs exactly one of: {', '.join(type(self).model_fields)}")
        return self

    def kinds(self) -> list[ProofKind]:
        """Returns the proofs of which one must be given."""
        return [kind for name in self.model_fields_set if isinstance(kind := getattr(self, name), ProofKind)]


class Proof(OneProof):
    """What a request must prove; of `any_of` one is enough."""

    any_of: tuple[OneProof, ...] | None = Field(
        default=None, min_length=2, max_length=5, description="Several, of which one that is set up must fit."
    )

    def kinds(self) -> list[ProofKind]:
        return [kind for one in self.any_of for kind in one.kinds()] if self.any_of else super().kinds()

    @property
    def required(self) -> bool:
        """Whether every source of this kind asks for it."""
        return not self.any_of and not any(kind.optional for kind in self.kinds())


Proofs = Sequence[Proof]


def kinds_of(proofs: Proofs) -> list[ProofKind]:
    """Returns every proof of a declaration."""
    return [kind for proof in proofs for kind in proof.kinds()]


def proof_fields(proofs: Proofs) -> Fields:
    """Returns the settings that the proofs need; those of a declaration's only proof are required."""
    return {
        name: field
        for proof in proofs
        for kind in proof.kinds()
        for name, field in kind.fields(required=proof.required).items()
    }


def own_secret(proofs: Proofs) -> str:
    """Returns the setting of the secret that the admin makes up; an empty text where the vendor gives them all."""
    tokens = [kind for kind in kinds_of(proofs) if isinstance(kind, TokenProof)]
    return next((token.setting for token in tokens if token.own or token.in_address), "")


def check_proofs(proofs: Proofs, settings: Any) -> None:
    """Raises ValueError unless some proof is set up, and each one that is begun is complete."""
    kinds = kinds_of(proofs)
    for kind in kinds:
        own = list(kind.fields(required=False))
        begun = [name for name in own if getattr(settings, name) is not None]
        missing = [name for name in kind.needed() if name in own and getattr(settings, name) is None]
        if begun and missing:
            raise ValueError(f"{begun[0]} needs {missing[0]}")
    for proof in proofs:
        if proof.any_of and not any(kind.configured(settings) for kind in proof.kinds()):
            raise ValueError(f"needs one of: {_names(proof.kinds())}; otherwise anybody could report completions")
    if proofs and not any(kind.configured(settings) for kind in kinds):
        raise ValueError(f"needs one of: {_names(kinds)}; otherwise anybody could report completions")


def _names(kinds: Sequence[ProofKind]) -> str:
    return ", ".join(dict.fromkeys(" with ".join(kind.needed()) for kind in kinds if kind.needed()))


def verify(proofs: Proofs, request: InboundRequest, settings: Any, keys: KeyRing) -> None:
    """Raises SignatureError unless every proof that is set up is given (of any_of: one), and at least one is.

    Raises UnavailableError when a vendor's signing key is not known yet.
    """
    asked = [_set_up(proof, settings) for proof in proofs]
    if not any(asked):
        raise SignatureError("No secret is set for this source, so no request can be trusted.", code="no_secret")
    for alternatives in asked:
        _verify_one(alternatives, request, settings, keys)


def sign(proofs: Proofs, draft: Draft, settings: Any) -> None:
    """Makes a sample authentic. Raises PermanentError where only the vendor could."""
    for proof in proofs:
        for kind in _set_up(proof, settings)[:1]:
            kind.sign(draft, settings)


def address_secrets(proofs: Proofs, settings: Any) -> tuple[str | None, dict[str, str]]:
    """Returns the secret last part of the webhook address (None: it has none), and its secret parameters."""
    kinds = [kind for proof in proofs for kind in _set_up(proof, settings)[:1]]
    parts = [kind.secret(settings) for kind in kinds if isinstance(kind, UrlTokenProof)]
    parameters = {kind.name: kind.secret(settings) for kind in kinds if isinstance(kind, QueryProof)}
    return next(iter(parts), None), parameters


def _set_up(proof: Proof, settings: Any) -> list[ProofKind]:
    return [kind for kind in proof.kinds() if kind.configured(settings)]


def _verify_one(alternatives: Sequence[ProofKind], request: InboundRequest, settings: Any, keys: KeyRing) -> None:
    failures = list(_failures(alternatives, request, settings, keys))
    if failures and len(failures) == len(alternatives):
        # The vendor may be told to try again, so that counts more than the reason of another way.
        raise next((one for one in failures if isinstance(one, UnavailableError)), failures[0])


def _failures(
    alternatives: Sequence[ProofKind], request: InboundRequest, settings: Any, keys: KeyRing
) -> Iterator[SignatureError | UnavailableError]:
    for kind in alternatives:
        try:
            kind.verify(request, settings, keys)
        except (SignatureError, UnavailableError) as failure:
            yield failure
