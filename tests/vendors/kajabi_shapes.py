"""How Kajabi writes its records: JSON:API resources, as its OpenAPI description has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bridge.demo.vendors.json_vendor import Slice

if TYPE_CHECKING:
    from vendors.kajabi_account import Contact, ContactNote, CustomField, Hook, Tag

_ADDRESS = ("address_line_1", "address_line_2", "address_city", "address_country", "address_state", "address_zip")


def contact(one: Contact, handles: Iterable[str] = (), included: Iterable[str] = ()) -> dict[str, Any]:
    """Returns a contact with the custom fields of its site; tags are told only when they are asked for."""
    found = hooked_contact(one)
    found["attributes"] |= {handle: one.custom.get(handle) for handle in sorted(handles)}
    if "tags" in included:
        found["relationships"]["tags"] = {"data": identifiers("contact_tags", one.tags)}
    return found


def hooked_contact(one: Contact) -> dict[str, Any]:
    """Returns a contact as webhooks tell it: no custom fields, no first and last name."""
    attributes: dict[str, Any] = {"name": one.name, "email": one.email} | dict.fromkeys(_ADDRESS)
    attributes |= {
        "phone_number": one.phone_number,
        "business_number": None,
        "subscribed": True,
        "external_user_id": one.external_user_id,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
    }
    link = f"https://api.kajabi.com/v1/customers/{one.customer}" if one.customer else ""
    return resource("contacts", one.id, attributes, site=one.site) | {"links": {"customer": link}}


def tag(one: Tag) -> dict[str, Any]:
    """Returns a tag."""
    return resource("contact_tags", one.id, {"name": one.name}, site=one.site)


def custom_field(one: CustomField) -> dict[str, Any]:
    """Returns a custom field."""
    attributes = {"title": one.title, "handle": one.handle, "type": one.type, "required": one.required}
    return resource("custom_fields", one.id, attributes, site=one.site)


def note(one: ContactNote) -> dict[str, Any]:
    """Returns a note."""
    attributes = {"body": one.body, "created_at": one.created_at, "updated_at": one.updated_at}
    return resource("contact_notes", one.id, attributes, contact=one.contact)


def hook(one: Hook) -> dict[str, Any]:
    """Returns a webhook; its `resource_id` is a number even when it was sent as text."""
    attributes = {
        "target_url": one.target_url,
        "event": one.event,
        "resource_id": one.resource_id,
        "created_at": one.created_at,
        "updated_at": one.created_at,
    }
    return resource("hooks", one.id, attributes, site=one.site)


def course(number: str, title: str, site: str) -> dict[str, Any]:
    """Returns a course."""
    attributes = {"title": title, "description": None, "status": "active", "thumbnail_url": None}
    return resource("courses", number, attributes, site=site)


def site(number: str, title: str) -> dict[str, Any]:
    """Returns a site."""
    moment = "2025-12-01T09:00:00.000Z"
    attributes = {"title": title, "subdomain": title.lower().replace(" ", "-"), "created_at": moment}
    return resource("sites", number, attributes | {"updated_at": moment})


def resource(kind: str, number: str, attributes: dict[str, Any], **related: str) -> dict[str, Any]:
    """Returns a resource; `related` are ids by relationship (site, contact)."""
    found: dict[str, Any] = {"id": number, "type": kind, "attributes": attributes}
    if related:
        found["relationships"] = {name: {"data": {"id": one, "type": f"{name}s"}} for name, one in related.items()}
    return found


def identifiers(kind: str, numbers: Iterable[str]) -> list[dict[str, str]]:
    """Returns a list of resource identifiers."""
    return [{"type": kind, "id": number} for number in numbers]


def page(url: str, query: dict[str, str], cut: Slice, resources: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns one page of a list, with links to the others; there is no `prev` and `next` (null) at the ends."""

    def link(number: int | None) -> str | None:
        if number is None:
            return None
        wanted = query | {"page[number]": str(number), "page[size]": str(cut.size)}
        return f"{url}?{urlencode(wanted, safe='[],')}"

    numbers = {"self": cut.number, "first": 1, "prev": cut.previous, "next": cut.next, "last": cut.pages}
    meta = {"total_pages": cut.pages, "total_count": cut.total, "current_page": cut.number}
    return {"data": list(cut.of(resources)), "links": {key: link(one) for key, one in numbers.items()}, "meta": meta}
