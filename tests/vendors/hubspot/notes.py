"""Notes in HubSpot's CRM API: created on contacts without any protection against doing it twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from vendors.hubspot.answers import invalid_values, not_found, ok, refuse
from vendors.hubspot.objects import WRITE, Objects, Route
from vendors.hubspot.portal import Record
from vendors.hubspot.values import InvalidValueError, Property, stored

from bridge.demo.vendors.stand_in import Answer, Call, RefusalError

TO_CONTACT: Final = 202


class Notes(Objects):
    """Below /crm/v3/objects/notes."""

    kind = "notes"
    associated = "contacts"
    shown_always = ("hs_object_id", "hs_createdate", "hs_lastmodifieddate")
    shown_by_default = ()

    @property
    def records(self) -> Mapping[str, Record]:
        return self.portal.notes

    @property
    def definitions(self) -> Mapping[str, Property]:
        return self.portal.note_properties

    def routes(self) -> Iterable[Route]:
        yield from super().routes()
        yield Route("POST", "/notes", WRITE, self.create)
        yield Route("PATCH", "/notes/([^/]+)", WRITE, self.patch)
        yield Route("DELETE", "/notes/([^/]+)", WRITE, self.delete)
        yield Route("PUT", f"/notes/([^/]+)/associations/contacts?/([^/]+)/{TO_CONTACT}", WRITE, self.associate)

    def find(self, number: str, id_property: str | None, *, archived: bool) -> Record | None:
        found = self.records.get(number)
        return found if id_property is None and found is not None and found.archived == archived else None

    def linked(self, record: Record) -> Sequence[str]:
        return record.contact_ids

    def create(self, call: Call) -> Answer:
        """POST /notes: 201. A repeat makes a second note."""
        self._query(call)
        body = self.json(call, {"properties", "associations"})
        values = self._values(body.get("properties"))
        if "hs_timestamp" not in values:
            message = "hs_timestamp is required"
            raise RefusalError(message, invalid_values([("hs_timestamp", "REQUIRED_FIELD", message)]))
        made = self.portal.add_note(self._contacts(body.get("associations", [])), **values)
        return ok(self.shown(made, made.properties, list(values)), 201)

    def patch(self, call: Call, key: str) -> Answer:
        """PATCH /notes/{id}: what is no property of notes is silently ignored."""
        self._query(call)
        body = self.json(call, {"properties"})
        found = self.looked_up(call, key, {})
        if found is None:
            return not_found()
        values = body.get("properties")
        known = {name: value for name, value in values.items() if name in self.definitions} if values else {}
        self.portal.change_note(found, **self._values(known))
        return ok(self.shown(found, found.properties, list(known)))

    def delete(self, call: Call, key: str) -> Answer:
        """DELETE /notes/{id}: into the recycle bin."""
        self._query(call)
        if found := self.looked_up(call, key, {}):
            found.archived = True
        return Answer(204)

    def associate(self, call: Call, key: str, contact: str) -> Answer:
        """PUT the association of a note with a contact; a repeat changes nothing."""
        self._query(call)
        note, to = self.looked_up(call, key, {}), self.portal.find(contact)
        if note is None or to is None:
            return not_found()
        note.contact_ids = list(dict.fromkeys([*note.contact_ids, to.id]))
        return ok(self.shown(note, note.properties, []))

    def _values(self, values: Any) -> dict[str, str]:
        if not isinstance(values, dict):
            refuse("a note has properties")
        kept, faults = {}, []
        for name, value in values.items():
            definition = self.definitions.get(name)
            if definition is None:
                faults.append((name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'))
                continue
            try:
                kept[name] = stored(definition, value)
            except InvalidValueError as fault:
                faults.append((name, fault.code, str(fault)))
        if faults:
            raise RefusalError(str(faults), invalid_values(faults))
        return kept

    def _contacts(self, associations: Any) -> list[str]:
        if not isinstance(associations, list):
            refuse("associations must be a list")
        wanted = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": TO_CONTACT}]
        found = []
        for one in associations:
            if not isinstance(one, dict) or set(one) != {"to", "types"} or one["types"] != wanted:
                refuse(f"{one!r} is no association of a note with a contact (type {TO_CONTACT})")
            to = one["to"]
            number = to.get("id") if isinstance(to, dict) and set(to) == {"id"} else None
            contact = self.portal.find(str(number))
            if not isinstance(number, str | int) or contact is None:
                refuse(f"there is no contact {number!r} to put a note on")
            found.append(contact.id)
        return found
