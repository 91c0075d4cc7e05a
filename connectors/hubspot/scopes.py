"""The scopes of HubSpot that a source needs, each with what it is for; the guide has the same table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

# https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/scopes
READ: Final = "crm.objects.contacts.read"
WRITE: Final = "crm.objects.contacts.write"
DEALS: Final = "crm.objects.deals.read"
EVENTS: Final = "analytics.behavioral_events.send"
# https://developers.hubspot.com/docs/api-reference/latest/crm/properties/sensitive-data
_SENSITIVE: Final = "crm.objects.contacts.{}.read", "crm.objects.contacts.{}.write"


def sensitive(definition: Mapping[str, object]) -> list[str]:
    """Returns the scopes to read and to write a property that holds sensitive data, as its definition says."""
    kind = definition.get("dataSensitivity")
    return [scope.format("highly_sensitive" if kind == "highly_sensitive" else "sensitive") for scope in _SENSITIVE]


def given(scope: str, scopes: Collection[str]) -> bool:
    """Tells whether a token has a scope; those for sensitive data go by two names."""
    return scope in scopes or f"{scope}.v2" in scopes
