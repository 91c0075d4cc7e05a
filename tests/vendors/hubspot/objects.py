"""What contacts and notes have in common in HubSpot's CRM API: reading one, reading many, searching."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from vendors.hubspot.answers import bad_request, not_found, ok, refuse
from vendors.hubspot.portal import Portal, Record
from vendors.hubspot.search import read_search
from vendors.hubspot.values import Property, iso
from vendors.reading import json_object, query_of, refusing

from bridge.demo.vendors.stand_in import Answer, Call, RefusalError

if TYPE_CHECKING:
    from vendors.hubspot import HubSpotStandIn

READ: Final = "crm.objects.contacts.read"
WRITE: Final = "crm.objects.contacts.write"
_SHOWN_ASSOCIATIONS: Final = 100
"""A record shows so many of another kind; the rest has to be asked for."""


@dataclass(frozen=True)
class Route:
    """One operation; `handler` takes the call and what the groups of `path` matched."""

    method: str
    path: str
    scope: str | None
    handler: Callable[..., Answer]


class Objects(ABC):
    """One type of record below the API's root."""

    kind: ClassVar[str]
    associated: ClassVar[str]
    """What may be asked for with `associations`."""
    shown_always: ClassVar[tuple[str, ...]]
    shown_by_default: ClassVar[tuple[str, ...]]

    def __init__(self, stand_in: HubSpotStandIn) -> None:
        self.stand_in = stand_in

    @property
    def portal(self) -> Portal:
        """The account."""
        return self.stand_in.portal

    @property
    @abstractmethod
    def records(self) -> Mapping[str, Record]:
        """Every record by its id."""

    @property
    @abstractmethod
    def definitions(self) -> Mapping[str, Property]:
        """The properties there are."""

    @abstractmethod
    def find(self, number: str, id_property: str | None, *, archived: bool) -> Record | None:
        """Looks one record up."""

    @abstractmethod
    def linked(self, record: Record) -> Sequence[str]:
        """Returns the ids of the associated records."""

    def routes(self) -> Iterable[Route]:
        """Returns the operations, the most particular first."""
        yield Route("POST", f"/{self.kind}/search", READ, self.search)
        yield Route("POST", f"/{self.kind}/batch/read", READ, self.batch_read)
        yield Route("GET", f"/{self.kind}/([^/]+)/associations/([^/]+)", READ, self.list_associations)
        yield Route("GET", f"/{self.kind}/([^/]+)", READ, self.get)

    # -- one ---------------------------------------------------------------------------------------

    def get(self, call: Call, key: str) -> Answer:
        """GET /{kind}/{id}."""
        query = self._query(call, "properties", "associations", "idProperty", "archived")
        found = self.looked_up(call, key, query)
        if found is None:
            return not_found()
        wanted = [one for one in query.get("properties", "").split(",") if one]
        body = self.shown(found, found.properties, wanted)
        if asked := query.get("associations"):
            self._only_associated(asked)
            if linked := self._associations(found):
                first = {"results": linked[:_SHOWN_ASSOCIATIONS]}
                body["associations"] = {self.associated: _paged(first, _SHOWN_ASSOCIATIONS, len(linked))}
        return ok(body)

    def looked_up(self, call: Call, key: str, query: Mapping[str, str]) -> Record | None:
        """Finds the record of a path, by id or by a unique property."""
        id_property = query.get("idProperty")
        if id_property == "email" and "+" in call.target.partition("?")[0]:
            refuse("the + of an address must be sent as %2B", 404, "OBJECT_NOT_FOUND")
        if id_property is None and not key.isdigit():
            refuse(f"{key!r} is no id", 404, "OBJECT_NOT_FOUND", "Object not found.  objectId are usually numeric.")
        if id_property not in (None, "email") and not self._unique(id_property):
            refuse(f"idProperty={id_property}: this property is not unique")
        return self.find(key, id_property, archived=query.get("archived") == "true")

    def _unique(self, name: str | None) -> bool:
        return name in self.definitions and self.definitions[name or ""].unique

    def list_associations(self, call: Call, key: str, to: str) -> Answer:
        """GET /{kind}/{id}/associations/{to}, in pages."""
        query = self._query(call, "limit", "after")
        self._only_associated(to)
        found = self.looked_up(call, key, {})
        if found is None:
            return not_found()
        first, limit = int(query.get("after", 0)), int(query.get("limit", 500))
        linked = self._associations(found)
        return ok(_paged({"results": linked[first : first + limit]}, first + limit, len(linked)))

    def _only_associated(self, asked: str) -> None:
        if asked != self.associated:
            refuse(f"associations={asked}: this stand-in knows {self.associated} only")

    def _associations(self, record: Record) -> list[dict[str, str]]:
        kind = f"{self.kind[:-1]}_to_{self.associated[:-1]}"
        return [{"id": number, "type": kind} for number in self.linked(record)]

    # -- many --------------------------------------------------------------------------------------

    def batch_read(self, call: Call) -> Answer:
        """POST /{kind}/batch/read: 207 when some are missing. Ids that were merged away are missing here."""
        self._query(call)
        body = self.json(call, {"inputs", "properties", "idProperty", "propertiesWithHistory"})
        inputs, wanted, id_property = body.get("inputs"), body.get("properties"), body.get("idProperty")
        if not isinstance(inputs, list) or not 1 <= len(inputs) <= 100:
            refuse("a batch reads 1 to 100 records")
        if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted):
            refuse("properties must be a list of names")
        keys: list[str] = []
        for one in inputs:
            key = one.get("id") if isinstance(one, dict) and set(one) == {"id"} else None
            if not isinstance(key, str) or not key:
                refuse("every input has an id, which is text, and nothing else")
            keys.append(key)
        if len(set(keys)) != len(keys):
            refuse(f"Duplicate IDs found in batch input: {keys}. IDs must be unique")
        if id_property not in (None, "email") and not self._unique(id_property):
            refuse(f"idProperty={id_property}: this property is not unique")
        known = {key: self.find(key, id_property, archived=False) for key in keys if key not in self.portal.merged}
        results = [self.shown(one, one.properties, wanted) for one in known.values() if one is not None]
        return self._batch(results, [key for key in keys if known.get(key) is None])

    def _batch(self, results: list[dict[str, Any]], missing: list[str]) -> Answer:
        at = iso(self.portal.now())
        body: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at}
        if not missing:
            return ok(body)
        what = self.kind[:-1].upper()
        fault = {
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "message": f"Could not get some {what} objects, they may be deleted or not exist."
            " Check that ids are valid.",
            "context": {"ids": missing},
        }
        return ok({**body, "errors": [fault], "numErrors": 1}, 207)

    def search(self, call: Call) -> Answer:
        """POST /{kind}/search, over the index: what it has heard of by now, never what is archived."""
        self._query(call)
        body = self.json(call, None)
        with refusing(bad_request("There was a problem with the request.")):
            asked = read_search(call.body, body, self.definitions, self.stand_in.search_cap)
        indexed = [one for record in self.records.values() if (one := self._indexed(record)) is not None]
        found = asked.found(indexed)
        last = asked.after + asked.limit
        results = [self._hit(one, asked.properties) for one in found[asked.after : last]]
        return ok(_paged({"total": len(found), "results": results}, last, len(found)))

    def _indexed(self, record: Record) -> dict[str, str] | None:
        if record.archived:
            return None
        until = self.portal.now() - self.stand_in.search_lag
        seen = [properties for at, properties in record.versions if at <= until]
        return seen[-1] if seen else None

    def _hit(self, properties: dict[str, str], wanted: Sequence[str]) -> dict[str, Any]:
        return self.shown(self.records[properties["hs_object_id"]], properties, wanted)

    # -- what requests and answers look like -------------------------------------------------------

    def shown(self, record: Record, properties: Mapping[str, str], wanted: Sequence[str]) -> dict[str, Any]:
        """Returns a record: what was never set is null, what does not exist is silently absent."""
        names = [*self.shown_always, *(wanted or self.shown_by_default)]
        known = [self.definitions[name] for name in dict.fromkeys(names) if name in self.definitions]
        self.stand_in.check_sensitive(known, "read")
        return {
            "id": record.id,
            "properties": {
                one.name: self._value(one, properties)
                for one in known
                if self.stand_in.sees(one) or self.stand_in.sensitive_answers == "redacted"
            },
            "createdAt": iso(record.created_at),
            "updatedAt": iso(record.updated_at),
            "archived": record.archived,
            "url": f"https://app.hubspot.com/contacts/{self.portal.id}/record/0-1/{record.id}",
        }

    def _value(self, one: Property, properties: Mapping[str, str]) -> str | None:
        value = properties.get(one.name)
        return value if self.stand_in.sees(one) or not value else "REDACTED"

    def _query(self, call: Call, *known: str) -> dict[str, str]:
        with refusing(bad_request()):
            query = query_of(call, known)
            for name in {"limit", "after"} & set(query):
                int(query[name])
            return query

    def json(self, call: Call, known: set[str] | None) -> dict[str, Any]:
        """Reads the body, which holds nothing but `known`."""
        with refusing(bad_request("Invalid input JSON")):
            body = json_object(call)
        if known is not None and (unknown := set(body) - known):
            raise RefusalError(f"unknown parts of the body: {sorted(unknown)}", bad_request("Invalid input JSON"))
        return body


def _paged(body: dict[str, Any], last: int, total: int) -> dict[str, Any]:
    return {**body, "paging": {"next": {"after": str(last)}}} if last < total else body
