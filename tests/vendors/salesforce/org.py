"""What a small Salesforce org holds: objects with their records, and the rules that guard every change of one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from vendors.salesforce import files
from vendors.salesforce.errors import SalesforceError
from vendors.salesforce.ids import long_id, make_id
from vendors.salesforce.schema import Field, ObjectType, org_types
from vendors.salesforce.values import read

ORG_ID: Final = "00D8d000004xYzAEAU"
USER_ID: Final = "0058d00000AbCdEAAV"
Row = dict[str, Any]
"""A record: instants as datetime, days as date, files as bytes, ids in their long form."""


@dataclass
class _Trouble:
    left: int
    code: str
    message: str
    type_name: str | None


class Org:
    """Everything the stand-in knows; change it freely while holding the stand-in's lock."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.id = ORG_ID
        self.types: dict[str, ObjectType] = org_types()
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in self.types}
        """By object and id, deleted ones too."""
        self._clock = clock
        self._numbers = iter(range(100, 10**10))
        self._troubles: list[_Trouble] = []
        self._seed()

    def now(self) -> datetime:
        """The org's clock; it knows no parts of a second."""
        return self._clock().astimezone(UTC).replace(microsecond=0)

    # -- looking -----------------------------------------------------------------------------------

    def live(self, type_name: str) -> list[Row]:
        """Returns the records of an object that are not deleted, in the order they were made."""
        return [row for row in self.rows[type_name].values() if not row["IsDeleted"]]

    @property
    def tasks(self) -> list[Row]:
        """The tasks."""
        return self.live("Task")

    @property
    def content_versions(self) -> list[Row]:
        """The versions of files; `VersionData` holds the bytes."""
        return self.live("ContentVersion")

    def files_of(self, record_id: str) -> list[Row]:
        """Returns the latest versions of the files attached to a record."""
        documents = {row["ContentDocumentId"] for row in self._links(long_id(record_id))}
        return [row for row in self.content_versions if row["IsLatest"] and row["ContentDocumentId"] in documents]

    def _links(self, record_id: str) -> Iterable[Row]:
        return (row for row in self.live("ContentDocumentLink") if row["LinkedEntityId"] == record_id)

    def row(self, record_id: str) -> Row:
        """Returns a record by its id, whatever it is and even when deleted. Raises KeyError."""
        number = long_id(record_id)
        return self.rows[self.type_of(number).name][number]

    def type_of(self, record_id: str) -> ObjectType:
        """Returns the object that an id belongs to. Raises KeyError."""
        return next((one for one in self.types.values() if record_id.startswith(one.prefix)), None) or _missing()

    def find(self, kind: ObjectType, record_id: str) -> Row:
        """Returns a record that is there. Raises SalesforceError."""
        try:
            number = long_id(record_id)
        except ValueError:
            number = ""
        if not number.startswith(kind.prefix):
            message = f"{kind.name} ID: id value of incorrect type: {record_id}"
            raise SalesforceError("MALFORMED_ID", message, ["Id"])
        found = self.rows[kind.name].get(number)
        if found is None:
            raise SalesforceError("NOT_FOUND", "The requested resource does not exist")
        if found["IsDeleted"]:
            raise SalesforceError("ENTITY_IS_DELETED", "entity is deleted", [])
        return found

    # -- changing, as the API does -----------------------------------------------------------------

    def create(self, kind: ObjectType, body: Mapping[str, Any]) -> Row:
        """Creates a record. Raises SalesforceError, and then nothing has changed."""
        if not kind.createable:
            raise SalesforceError(
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type cannot be inserted: {kind.name}"
            )
        values = self._checked(kind, body, "createable")
        missing = [one.name for one in kind.fields.values() if one.required and values.get(one.name) is None]
        if missing:
            raise SalesforceError("REQUIRED_FIELD_MISSING", f"Required fields are missing: {missing}", missing)
        self._unique(kind, values, None)
        files.check(self, kind, values)
        self._meet_trouble(kind)
        row = self._insert(kind, values)
        files.created(self, kind, row)
        return row

    def update(self, kind: ObjectType, row: Row, body: Mapping[str, Any]) -> None:
        """Changes a record. Raises SalesforceError, and then nothing has changed."""
        if not kind.updateable:
            message = "insufficient access rights on object id"
            raise SalesforceError("INSUFFICIENT_ACCESS_OR_READONLY", message, [])
        values = self._checked(kind, body, "updateable")
        emptied = [name for name, value in values.items() if value is None and kind.fields[name].required]
        if emptied:
            raise SalesforceError("REQUIRED_FIELD_MISSING", f"Required fields are missing: {emptied}", emptied)
        self._unique(kind, values, row)
        self._meet_trouble(kind)
        row |= values
        self._stamp(row, "LastModifiedDate", "SystemModstamp")

    def remove(self, kind: ObjectType, row: Row) -> None:
        """Deletes a record. Raises SalesforceError."""
        if not kind.deletable:
            raise SalesforceError("INSUFFICIENT_ACCESS_OR_READONLY", f"{kind.name} cannot be deleted")
        self._meet_trouble(kind)
        self.delete(row["Id"])

    def _checked(self, kind: ObjectType, body: Mapping[str, Any], ability: str) -> Row:
        values: Row = {}
        forbidden = []
        for name, value in body.items():
            found = kind.field(name)
            if found is None:
                raise SalesforceError("INVALID_FIELD", f"No such column '{name}' on sobject of type {kind.name}")
            if not getattr(found, ability):
                forbidden.append(found.name)
            values[found.name] = read(found, value)
            self._reference(found, values[found.name])
        if forbidden:
            message = f"Unable to create/update fields: {', '.join(forbidden)}. Please check the security settings of"
            more = " this field and verify that it is read/write for your profile or permission set."
            raise SalesforceError("INVALID_FIELD_FOR_INSERT_UPDATE", message + more, forbidden)
        return values

    def _reference(self, field: Field, value: Any) -> None:
        if field.type != "reference" or value is None:
            return
        target = next((one for one in field.references if value.startswith(self.types[one].prefix)), None)
        if target is None:
            message = f"{field.name}: id value of incorrect type: {value}"
            raise SalesforceError("MALFORMED_ID", message, [field.name])
        row = self.rows[target].get(value)
        if row is None:
            raise SalesforceError("INVALID_CROSS_REFERENCE_KEY", f"invalid cross reference id: {value}", [field.name])
        if row["IsDeleted"]:
            raise SalesforceError("ENTITY_IS_DELETED", "entity is deleted", [field.name])

    def _unique(self, kind: ObjectType, values: Row, row: Row | None) -> None:
        for name, value in values.items():
            if not kind.fields[name].unique or value is None:
                continue
            for other in self.matching(kind, name, value):
                if other is not row:
                    message = f"duplicate value found: {name} duplicates value on record with id: {other['Id'][:15]}"
                    raise SalesforceError("DUPLICATE_VALUE", message, [])

    def matching(self, kind: ObjectType, name: str, value: Any) -> list[Row]:
        """Returns the records with this value; texts are compared without case, as external ids are."""
        folded = value.casefold() if isinstance(value, str) else value
        return [
            row
            for row in self.live(kind.name)
            if (row[name].casefold() if isinstance(row[name], str) else row[name]) == folded
        ]

    # -- changing, as people in the org do ---------------------------------------------------------

    def add(self, type_name: str, record_id: str | None = None, **values: Any) -> str:
        """Creates a record past every rule and returns its id; values as `Row` has them."""
        return str(self._insert(self.types[type_name], values, record_id)["Id"])

    def change(self, record_id: str, *, at: datetime | None = None, **values: Any) -> Row:
        """Changes a record past every rule."""
        row = self.row(record_id)
        row |= values
        self._stamp(row, "LastModifiedDate", "SystemModstamp", at=at)
        return row

    def touch(self, record_id: str) -> None:
        """Lets an automation pass over a record: only SystemModstamp moves."""
        self._stamp(self.row(record_id), "SystemModstamp")

    def delete(self, record_id: str) -> None:
        """Puts a record into the recycle bin."""
        row = self.row(record_id)
        row["IsDeleted"] = True
        self._stamp(row, "SystemModstamp")
        files.deleted(self, row)

    def fail_next(self, times: int, code: str, type_name: str | None = None, *, message: str = "") -> None:
        """Lets the next changes of an object fail, inside a composite call too."""
        self._troubles.append(_Trouble(times, code, message or f"{code} was asked for", type_name))

    def _meet_trouble(self, kind: ObjectType) -> None:
        for trouble in self._troubles:
            if trouble.type_name in (None, kind.name):
                trouble.left -= 1
                if not trouble.left:
                    self._troubles.remove(trouble)
                raise SalesforceError(trouble.code, trouble.message, [])

    def _insert(self, kind: ObjectType, values: Row, record_id: str | None = None) -> Row:
        number = long_id(record_id) if record_id else make_id(kind.prefix, next(self._numbers))
        row: Row = {**dict.fromkeys(kind.fields), "Id": number, "IsDeleted": False}
        self._stamp(row, "CreatedDate", "LastModifiedDate", "SystemModstamp")
        row |= values
        if "LastName" in row:
            row["Name"] = " ".join(part for part in (row["FirstName"], row["LastName"]) if part)
        self.rows[kind.name][number] = row
        return row

    def _stamp(self, row: Row, *names: str, at: datetime | None = None) -> None:
        row |= dict.fromkeys(names, at or self.now())

    # -- all or nothing ----------------------------------------------------------------------------

    def snapshot(self) -> dict[str, dict[str, Row]]:
        """Returns a copy of every record."""
        return copy.deepcopy(self.rows)

    def restore(self, rows: dict[str, dict[str, Row]]) -> None:
        """Goes back to a copy."""
        self.rows = rows

    def _seed(self) -> None:
        at = datetime(2026, 1, 5, 8, tzinfo=UTC)
        stamps = dict.fromkeys(("CreatedDate", "LastModifiedDate", "SystemModstamp"), at)
        self.add("Organization", ORG_ID, Name="Acme Training", IsSandbox=False, **stamps)
        self.add("User", USER_ID, Username="integration@acme-training.example", Name="certbridge", **stamps)
        for number, first in enumerate(("Ada", "Ben"), 1):
            contact = self.add(
                "Contact",
                make_id("003", number),
                FirstName=first,
                LastName="Örnek-O'Neil & Co",
                Email=f"{first.lower()}@example.org",
                **stamps,
            )
            self.add(
                "Course_Completion__c",
                make_id("a0X", number),
                Name=f"CC-00000{number}",
                Contact__c=contact,
                Course_Code__c="SAFETY-1",
                Course_Name__c='Intro to "Safety" <Level 1>',
                Status__c="Enrolled",
                Email__c=f"{first.lower()}@example.org",
                First_Name__c=first,
                Last_Name__c="Örnek-O'Neil & Co",
                **stamps,
            )


def _missing() -> ObjectType:
    raise KeyError("no object has ids like this")
