"""A stand-in for Kajabi's public API v1: contacts with tags, notes and custom fields, and the webhooks about tags.

Built from the vendor's own OpenAPI description (github.com/Kajabi/public_api_docs). Not documented, and guessed here:
the names of OAuth's errors, what an unknown attribute is answered with, the size of pages other than those of notes.
Where description and example differ, or say nothing, there is a switch: a webhook's `resource_id` is a number in the
schema (`takes_text_ids`), no 404 is declared for a contact (`missing_contact`), whether a contact shows its custom
fields (`shows_custom_fields`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from vendors import kajabi_contacts as contacts
from vendors import kajabi_shapes as shapes
from vendors.kajabi_account import Contact
from vendors.kajabi_api import BASE, KajabiApi

from bridge.demo.vendors.json_vendor import Route
from bridge.demo.vendors.stand_in import Answer, Call

EVENTS: Final = (
    *("purchase", "payment_succeeded", "order_created", "form_submission"),
    *("tag_added", "tag_removed"),
)
_SITE: Final = "filter[site_id]"
_WRITABLE: Final = frozenset({"name", "email", "phone_number", "business_number", "subscribed", "external_user_id"})
_TAGS: Final = BASE + "/contacts/([0-9]+)/relationships/tags"


class KajabiStandIn(KajabiApi):
    """`account` holds the records, `tokens` who may come in; both may be changed while the stand-in runs."""

    takes_text_ids = False
    refuses_ids_with = 422
    shows_custom_fields = True
    missing_contact = 404
    """The status with which a contact that is gone is answered; 200: an answer without data."""

    def routes(self) -> Iterable[Route]:
        """Names everything that can be asked."""
        return (
            ("POST", BASE + "/oauth/token", self._grant),
            ("GET", BASE + "/sites", self._list_sites),
            ("GET", BASE + "/courses", self._list_courses),
            ("GET", BASE + "/contact_tags", self._list_tags),
            ("GET", BASE + "/contact_tags/([0-9]+)", self._get_tag),
            ("GET", BASE + "/custom_fields", self._list_fields),
            ("GET", BASE + "/contacts", self._list_contacts),
            ("GET", BASE + "/contacts/([0-9]+)", self._get_contact),
            ("PATCH", BASE + "/contacts/([0-9]+)", self._patch_contact),
            ("GET", _TAGS, self._get_contact_tags),
            ("POST", _TAGS, self._post_contact_tags),
            ("DELETE", _TAGS, self._delete_contact_tags),
            ("GET", BASE + "/contact_notes", self._list_notes),
            ("POST", BASE + "/contact_notes", self._post_note),
            ("GET", BASE + "/contact_notes/([0-9]+)", self._get_note),
            ("PATCH", BASE + "/contact_notes/([0-9]+)", self._patch_note),
            ("GET", BASE + "/hooks", self._list_hooks),
            ("POST", BASE + "/hooks", self._post_hook),
            ("GET", BASE + "/hooks/([0-9]+)", self._get_hook),
            ("DELETE", BASE + "/hooks/([0-9]+)", self._delete_hook),
        )

    # -- sites, courses, tags, custom fields -------------------------------------------------------

    def _list_sites(self, call: Call) -> Answer:
        return self._page(call, self._query(call), [shapes.site(*one) for one in self.account.sites.items()])

    def _list_courses(self, call: Call) -> Answer:
        query = self._query(call, {_SITE, "filter[title_cont]", "sort"})
        word, first = query.get("filter[title_cont]", "").lower(), next(iter(self.account.sites))
        found = [(number, title) for number, title in self.account.courses.items() if word in title.lower()]
        found = found if query.get(_SITE, first) == first else []
        return self._page(call, query, [shapes.course(*one, site=first) for one in found])

    def _list_tags(self, call: Call) -> Answer:
        query = self._query(call, {_SITE, "filter[name_cont]", "sort"})
        word = query.get("filter[name_cont]", "").lower()
        found = [one for one in self.account.tags.values() if word in one.name.lower()]
        return self._page(call, query, [shapes.tag(one) for one in found if one.site == query.get(_SITE, one.site)])

    def _get_tag(self, call: Call, number: str) -> Answer:
        self.query(call)
        return self._one(self.account.tags, number, shapes.tag)

    def _list_fields(self, call: Call) -> Answer:
        query = self._query(call, {_SITE})
        found = [one for one in self.account.fields.values() if one.site == query.get(_SITE, one.site)]
        return self._page(call, query, [shapes.custom_field(one) for one in found])

    # -- contacts ----------------------------------------------------------------------------------

    def _list_contacts(self, call: Call) -> Answer:
        query = self._query(call, contacts.FILTERS | {"sort"})
        if len(self.account.sites) > 1 and _SITE not in query:
            self.refuse("filter[site_id] is required when the account has several sites")
        for name in contacts.NUMERIC & set(query):
            if not all(part.isdigit() for part in query[name].split(",")):
                self.refuse(f"{name}={query[name]} is no number")
        order = query.get("sort", "-created_at")
        if order.removeprefix("-") not in contacts.ORDERS:
            self.refuse(f"sort={order}")
        found = [one for one in self.account.contacts.values() if contacts.wanted(one, query, self._clock())]
        return self._page(call, query, [self._contact(one) for one in contacts.ordered(found, order)])

    def _get_contact(self, call: Call, number: str) -> Answer:
        included = self.query(call, {"include"}).get("include", "").split(",")
        if unknown := set(included) - {"", "tags", "offers", "customer"}:
            self.refuse(f"include={sorted(unknown)}")
        found = self.account.contacts.get(number)
        if found is None:
            return self._gone()
        body: dict[str, Any] = {"data": self._contact(found, included)}
        if "tags" in included:
            body["included"] = [shapes.tag(self.account.tags[one]) for one in found.tags]
        return self.json(200, body)

    def _patch_contact(self, call: Call, number: str) -> Answer:
        self.query(call)
        attributes = self._resource(call, "contacts", number)["attributes"]
        found = self.account.contacts.get(number)
        if found is None:
            return self._gone()
        handles = self.account.handles(found.site)
        for name, value in attributes.items():
            if name not in _WRITABLE | handles:
                self._refuse_at(f"{name} is not allowed", f"/data/attributes/{name}", 400)
            if not isinstance(value, str) and value is not None:
                self._refuse_at(f"{name} must be text", f"/data/attributes/{name}")
        found.custom |= {name: value for name, value in attributes.items() if name in handles}
        for name in {"name", "email", "phone_number", "external_user_id"} & set(attributes):
            setattr(found, name, attributes[name])
        found.updated_at = self.account.now()
        return self.json(200, {"data": self._contact(found)})

    def _get_contact_tags(self, call: Call, number: str) -> Answer:
        self.query(call)
        found = self.account.contacts.get(number)
        return self._tags_of(found) if found else self._gone()

    def _post_contact_tags(self, call: Call, number: str) -> Answer:
        return self._change_tags(call, number, self.account.add_tag)

    def _delete_contact_tags(self, call: Call, number: str) -> Answer:
        return self._change_tags(call, number, self.account.remove_tag)

    def _change_tags(self, call: Call, number: str, change: Callable[[str, str], object]) -> Answer:
        self.query(call)
        data = self.entries(call).get("data")
        if not isinstance(data, list) or not data:
            self.refuse("data must be a list of resource identifiers")
        for entry in data:
            if not self._identifies(entry, "contact_tags"):
                self.refuse(f"{entry!r} is no identifier of a tag")
        found = self.account.contacts.get(number)
        if found is None or any(entry["id"] not in self.account.tags for entry in data):
            return self._missing()
        for entry in data:
            change(number, entry["id"])
        return self._tags_of(found)

    def _contact(self, one: Contact, included: Sequence[str] = ()) -> dict[str, Any]:
        handles = self.account.handles(one.site) if self.shows_custom_fields else set()
        return shapes.contact(one, handles, included)

    def _gone(self) -> Answer:
        if self.missing_contact == 200:
            return self.json(200, {"data": None})
        return self.problem(self.missing_contact, "The record could not be found")

    def _tags_of(self, one: Contact) -> Answer:
        return self.json(200, {"data": shapes.identifiers("contact_tags", one.tags)})

    # -- notes -------------------------------------------------------------------------------------

    def _list_notes(self, call: Call) -> Answer:
        query = self._query(call, {"filter[contact_id]", _SITE, "sort"})
        self.number(query, "page[size]", 20, 100)
        found = [
            one for one in self.account.notes.values() if one.contact == query.get("filter[contact_id]", one.contact)
        ]
        if _SITE in query:
            found = [one for one in found if self.account.contacts[one.contact].site == query[_SITE]]
        return self._page(call, query, [shapes.note(one) for one in sorted(found, key=lambda one: -int(one.id))])

    def _post_note(self, call: Call) -> Answer:
        self.query(call)
        data = self._resource(call, "contact_notes", related=("contact",))
        if data["related"]["contact"] not in self.account.contacts:
            self._refuse_at("Contact must exist", "/data/relationships/contact")
        return self.json(
            201, {"data": shapes.note(self.account.add_note(data["related"]["contact"], self._text(data)))}
        )

    def _get_note(self, call: Call, number: str) -> Answer:
        self.query(call)
        return self._one(self.account.notes, number, shapes.note)

    def _patch_note(self, call: Call, number: str) -> Answer:
        self.query(call)
        body = self._text(self._resource(call, "contact_notes", number))
        found = self.account.notes.get(number)
        if found:
            found.body, found.updated_at = body, self.account.now()
        return self._one(self.account.notes, number, shapes.note)

    def _text(self, data: Mapping[str, Any]) -> str:
        if set(data["attributes"]) != {"body"}:
            self._refuse_at(f"attributes {sorted(data['attributes'])}", "/data/attributes", 400)
        body = data["attributes"]["body"]
        if not isinstance(body, str) or not body.strip():
            self._refuse_at("Body can't be blank", "/data/attributes/body")
        return str(body)

    # -- webhooks ----------------------------------------------------------------------------------

    def _list_hooks(self, call: Call) -> Answer:
        query = self._query(call, {"filter[event_eq]"})
        event = query.get("filter[event_eq]")
        if event not in (None, *EVENTS):
            self.refuse(f"filter[event_eq]={event}")
        found = [shapes.hook(one) for one in self.account.hooks.values() if event in (None, one.event)]
        return self._page(call, query, found)

    def _post_hook(self, call: Call) -> Answer:
        self.query(call)
        data = self._resource(call, "hooks", related=("site",))
        wanted = data["attributes"]
        if unknown := set(wanted) - {"target_url", "event", "resource_id"}:
            self._refuse_at(f"{sorted(unknown)} is not allowed", "/data/attributes", 400)
        if wanted.get("event") not in EVENTS:
            self._refuse_at("Event is not included in the list", "/data/attributes/event")
        if not str(wanted.get("target_url")).startswith("https://"):
            self._refuse_at("Target url is invalid", "/data/attributes/target_url")
        if data["related"]["site"] not in self.account.sites:
            self._refuse_at("Site must exist", "/data/relationships/site")
        resource = wanted.get("resource_id")  # described as a number, shown as text
        number_wanted = type(resource) is not int and not (self.takes_text_ids and str(resource).isdigit())
        if resource is not None and number_wanted:
            self._refuse_at("Resource is invalid", "/data/attributes/resource_id", self.refuses_ids_with)
        number = None if resource is None else int(resource)
        hook = self.account.add_hook(wanted["target_url"], wanted["event"], number, data["related"]["site"])
        return self.json(201, {"data": shapes.hook(hook)})

    def _get_hook(self, call: Call, number: str) -> Answer:
        self.query(call)
        return self._one(self.account.hooks, number, shapes.hook)

    def _delete_hook(self, call: Call, number: str) -> Answer:
        self.query(call)
        return Answer(204) if self.account.hooks.pop(number, None) else self._missing()
