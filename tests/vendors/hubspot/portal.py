"""What a small HubSpot account holds: contacts with their history and merges, notes, custom events sent to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from vendors.hubspot.seed import CONTACT_PROPERTIES, CONTACTS, NOTE_PROPERTIES
from vendors.hubspot.values import Property, event_value, iso, milliseconds, stored

PORTAL_ID: Final = 50100100
APP_ID: Final = 7100001
_SUBSCRIPTIONS: Final = {
    "contact.propertyChange": 9001,
    "contact.creation": 9003,
    "contact.merge": 9004,
    "contact.deletion": 9005,
    "contact.privacyDeletion": 9006,
}
_UNSUBSCRIBABLE: Final = frozenset({"lastmodifieddate", "hs_lastmodifieddate", "num_unique_conversion_events"})


@dataclass
class Record:
    """A contact, a note or a deal. `properties` holds what is set; "" is a value that was cleared."""

    id: str
    properties: dict[str, str]
    created_at: datetime
    updated_at: datetime
    archived: bool = False
    contact_ids: list[str] = field(default_factory=list)
    """Of a note or a deal: the contacts it hangs on."""
    versions: list[tuple[datetime, dict[str, str]]] = field(default_factory=list)
    """Every state, for the search index that lags behind."""

    @property
    def body(self) -> str:
        """The text of a note."""
        return self.properties.get("hs_note_body", "")


@dataclass(frozen=True)
class SentEvent:
    """A custom event that was accepted."""

    name: str
    object_id: str | None
    email: str | None
    properties: dict[str, Any]
    occurred_at: str | None
    uuid: str | None


class Portal:
    """Everything the stand-in knows; change it freely while holding the stand-in's lock."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.id = PORTAL_ID
        self.app_id = APP_ID
        self.time_zone = "US/Eastern"
        self.contact_properties: dict[str, Property] = {one.name: one for one in CONTACT_PROPERTIES}
        self.note_properties: dict[str, Property] = {one.name: one for one in NOTE_PROPERTIES}
        self.contacts: dict[str, Record] = {}
        self.notes: dict[str, Record] = {}
        self.deals: dict[str, Record] = {}
        self.merged: dict[str, str] = {}
        """Ids that were merged away, and where to."""
        self.sent_events: list[SentEvent] = []
        self.dropped_events: list[SentEvent] = []
        """Accepted with 204 and thrown away, because their uuid was known."""
        self.happened: list[dict[str, Any]] = []
        """What webhooks would report, in order; `take_events` empties it."""
        self._clock = clock
        self._event_ids = iter(range(9_100_000_001, 9_999_999_999))
        self._note_ids = iter(range(90_000_000_001, 99_999_999_999))
        self._contact_ids = iter(range(70_000_000_900, 79_999_999_999))
        for number, properties in CONTACTS.items():
            self.add_contact(number, at=datetime(2026, 1, 5, 8, tzinfo=UTC), **properties)
        self.happened.clear()

    def now(self) -> datetime:
        """The account's clock, in milliseconds as HubSpot counts."""
        at = self._clock().astimezone(UTC)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    # -- contacts ----------------------------------------------------------------------------------

    def add_contact(self, number: str | None = None, *, at: datetime | None = None, **properties: str) -> Record:
        """Creates a contact, now or at `at`."""
        number, at = number or str(next(self._contact_ids)), at or self.now()
        made = Record(number, {"hs_object_id": number, "createdate": iso(at)}, at, at)
        self.contacts[number] = made
        made.properties |= {name: stored(self.contact_properties[name], value) for name, value in properties.items()}
        self._changed(made, "lastmodifieddate", at)
        self._report("contact.creation", number, changeFlag="NEW", changeSource="CRM_UI")
        return made

    def set(self, number: str, *, source: str = "CRM_UI", at: datetime | None = None, **properties: str) -> Record:
        """Changes properties of a contact; `source` tells who did ("INTEGRATION" for calls of the API)."""
        found = self.contacts[self.survivor(number)]
        for name, value in properties.items():
            definition = self.contact_properties[name]
            kept = stored(definition, value)
            if found.properties.get(name, "") != kept:
                more = {"sourceId": str(self.app_id)} if source == "INTEGRATION" else {}
                shown = event_value(definition, kept)
                self._report(
                    "contact.propertyChange",
                    found.id,
                    propertyName=name,
                    propertyValue=shown,
                    changeSource=source,
                    **more,
                )
            found.properties[name] = kept
        self._changed(found, "lastmodifieddate", at or self.now())
        return found

    def survivor(self, number: str) -> str:
        """Returns the id of the record that answers for this one."""
        while number in self.merged:
            number = self.merged[number]
        return number

    def find(self, number: str, *, archived: bool = False) -> Record | None:
        """Returns the contact with this id, or the one it was merged into."""
        found = self.contacts.get(self.survivor(number))
        return found if found is not None and found.archived == archived else None

    def merge(self, into: str, loser: str, *, new_id: str | None = None) -> Record:
        """Merges one contact into another; with `new_id` the survivor gets an id of its own, as happens since 2025."""
        winner, lost = self.contacts[into], self.contacts.pop(loser)
        gone = [loser]
        if new_id is not None:
            self.contacts[new_id] = self.contacts.pop(into)
            self.merged[into] = winner.id = winner.properties["hs_object_id"] = new_id
            gone.append(into)
        self.merged[loser] = winner.id
        known = [part for part in winner.properties.get("hs_merged_object_ids", "").split(";") if part]
        winner.properties["hs_merged_object_ids"] = ";".join(dict.fromkeys([*known, *gone]))
        if address := lost.properties.get("email"):
            winner.properties["hs_additional_emails"] = address
        for note in self.notes.values():
            note.contact_ids = list(dict.fromkeys(self.survivor(one) for one in note.contact_ids))
        self._changed(winner, "lastmodifieddate", self.now())
        self._report(
            "contact.merge",
            into,
            primaryObjectId=int(into),
            mergedObjectIds=[int(loser)],
            newObjectId=int(winner.id),
            numberOfPropertiesMoved=0,
            changeSource="CRM_UI",
        )
        self._report("contact.deletion", loser, changeFlag="DELETED", changeSource="CRM_UI")
        return winner

    def archive(self, number: str) -> None:
        """Puts a contact into the recycle bin."""
        self.contacts[number].archived = True
        self._report("contact.deletion", number, changeFlag="DELETED", changeSource="CRM_UI")

    def forget(self, number: str) -> None:
        """Deletes a contact for privacy: it is gone, and two events say so."""
        del self.contacts[number]
        self._report("contact.deletion", number, changeFlag="DELETED", changeSource="CRM_UI")
        self._report("contact.privacyDeletion", number, changeFlag="DELETED", changeSource="CRM_UI")

    # -- notes and events --------------------------------------------------------------------------

    def add_note(self, contact_ids: list[str], **properties: str) -> Record:
        """Creates a note on contacts."""
        number, at = str(next(self._note_ids)), self.now()
        made = Record(number, {**properties, "hs_object_id": number, "hs_createdate": iso(at)}, at, at)
        made.contact_ids = [self.survivor(one) for one in contact_ids]
        self.notes[number] = made
        self._changed(made, "hs_lastmodifieddate", at)
        return made

    def add_deal(self, number: str, contact_ids: list[str]) -> Record:
        """Creates a deal with contacts."""
        at = self.now()
        self.deals[number] = Record(number, {"hs_object_id": number}, at, at, contact_ids=contact_ids)
        return self.deals[number]

    def change_note(self, note: Record, **properties: str) -> None:
        """Changes the properties of a note."""
        note.properties |= properties
        self._changed(note, "hs_lastmodifieddate", self.now())

    def notes_of(self, contact_id: str) -> list[Record]:
        """Returns the notes on a contact that are not in the recycle bin."""
        number = self.survivor(contact_id)
        return [note for note in self.notes.values() if number in note.contact_ids and not note.archived]

    def take_events(self, *types: str) -> list[dict[str, Any]]:
        """Returns what happened since the last time, as webhook events of these types (all when none is named)."""
        taken, self.happened = self.happened, []
        return [one for one in taken if not types or one["subscriptionType"] in types]

    def _changed(self, record: Record, stamp: str, at: datetime) -> None:
        record.updated_at = at
        record.properties[stamp] = iso(at)
        record.versions.append((at, dict(record.properties)))

    def _report(self, kind: str, number: str, **more: Any) -> None:
        if more.get("propertyName") in _UNSUBSCRIBABLE:
            return
        event = {
            "appId": self.app_id,
            "eventId": next(self._event_ids),
            "subscriptionId": _SUBSCRIPTIONS[kind],
            "portalId": self.id,
            "occurredAt": milliseconds(self.now()),
            "subscriptionType": kind,
            "attemptNumber": 0,
            "objectId": int(number),
        }
        self.happened.append(event | more)
