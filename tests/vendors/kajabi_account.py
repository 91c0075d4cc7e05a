"""The sites, contacts and tags of a small Kajabi account, and what it sends when a tag is added or removed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vendors import kajabi_shapes as shapes

from bridge.demo.vendors.json_vendor import Delivery, written


@dataclass
class Tag:
    """A tag; only the admin makes and renames them."""

    id: str
    name: str
    site: str = "2"


@dataclass
class Contact:
    """A contact of one site; Kajabi has one name, taken from the address when it was left blank."""

    id: str
    name: str
    email: str
    site: str = "2"
    tags: list[str] = field(default_factory=list)
    """Ids of tags, in the order they were added."""
    custom: dict[str, str | None] = field(default_factory=dict)
    """Values of custom fields by handle."""
    assessments: dict[str, str] = field(default_factory=dict)
    """completed, passed or failed, by assessment."""
    customer: str | None = None
    phone_number: str | None = None
    external_user_id: str | None = None
    created_at: str = "2026-01-05T10:00:00.000Z"
    updated_at: str = "2026-01-05T10:00:00.000Z"


@dataclass
class CustomField:
    """A custom field of one site; `handle` is its key on the contact."""

    id: str
    handle: str
    title: str
    site: str = "2"
    type: str = "TextField"
    required: bool = False


@dataclass
class ContactNote:
    """A note that the admins see."""

    id: str
    contact: str
    body: str
    created_at: str
    updated_at: str


@dataclass
class Hook:
    """A registered webhook; no `resource_id`: every tag."""

    id: str
    target_url: str
    event: str
    resource_id: int | None
    site: str
    created_at: str


class Account:
    """Everything the stand-in knows; change it freely while holding the stand-in's lock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.sites: dict[str, str] = {"2": "Acme Academy"}
        """Titles by id; with two of them every list of contacts must name one."""
        self.tags: dict[str, Tag] = {}
        self.contacts: dict[str, Contact] = {}
        self.fields: dict[str, CustomField] = {}
        self.courses: dict[str, str] = {"31": "Safety Basics", "32": "Forklift Operator"}
        self.notes: dict[str, ContactNote] = {}
        self.hooks: dict[str, Hook] = {}
        self.sent: list[Delivery] = []
        """Every webhook so far, also those that our own tags caused."""
        self.tag_first = False
        """Put the tag before the contact into webhooks; no order is promised."""
        self._clock = clock
        self._seed()

    def add(self, *records: Tag | Contact | CustomField) -> None:
        """Adds or replaces records; addresses are kept in lower case, names filled in, as the real one does."""
        for record in records:
            if isinstance(record, Tag):
                self.tags[record.id] = record
            elif isinstance(record, CustomField):
                self.fields[record.id] = record
            else:
                record.email = record.email.strip().lower()
                record.name = record.name or record.email.partition("@")[0]
                self.contacts[record.id] = record

    def add_tag(self, contact_id: str, tag_id: str) -> list[Delivery]:
        """Tags a contact, as an automation does at the end of a course; returns what is sent to each webhook."""
        contact = self.contacts[contact_id]
        if tag_id in contact.tags:
            return []
        contact.tags.append(tag_id)
        return self._tell("tag_added", contact, self.tags[tag_id])

    def remove_tag(self, contact_id: str, tag_id: str) -> list[Delivery]:
        """Takes a tag away; returns what is sent to each webhook."""
        contact = self.contacts[contact_id]
        if tag_id not in contact.tags:
            return []
        contact.tags.remove(tag_id)
        return self._tell("tag_removed", contact, self.tags[tag_id])

    def event(self, kind: str, contact: Contact, tag: Tag) -> dict[str, Any]:
        """Returns the body of a tag event: no time, no signature, and an id that is the contact's whatever the tag."""
        told = [shapes.hooked_contact(contact), shapes.tag(tag)]
        number = hashlib.sha256(f"contact {contact.id}".encode()).hexdigest()[:24]
        return {"id": number, "event": kind, "payload": told[::-1] if self.tag_first else told}

    def add_hook(
        self, target_url: str, event: str = "tag_added", resource_id: int | None = None, site: str = "2"
    ) -> Hook:
        """Registers a webhook."""
        found = Hook(self.next_id(self.hooks), target_url, event, resource_id, site, self.now())
        self.hooks[found.id] = found
        return found

    def add_note(self, contact_id: str, body: str) -> ContactNote:
        """Writes a note."""
        found = ContactNote(self.next_id(self.notes), contact_id, body, self.now(), self.now())
        self.notes[found.id] = found
        return found

    def handles(self, site: str) -> set[str]:
        """Returns the keys that contacts of this site have for custom fields."""
        return {one.handle for one in self.fields.values() if one.site == site}

    def next_id(self, records: dict[str, Any]) -> str:
        """Returns a number nobody has yet."""
        return str(1 + max((int(number) for number in records), default=900))

    def now(self) -> str:
        """Writes the time of the clock."""
        return written(datetime.fromtimestamp(self._clock(), UTC))

    def _tell(self, kind: str, contact: Contact, tag: Tag) -> list[Delivery]:
        body = json.dumps(self.event(kind, contact, tag)).encode()
        found = [
            Delivery(hook.target_url, {"Content-Type": "application/json"}, body)
            for hook in self.hooks.values()
            if hook.event == kind and hook.site == contact.site and hook.resource_id in (None, int(tag.id))
        ]
        self.sent += found
        return found

    def _seed(self) -> None:
        self.add(
            Tag("123", "completed: Safety Basics"),
            Tag("124", "completed: Forklift Operator"),
            Tag("789", "certificate issued"),
            CustomField("51", "custom_1", "Certificate ID"),
            CustomField("52", "custom_2", "Team"),
            Contact("456", "Dana Okafor", "dana@example.invalid", customer="1456", tags=["123"]),
            Contact("457", "", "Maria.Silva@Example.invalid", created_at="2026-01-06T10:00:00.000Z"),
            Contact("458", "Colin", "colin@example.invalid", created_at="2026-01-07T10:00:00.000Z"),
        )
