"""Why a source may not go live: what a real learner would be left with."""

from __future__ import annotations

from typing import Final

from bridge.config.forms import is_public_https
from bridge.config.models import Config, SourceConfig

PLACEHOLDER_ISSUER: Final = "My organisation"
"""The issuer's name in a fresh configuration; nobody wants it on a certificate."""


def live_refusals(config: Config, source: SourceConfig) -> list[str]:
    """Returns why `mode: live` is refused for this source, in words; empty when it may go live (or is in test)."""
    if source.mode != "live":
        return []
    reasons = []
    if config.mail.mode == "off":
        reasons.append("mail is off: set mail.mode to smtp or folder")
    if not (config.allow_local_public_url or is_public_https(config.public_url)):
        reasons.append(
            f"public_url is {config.public_url}, but QR codes carry it for years: it must be a public https address"
        )
    if config.issuer.name == PLACEHOLDER_ISSUER:
        reasons.append("issuer.name is still the placeholder: write the name of your organisation")
    return [f"Source {source.name} cannot go live: {reason}. Until then use mode: test." for reason in reasons]
