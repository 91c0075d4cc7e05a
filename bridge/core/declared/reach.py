"""Where a configured source of a declared kind may go, and whether its settings are enough for that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.core.declared.addresses import host_of
from bridge.core.declared.jwt_proof import JwtProof
from bridge.core.declared.model import Declaration
from bridge.core.declared.proof import kinds_of
from bridge.core.declared.rules import settings_used
from bridge.core.declared.settings import visible
from bridge.core.declared.texts import Unclear


def is_set(settings: Any, *parts: object) -> bool:
    """Tells whether every setting that these parts of a declaration use is set."""
    return all(getattr(settings, name, None) is not None for name in settings_used(*parts))


def check_api(declaration: Declaration, settings: Any) -> None:
    """Raises ValueError for credentials that are incomplete, and for addresses that cannot be made."""
    used = sorted(settings_used(declaration.api))
    chosen = [name for name in used if name in declaration.settings and declaration.settings[name].optional]
    given = [name for name in chosen if getattr(settings, name) is not None]
    missing = [name for name in chosen if getattr(settings, name) is None]
    if given and missing:
        raise ValueError(f"{given[0]} needs {missing[0]}")
    try:
        for _ in hosts_of(declaration, settings):
            pass
    except Unclear as unclear:
        raise ValueError(f"has settings that make no address: {unclear}") from None


def hosts_of(declaration: Declaration, settings: Any) -> Iterator[str]:
    """Yields the hosts that a source may call. Raises Unclear."""
    for url in key_addresses(declaration, settings):
        yield host_of(url)
    words = declaration.api
    if words is None or not is_set(settings, words):
        return
    yield host_of(base_of(declaration, settings))
    yield from words.hosts
    if words.client_credentials is not None:
        yield host_of(words.client_credentials.token_url.at({"settings": visible(settings)}))
    if declaration.fetch is not None:
        yield from declaration.fetch.request.hosts


def base_of(declaration: Declaration, settings: Any) -> str:
    """Returns the address of the API. Raises Unclear."""
    assert declaration.api is not None
    return declaration.api.base_url.at({"settings": visible(settings)})


def key_addresses(declaration: Declaration, settings: Any) -> list[str]:
    """Returns where the signing keys are that this source needs. Raises Unclear."""
    kinds = kinds_of(declaration.webhook.proof) if declaration.webhook else []
    wanted = [kind for kind in kinds if isinstance(kind, JwtProof) and kind.configured(settings)]
    return [kind.jwks_url.at({"settings": visible(settings)}) for kind in wanted]
