"""Cuts a webhook of Kajabi into events: a tag that an automation adds is what says that a course is completed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bridge.core.answers import digits, line, section, sections
from bridge.core.errors import PayloadError
from bridge.core.models import JsonObject, SourceEvent
from bridge.core.payload import read_object
from connectors.kajabi.tags import Wanted, configured

ADDED: Final = "tag_added"
REMOVED: Final = "tag_removed"
_ABOUT_MONEY: Final = "This is about a purchase; nothing is completed yet."
_ABOUT_A_FORM: Final = "A form was filled in; nothing is completed yet."
# Kajabi's event -> why it brings no certificate. The API's webhooks: https://developers.kajabi.com (POST /v1/hooks);
# the older ones of the admin pages spell theirs with a dot.
_NOT_A_COMPLETION: Final = MappingProxyType(
    {
        "purchase": _ABOUT_MONEY,
        "payment_succeeded": _ABOUT_MONEY,
        "order_created": _ABOUT_MONEY,
        "form_submission": _ABOUT_A_FORM,
        "purchase.created": _ABOUT_MONEY,
        "payment.succeeded": _ABOUT_MONEY,
        "cart.purchase": _ABOUT_MONEY,
        "form.submission": _ABOUT_A_FORM,
    }
)
EVENT_TYPES: Final = frozenset({ADDED, REMOVED, *_NOT_A_COMPLETION})
_MOST: Final = 20
"""Contacts times tags in one webhook; Kajabi sends one of each."""
_CONTACT: Final = ("name", "email", "external_user_id", "address_city", "address_state", "address_country")


def cut(body: bytes, site: str, tags: Wanted) -> list[SourceEvent]:
    """Returns the events of a request: one for each contact and tag in it. Raises PayloadError."""
    envelope = read_object(body)
    name = envelope.get("event")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 100:
        raise PayloadError("The body names no `event`, so it is no webhook of Kajabi.")
    event_type = name.strip().lower()
    if event_type not in (ADDED, REMOVED):
        # What it says about people is none of our business.
        reason = _NOT_A_COMPLETION.get(event_type)
        return [SourceEvent(event_id=_by_content(event_type, envelope), event_type=event_type, skip=reason)]
    # By type, not by place: their order is not promised, and others may stand beside them.
    resources = sections(envelope.get("payload"))
    contacts = [resource for resource in resources if resource.get("type") == "contacts"] or [{}]
    found = [resource for resource in resources if resource.get("type") == "contact_tags"] or [{}]
    if len(contacts) * len(found) > _MOST:
        raise PayloadError(
            f"The body names {len(contacts):,} contacts and {len(found):,} tags; Kajabi sends one of each, and at most "
            f"{_MOST} pairs are read."
        )
    return [_about(event_type, contact, tag, envelope, site, tags) for contact in contacts for tag in found]


def tag_event(event_type: str, site: str, contact: JsonObject, tag: Mapping[str, str | None]) -> SourceEvent | None:
    """Returns the event about a contact (as Kajabi's API shows it) and a tag, in the one shape of this connector.

    None where one of them has no id. A tag that is taken away and added again is the same completion: Kajabi tells no
    time, so there is nothing to tell the two apart by.
    """
    learner, number = digits(contact.get("id")), tag["id"]
    if learner is None or number is None:
        return None
    return SourceEvent(
        event_id=f"{event_type}:{site}:{learner}:{number}",
        event_type=event_type,
        subject=learner,
        course=number,
        keys=(f"tag:{site}:{learner}:{number}",),
        data={"contact": shape(contact), "tag": {"id": number, "name": tag["name"]}},
    )


def shape(contact: JsonObject) -> JsonObject:
    """Returns `data.contact`: what a certificate may need, and the site's custom fields by handle."""
    attributes = section(contact.get("attributes"))
    custom = {name: line(value) for name, value in attributes.items() if name.startswith("custom_")}
    return {
        "id": digits(contact.get("id")),
        **{name: line(attributes.get(name)) for name in _CONTACT},
        "custom": dict(list(custom.items())[:100]),
    }


def site_of(resource: JsonObject) -> str | None:
    """Returns the id of the site that a resource belongs to, or None where it does not say."""
    return digits(section(section(section(resource.get("relationships")).get("site")).get("data")).get("id"))


def named(tag: JsonObject) -> dict[str, str | None]:
    """Returns id and name of a tag."""
    return {"id": digits(tag.get("id")), "name": line(section(tag.get("attributes")).get("name"))}


def _about(
    event_type: str, contact: JsonObject, tag: JsonObject, envelope: JsonObject, site: str, tags: Wanted
) -> SourceEvent:
    known = named(tag)
    other_site = site_of(contact) not in (None, site)
    event = tag_event(event_type, site, contact, known)
    if event is None:
        event = SourceEvent(event_id=_by_content(event_type, envelope), event_type=event_type)
    reason = None
    if other_site:
        reason = f"This contact belongs to site {site_of(contact)} of the account, not to {site} (setting `site_id`)."
    elif known["id"] is not None and configured(tags, known["id"], known["name"]) is None:
        reason = f"The tag {known['id']} ({(known['name'] or '')[:60]!r}) is none of those under `tags`."
    # Of people who completed nothing here, nothing is kept in the event.
    return event if reason is None else event.model_copy(update={"skip": reason, "keys": (), "data": {}})


def _by_content(event_type: str, envelope: JsonObject) -> str:
    return f"{event_type}:{hashlib.sha256(json.dumps(envelope, sort_keys=True).encode()).hexdigest()}"
