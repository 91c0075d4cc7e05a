"""The public keys of a vendor that signs with its own (JWKS): fetched ahead, never while a request waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from bridge.core.connector import ApiClient
from bridge.core.errors import PayloadError, TemporaryError
from bridge.core.payload import read_object

_MOST_KEYS: Final = 50
_PUBLIC: Final = ("RSA", "EC", "OKP")

if TYPE_CHECKING:  # the library is loaded with the first key: few sources need it
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    PublicKey: TypeAlias = RSAKey | ECKey | OKPKey


class KeyRing:
    """The keys of one source, by address and key id; replaced as a whole, so that threads may read meanwhile."""

    def __init__(self) -> None:
        self._keys: Mapping[str, Mapping[str, PublicKey]] = {}

    def find(self, url: str, key_id: str | None) -> Sequence[PublicKey]:
        """Returns the key with this id, or every key where the signer names none; empty when it is not known (yet)."""
        known = self._keys.get(url, {})
        if key_id is None:
            return list(known.values())
        return [known[key_id]] if key_id in known else []

    def fetch(self, api: ApiClient, url: str) -> None:
        """Fetches the keys at an address. Raises TemporaryError, PermanentError; the keys there are stay then."""
        response = api.request("GET", url)
        try:
            listed = read_object(response.body).get("keys")
        except PayloadError as error:
            raise TemporaryError(f"The signing keys at {url} cannot be read. {error}", code="keys") from error
        found = dict(_key(item, number) for number, item in enumerate(_usable(listed)))
        if not found:
            raise TemporaryError(f"There is no signing key at {url} that certbridge could use.", code="keys")
        self._keys = {**self._keys, url: found}


def _usable(listed: object) -> list[dict[str, object]]:
    items = listed[:_MOST_KEYS] if isinstance(listed, list) else []
    return [item for item in items if isinstance(item, dict) and _readable(item)]


def _readable(item: Mapping[str, object]) -> bool:
    # A shared key among public ones would let everybody who can read them sign.
    if item.get("kty") not in _PUBLIC or item.get("use", "sig") != "sig":
        return False
    from joserfc.errors import JoseError

    try:
        _import(item)
    except (JoseError, ValueError, TypeError, KeyError):
        return False
    return True


def _import(item: Mapping[str, object]) -> PublicKey:
    from joserfc import jwk

    public = {name: value for name, value in item.items() if name in ("kty", "n", "e", "crv", "x", "y", "kid")}
    key = jwk.import_key(public)  # type: ignore[arg-type]
    if isinstance(key, jwk.RSAKey | jwk.ECKey | jwk.OKPKey):
        return key
    raise ValueError("no public key")


def _key(item: Mapping[str, object], number: int) -> tuple[str, PublicKey]:
    named = item.get("kid")
    return (named if isinstance(named, str) else f"#{number}"), _import(item)
