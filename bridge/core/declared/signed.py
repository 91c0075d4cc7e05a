"""Proof by signature with a shared secret: HMAC as vendors vary it, and Standard Webhooks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema, model_validator

from bridge.core.dates import duration, read_epoch, read_iso
from bridge.core.declared.keys import KeyRing
from bridge.core.declared.proofs import HEADER, Draft, ProofKind, without_prefix
from bridge.core.declared.settings import Fields, SettingName, secret_fields, secrets_of
from bridge.core.errors import PermanentError, SignatureError
from bridge.core.models import InboundRequest
from bridge.core.section import Section
from bridge.core.signatures import (
    hmac_signature,
    verify_hmac,
)

Duration = Annotated[timedelta, BeforeValidator(duration), WithJsonSchema({"type": "string"})]
PLACES: Final = ("body", "timestamp", "id", "method", "url")
_PLACE: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_MOST_SIGNATURES: Final = 10


def _message(text: str) -> str:
    named = _PLACE.findall(text)
    if unknown := [name for name in named if name not in PLACES]:
        raise ValueError(f'"{unknown[0]}" is not known. What may be signed: {", ".join(PLACES)}.')
    if named.count("body") != 1:
        raise ValueError("What is signed must hold {{ body }} once.")
    return text


SignedText = Annotated[str, AfterValidator(_message)]


class Timestamp(Section):
    """When it was signed, so that an old request cannot be sent again."""

    header: str | None = Field(default=None, pattern=HEADER, description="The header that holds the time.")
    part: str | None = Field(
        default=None, max_length=20, description='Its name inside the signature header, such as "t" of t=...,v1=...'
    )
    unit: Literal["seconds", "milliseconds", "iso"] = Field(default="seconds", description="How the time is written.")
    tolerance: Duration = Field(default=timedelta(minutes=5), description="How old or early a request may be.")

    @model_validator(mode="after")
    def _one_place(self) -> Timestamp:
        if (self.header is None) == (self.part is None):
            raise ValueError("needs either header or part: where the time stands")
        return self

    def read(self, written: str) -> datetime:
        """Reads the time. Raises SignatureError."""
        try:
            found = (
                read_iso(written)
                if self.unit == "iso"
                else read_epoch(written, per_second=1000 if self.unit == "milliseconds" else 1)
            )
        except ValueError:
            found = None
        if not isinstance(found, datetime):
            raise SignatureError("The time at which the request was signed cannot be read.", code="timestamp")
        return found

    def write(self, now: datetime) -> str:
        """Writes a time as `read` reads it."""
        if self.unit == "iso":
            return now.astimezone(UTC).isoformat()
        return str(int(now.timestamp()) * (1000 if self.unit == "milliseconds" else 1))


class HmacProof(ProofKind):
    """A signature over the body (and what stands around it) with a shared secret."""

    words = "HMAC signature"

    header: str = Field(pattern=HEADER, description="The header that holds the signature.")
    prefix: str = Field(default="", max_length=40, description='What stands before it, such as "sha256=".')
    part: str | None = Field(
        default=None, max_length=20, description='Its name inside the header, such as "v1" of t=...,v1=...'
    )
    algorithm: Literal["sha1", "sha256", "sha512"] = Field(default="sha256", description="The hash function.")
    encoding: Literal["hex", "base64"] = Field(default="hex", description="How the signature is written.")
    signs: SignedText = Field(
        default="{{ body }}",
        max_length=300,
        description="What is signed: body, timestamp, id, method and url with what stands between them.",
    )
    timestamp: Timestamp | None = Field(default=None, description="Where the time of signing stands.")
    id_header: str | None = Field(default=None, pattern=HEADER, description="The header that holds the id, if signed.")
    setting: SettingName = Field(default="signing_secret", description="The setting that holds the secret.")
    description: str | None = Field(default=None, max_length=300, description="What the admin reads about the setting.")

    @model_validator(mode="after")
    def _complete(self) -> HmacProof:
        named = _PLACE.findall(self.signs)
        if ("timestamp" in named) != (self.timestamp is not None):
            raise ValueError("needs a timestamp that is signed: {{ timestamp }} in signs, and timestamp: beside it")
        if ("id" in named) != (self.id_header is not None):
            raise ValueError("needs an id that is signed: {{ id }} in signs, and id_header: beside it")
        return self

    def fields(self, *, required: bool) -> Fields:
        about = self.description or "The secret that the webhooks are signed with."
        return secret_fields(self.setting, about, required=required)

    def verify(self, request: InboundRequest, settings: Any, keys: KeyRing) -> None:
        what = f"the header {self.header}"
        written = request.headers.get(self.header.lower(), "").strip()
        moment = self._written_time(request, written)
        if written and (lost := self._missing(request.headers, moment)):
            raise SignatureError(f"The request is not signed: {lost} is missing.", code="signature_missing")
        message = self._message(request.method, request.url, request.body, request.headers, moment)
        found = list(self._signatures(written))
        for number, signature in enumerate(found or [None]):
            try:
                verify_hmac(
                    message,
                    signature,
                    secrets_of(settings, self.setting),
                    what=what,
                    encoding=self.encoding,
                    algorithm=self.algorithm,
                )
                break
            except SignatureError:
                if number + 1 >= len(found):
                    raise
        self._check_age(moment, request.received_at)

    def sign(self, draft: Draft, settings: Any) -> None:
        if "url" in _PLACE.findall(self.signs):
            raise PermanentError(
                "The address that a webhook is sent to is signed as well, so no sample of one can be sent. `certbridge "
                "try SOURCE FILE` shows what would become of one."
            )
        moment = self.timestamp.write(draft.now) if self.timestamp else ""
        if self.timestamp and self.timestamp.header:
            draft.set_header(self.timestamp.header, moment)
        if self.id_header and self.id_header.lower() not in {name.lower() for name in draft.headers}:
            draft.set_header(self.id_header, "sample")
        headers = {name.lower(): value for name, value in draft.headers.items()}
        message = self._message("POST", "", draft.body, headers, moment)
        secret: SecretStr = getattr(settings, self.setting)
        signature = self.prefix + hmac_signature(message, secret, encoding=self.encoding, algorithm=self.algorithm)
        if self.part:
            signature = f"{self.part}={signature}"
        if self.timestamp and self.timestamp.part:
            signature = f"{self.timestamp.part}={moment},{signature}"
        draft.set_header(self.header, signature)

    def _signatures(self, written: str) -> Iterator[str]:
        found = [written] if self.part is None else _parts(written, self.part)
        yield from (without_prefix(one, self.prefix) for one in found)

    def _missing(self, headers: Mapping[str, str], moment: str) -> str | None:
        """Returns what else is signed and did not come; the signature then fits nothing, whatever the secret."""
        if self.timestamp is not None and not moment:
            named, part = self.timestamp.header, self.timestamp.part
            return f"the header {named}" if named else f"the part {part} of the header {self.header}"
        if self.id_header is not None and not headers.get(self.id_header.lower(), ""):
            return f"the header {self.id_header}"
        return None

    def _written_time(self, request: InboundRequest, written: str) -> str:
        if self.timestamp is None:
            return ""
        if self.timestamp.header:
            return request.headers.get(self.timestamp.header.lower(), "").strip()
        return next(_parts(written, self.timestamp.part or ""), "")

    def _message(self, method: str, url: str, body: bytes, headers: Mapping[str, str], moment: str) -> bytes:
        known = {"method": method, "url": url, "timestamp": moment}
        known["id"] = headers.get((self.id_header or "").lower(), "")
        result, end = b"", 0
        for match in _PLACE.finditer(self.signs):
            value = body if match[1] == "body" else known[match[1]].encode("utf-8", "surrogatepass")
            result += self.signs[end : match.start()].encode() + value
            end = match.end()
        return result + self.signs[end:].encode()

    def _check_age(self, written: str, now: datetime) -> None:
        # Last, so that a clock that is wrong is not mistaken for a wrong secret.
        if self.timestamp is None:
            return
        if abs(now - self.timestamp.read(written)) > self.timestamp.tolerance:
            raise SignatureError(
                f"The request was signed at {written[:40]}, more than {self.timestamp.tolerance} away from now. Is it "
                "sent again by somebody else, or is one of the two clocks wrong?",
                code="timestamp",
            )


def _parts(written: str, name: str) -> Iterator[str]:
    for item in written[:4096].split(",")[:_MOST_SIGNATURES]:
        key, equals, value = item.strip().partition("=")
        if equals and key == name:
            yield value
