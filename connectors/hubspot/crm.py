"""The requests to HubSpot's CRM, below /crm/v3/objects or, by date, /crm/objects/2026-09."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from bridge.core.answers import sections
from bridge.core.connector import ApiClient
from bridge.core.errors import PermanentError
from connectors.hubspot.answers import read
from connectors.hubspot.record import Contact, contact
from connectors.hubspot.settings import HubSpotSettings
from connectors.hubspot.values import identifier, plain

_MOST_NOTES: Final = 100
_NOTE_TO_CONTACT: Final = 202


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
            answer = read(self.api.request("GET", self._path("contacts", number or who), query=query))
        except PermanentError as error:
            if error.stable_code == "http_404":
                return None
            raise
        return contact(answer, number)

    def search(self, query: Mapping[str, Any]) -> tuple[list[Contact], bool]:
        """Returns a page of contacts, and whether there are more. Raises PermanentError, TemporaryError."""
        answer = read(self.api.request("POST", self._path("contacts", "search"), json=dict(query)))
        found = [one for item in sections(answer.get("results")) if (one := contact(item)) is not None]
        paging = answer.get("paging")
        return found, bool(found) and isinstance(paging, dict) and bool(paging.get("next"))

    def contacts_of_deal(self, deal: str) -> list[str]:
        """Returns the ids of a deal's contacts."""
        answer = read(self.api.request("GET", self._path("deals", deal), query={"associations": "contacts"}))
        return _associated(answer, "contacts")

    def change(self, number: str, properties: Mapping[str, str]) -> None:
        """Sets properties of a contact; "" clears one."""
        self.api.request("PATCH", self._path("contacts", number), json={"properties": dict(properties)})

    def note_with(self, mark: str, number: str) -> str | None:
        """Returns the id of the note on a contact's timeline that holds this text, among the newest hundred.

        The search would know a note only after a while; what a contact is associated with is known at once.
        """
        answer = read(self.api.request("GET", self._path("contacts", number), query={"associations": "notes"}))
        newest = sorted(_associated(answer, "notes"), key=int)[-_MOST_NOTES:]
        if not newest:
            return None
        asked = {"properties": ["hs_note_body"], "inputs": [{"id": note} for note in newest]}
        answer = read(self.api.request("POST", self._path("notes", "batch/read"), json=asked))
        found = [identifier(note.get("id")) for note in sections(answer.get("results")) if mark in _body(note)]
        return found[-1] if found else None

    def create_note(self, text: str, when: str, number: str) -> str | None:
        """Adds a note about a contact and returns its id; HubSpot would take the same note twice."""
        kinds = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": _NOTE_TO_CONTACT}]
        note = {
            "properties": {"hs_timestamp": when, "hs_note_body": text},
            "associations": [{"to": {"id": number}, "types": kinds}],
        }
        return identifier(read(self.api.request("POST", self._path("notes"), json=note)).get("id"))

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

    def _path(self, kind: str, rest: str = "") -> str:
        base = self.prefix if "/objects" in self.prefix else f"{self.prefix}/objects"
        tail = rest if rest == "batch/read" else quote(rest, safe="")
        return f"{base}/{kind}/{tail}".rstrip("/")


def crm(api: ApiClient, settings: HubSpotSettings) -> Crm:
    """Returns the CRM as it is configured."""
    return Crm(api, settings.api_prefix)


def _associated(answer: Mapping[str, Any], kind: str) -> list[str]:
    associations = answer.get("associations")
    named = associations.get(kind) if isinstance(associations, dict) else None
    results = named.get("results") if isinstance(named, dict) else None
    ids = (identifier(item.get("id")) for item in sections(results))
    return list(dict.fromkeys(number for number in ids if number))


def _body(note: Mapping[str, Any]) -> str:
    properties = note.get("properties")
    return str(plain(properties.get("hs_note_body")) or "") if isinstance(properties, dict) else ""
