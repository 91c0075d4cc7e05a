"""Deals in HubSpot's CRM API: read one, with the contacts it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from vendors.hubspot.objects import Objects, Route
from vendors.hubspot.portal import Record
from vendors.hubspot.values import Property

_READ: Final = "crm.objects.deals.read"
_PROPERTIES: Final = {one.name: one for one in (Property("hs_object_id", "Record ID"), Property("dealname", "Name"))}


class Deals(Objects):
    """Below /crm/v3/objects/deals."""

    kind = "deals"
    associated = "contacts"
    shown_always = ("hs_object_id",)
    shown_by_default = ("dealname",)

    @property
    def records(self) -> Mapping[str, Record]:
        return self.portal.deals

    @property
    def definitions(self) -> Mapping[str, Property]:
        return _PROPERTIES

    def routes(self) -> Iterable[Route]:
        yield Route("GET", "/deals/([^/]+)", _READ, self.get)

    def find(self, number: str, id_property: str | None, *, archived: bool) -> Record | None:
        found = self.records.get(number)
        return found if id_property is None and found is not None and found.archived == archived else None

    def linked(self, record: Record) -> Sequence[str]:
        return [self.portal.survivor(one) for one in record.contact_ids]
