"""Contacts in HubSpot's CRM API: found by id or address, whatever they were merged into, and changed as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vendors.hubspot.answers import error, invalid_values, not_found, ok, refuse
from vendors.hubspot.objects import WRITE, Objects, Route
from vendors.hubspot.portal import Record
from vendors.hubspot.values import InvalidValueError, Property, stored

from bridge.demo.vendors.stand_in import Answer, Call, RefusalError


class Contacts(Objects):
    """Below /crm/v3/objects/contacts."""

    kind = "contacts"
    associated = "notes"
    shown_always = ("hs_object_id", "createdate", "lastmodifieddate")
    shown_by_default = ("email", "firstname", "lastname")

    @property
    def records(self) -> Mapping[str, Record]:
        return self.portal.contacts

    @property
    def definitions(self) -> Mapping[str, Property]:
        return self.portal.contact_properties

    def routes(self) -> Iterable[Route]:
        yield from super().routes()
        yield Route("PATCH", "/contacts/([^/]+)", WRITE, self.patch)

    def find(self, number: str, id_property: str | None, *, archived: bool) -> Record | None:
        if id_property is None:
            return self.portal.find(number, archived=archived)
        for one in self.records.values():
            values = [one.properties.get(id_property, "")]
            if id_property == "email":
                values += one.properties.get("hs_additional_emails", "").split(";")
            if one.archived == archived and number.casefold() in [value.casefold() for value in values if value]:
                return one
        return None

    def linked(self, record: Record) -> Sequence[str]:
        return [note.id for note in self.portal.notes_of(record.id)]

    def patch(self, call: Call, key: str) -> Answer:
        """PATCH /contacts/{id}: all properties are valid, or nothing is written. Answers with the survivor."""
        query = self._query(call, "idProperty")
        values = self.json(call, {"properties"}).get("properties")
        if not isinstance(values, dict) or not values:
            refuse("a change has properties")
        found = self.looked_up(call, key, query)
        if found is None:
            return not_found()
        self.stand_in.check_sensitive([self.definitions[name] for name in values if name in self.definitions], "write")
        if faults := [fault for name, value in values.items() if (fault := self._fault(name, value))]:
            raise RefusalError("; ".join(f"{name}: {message}" for name, _, message in faults), invalid_values(faults))
        self._not_taken(values.get("email"), found)
        self.portal.set(found.id, source="INTEGRATION", **values)
        return ok(self.shown(found, found.properties, list(values)))

    def _fault(self, name: str, value: Any) -> tuple[str, str, str] | None:
        definition = self.definitions.get(name)
        if definition is None:
            return name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'
        if definition.read_only:
            return name, "READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set'
        try:
            kept = stored(definition, value)
        except InvalidValueError as fault:
            return name, fault.code, str(fault)
        if name == "email" and kept and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", kept):
            return name, "INVALID_EMAIL", f"Email address {kept} is invalid"
        return None

    def _not_taken(self, address: str | None, by: Record) -> None:
        other = self.find(address, "email", archived=False) if address else None
        if other is not None and other is not by:
            message = f"Contact already exists. Existing ID: {other.id}"
            raise RefusalError(message, error(409, message, "CONFLICT", context={"existingId": [other.id]}))
