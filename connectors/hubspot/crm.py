"""The requests to HubSpot's CRM, below /crm/v3/objects or, by date, /crm/objects/2026-09."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from bridge.core.answers import section, sections
from bridge.core.connector import ApiClient
from bridge.core.errors import PermanentError
from connectors.hubspot.answers import read
from connectors.hubspot.record import Contact, contact
from connectors.hubspot.settings import HubSpotSettings
from connectors.hubspot.values import identifier

_MOST_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Crm:
    """One account's CRM (https://developers.hubspot.com/docs/api-reference/crm-contacts-v3/guide)."""

    api: ApiClient
    prefix: str

    def contact(self, who: str, properties: Sequence[str]) -> Contact | None:
        """Returns a contact by id or e-mail address; None when HubSpot has none. Raises PermanentError, TemporaryError.

        The answer about a contact that was merged into another one is the other one.
        """
        query = {"properties": ",".join(properties)} if properties else {}
        number = identifier(who)
        if number is None:
            query["idProperty"] = "email"
        try:
            answer = read(self.api.request("GET", self.path("contacts", number or who), query=query))
        except PermanentError as error:
            if error.stable_code == "http_404":
                return None
            raise
        return contact(answer, number)

    def search(self, query: Mapping[str, Any]) -> tuple[list[Contact], bool]:
        """Returns a page of contacts, and whether there are more. Raises PermanentError, TemporaryError."""
        answer = read(self.api.request("POST", self.path("contacts", "search"), json=dict(query)))
        found = [one for item in sections(answer.get("results")) if (one := contact(item)) is not None]
        paging = answer.get("paging")
        return found, bool(found) and isinstance(paging, dict) and bool(paging.get("next"))

    def contacts_of_deal(self, deal: str) -> list[str]:
        """Returns the ids of a deal's contacts."""
        answer = read(self.api.request("GET", self.path("deals", deal), query={"associations": "contacts"}))
        return associated(answer, "contacts")

    def change(self, number: str, properties: Mapping[str, str]) -> None:
        """Sets properties of a contact; "" clears one."""
        self.api.request("PATCH", self.path("contacts", number), json={"properties": dict(properties)})

    def many(self, numbers: Sequence[str], properties: Sequence[str]) -> list[Contact]:
        """Returns the contacts of these ids that are still there. Raises PermanentError, TemporaryError."""
        found = []
        for start in range(0, len(numbers), _MOST_AT_ONCE):
            inputs = [{"id": number} for number in numbers[start : start + _MOST_AT_ONCE]]
            # The published contract has propertiesWithHistory among what is required.
            asked = {"properties": list(properties), "propertiesWithHistory": [], "inputs": inputs}
            answer = read(self.api.request("POST", self.path("contacts", "batch/read"), json=asked))
            found += [one for item in sections(answer.get("results")) if (one := contact(item)) is not None]
        return found

    def property(self, name: str) -> dict[str, Any] | None:
        """Returns the definition of a contact property, None when there is none."""
        base = (
            self.prefix.replace("/objects", "/properties") if "/objects" in self.prefix else f"{self.prefix}/properties"
        )
        try:
            return read(self.api.request("GET", f"{base}/contacts/{quote(name, safe='')}"))
        except PermanentError as error:
            if error.stable_code == "http_404":
                return None
            raise

    def path(self, kind: str, rest: str = "") -> str:
        """Returns the path of a kind of record, or of one of them by its id, or of an operation on them."""
        base = self.prefix if "/objects" in self.prefix else f"{self.prefix}/objects"
        tail = rest if rest == "batch/read" else quote(rest, safe="")
        return f"{base}/{kind}/{tail}".rstrip("/")


def crm(api: ApiClient, settings: HubSpotSettings) -> Crm:
    """Returns the CRM as it is configured."""
    return Crm(api, settings.api_prefix)


def missing(name: str) -> str:
    """Returns what to say of a property that is not there."""
    return (
        f"HubSpot has no contact property with the internal name {name}. Create it (Settings, Properties), or correct "
        "its name in this source's settings."
    )


def associated(answer: Mapping[str, Any], kind: str) -> list[str]:
    """Returns the ids of the records that one is connected to, as its own answer shows them: a hundred at most."""
    return ids(section(section(answer.get("associations")).get(kind)))


def ids(listed: Mapping[str, Any]) -> list[str]:
    """Returns the ids in a list of associations; versions by date call them toObjectId."""
    found = (identifier(item.get("id", item.get("toObjectId"))) for item in sections(listed.get("results")))
    return list(dict.fromkeys(number for number in found if number))
