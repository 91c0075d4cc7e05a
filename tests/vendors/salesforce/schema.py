"""The objects and fields of a small Salesforce org, as its admin has set them up.

`Course_Completion__c` and every field ending in __c are inventions of ours; every org has its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final


@dataclass
class Field:
    """One field; `writable=False` is what field-level security or Salesforce itself forbids."""

    name: str
    type: str = "string"
    """string, textarea, email, url, picklist, boolean, double, int, date, datetime, id, reference or base64."""
    length: int = 255
    createable: bool = True
    updateable: bool = True
    required: bool = False
    external_id: bool = False
    unique: bool = False
    references: tuple[str, ...] = ()
    relationship: str | None = None
    """Under which name SOQL reaches the other record."""
    values: tuple[str, ...] = ()
    restricted: bool = False
    """Whether a picklist takes nothing but its values."""
    hidden: bool = False
    """Whether our user may not even see it; then it does not exist for us."""

    @property
    def filterable(self) -> bool:
        """Long texts and files can be neither filtered nor sorted by."""
        return self.type != "base64" and not (self.type == "textarea" and self.length > 255)

    def described(self) -> dict[str, Any]:
        """Returns the entry of `describe`."""
        return {
            "name": self.name,
            "label": self.name.removesuffix("__c").replace("_", " "),
            "type": self.type,
            "length": self.length if self.type in ("string", "textarea", "email", "url", "picklist") else 0,
            "createable": self.createable,
            "updateable": self.updateable,
            "nillable": not self.required,
            "custom": self.name.endswith("__c"),
            "externalId": self.external_id,
            "idLookup": self.external_id or self.type == "id",
            "unique": self.unique,
            "filterable": self.filterable,
            "referenceTo": list(self.references),
            "relationshipName": self.relationship,
            "restrictedPicklist": self.restricted,
            "picklistValues": [
                {"active": True, "defaultValue": False, "label": value, "value": value} for value in self.values
            ],
        }


@dataclass
class ObjectType:
    """One object; ids of its records begin with `prefix`."""

    name: str
    prefix: str
    fields: dict[str, Field] = field(default_factory=dict)
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    hidden: bool = False
    """Whether our user may not even read it; then it does not exist for us."""

    def field(self, name: str) -> Field | None:
        """Finds a field that our user may see, in any case of letters."""
        found = {one.casefold(): each for one, each in self.fields.items()}.get(name.casefold())
        return None if found is None or found.hidden else found

    def relation(self, name: str) -> Field | None:
        """Finds the field behind a relationship."""
        for one in self.fields.values():
            if one.relationship and one.relationship.casefold() == name.casefold() and not one.hidden:
                return one
        return None

    def described(self) -> dict[str, Any]:
        """Returns the answer of `describe`."""
        return {
            "name": self.name,
            "label": self.name.removesuffix("__c").replace("_", " "),
            "keyPrefix": self.prefix,
            "custom": self.name.endswith("__c"),
            "createable": self.createable,
            "updateable": self.updateable,
            "deletable": self.deletable,
            "queryable": True,
            "fields": [one.described() for one in self.fields.values() if not one.hidden],
        }


def _made(name: str, prefix: str, fields: Iterable[Field], **options: bool) -> ObjectType:
    both = [replace(one) for one in (*_given(), *fields)]  # every org changes fields of its own
    return ObjectType(name, prefix, {one.name: one for one in both}, **options)


def _given() -> list[Field]:
    def own(name: str, kind: str, **more: Any) -> Field:
        return Field(name, kind, createable=False, updateable=False, **more)

    return [
        own("Id", "id", length=18),
        own("IsDeleted", "boolean"),
        own("CreatedDate", "datetime"),
        own("LastModifiedDate", "datetime"),
        own("SystemModstamp", "datetime"),
    ]


def _ref(name: str, *to: str, relationship: str | None = None, **more: Any) -> Field:
    return Field(name, "reference", 18, references=to, relationship=relationship, **more)


def _read_only(name: str, kind: str = "string", **more: Any) -> Field:
    return Field(name, kind, createable=False, updateable=False, **more)


def org_types() -> dict[str, ObjectType]:
    """Returns the objects of a fresh org."""
    types = (
        _made("Organization", "00D", [Field("Name"), Field("IsSandbox", "boolean")], createable=False),
        _made("User", "005", [Field("Username"), Field("Name"), Field("Email", "email")], createable=False),
        _made("Contact", "003", _PERSON),
        _made("Lead", "00Q", [*_PERSON, Field("Company", required=True)]),
        _made("Course_Completion__c", "a0X", _COMPLETION),
        _made("Task", "00T", _TASK),
        _made("ContentDocument", "069", _DOCUMENT, createable=False),
        _made("ContentVersion", "068", _VERSION, deletable=False),
        _made("ContentDocumentLink", "06A", _LINK),
    )
    return {one.name: one for one in types}


_PERSON: Final = (
    Field("FirstName", length=40),
    Field("LastName", length=80, required=True),
    _read_only("Name"),
    Field("Email", "email", 80),
    Field("Course_Name__c"),
    Field("Course_Completed_At__c", "date"),
    Field("Last_Certificate_Id__c", length=40),
    Field("Last_Certificate_URL__c", "url"),
    Field("Last_Certificate_Date__c", "date"),
)
_COMPLETION: Final = (
    Field("Name", length=80),
    _ref("Contact__c", "Contact", relationship="Contact__r"),
    Field("Course_Code__c", length=40),
    Field("Course_Name__c"),
    Field("Completed_At__c", "datetime"),
    Field("Score__c", "double"),
    Field("Status__c", "picklist", values=("Enrolled", "Completed"), restricted=True),
    Field("Email__c", "email", 80),
    Field("First_Name__c", length=40),
    Field("Last_Name__c", length=80),
    Field("Certificate_Id__c", length=40, external_id=True, unique=True),
    Field("Certificate_URL__c", "url"),
    Field("Certificate_Date__c", "date"),
)
_TASK: Final = (
    _ref("WhoId", "Contact", "Lead"),
    _ref("WhatId", "Course_Completion__c"),
    _ref("OwnerId", "User", relationship="Owner"),
    Field("Subject"),
    Field("Status", "picklist", values=("Not Started", "Completed"), required=True),
    Field("Priority", "picklist", values=("High", "Normal", "Low")),
    Field("ActivityDate", "date"),
    Field("Description", "textarea", 32_000),
    Field("Certificate_Key__c", length=80, external_id=True, unique=True),
    _read_only("IsArchived", "boolean"),
)
_DOCUMENT: Final = (
    Field("Title", updateable=True),
    _ref("LatestPublishedVersionId", "ContentVersion", relationship="LatestPublishedVersion", updateable=False),
    _read_only("FileType"),
    _read_only("FileExtension"),
    _read_only("ContentSize", "int"),
)
_VERSION: Final = (
    Field("Title"),
    Field("PathOnClient", length=500, required=True, updateable=False),
    Field("VersionData", "base64", required=True, updateable=False),
    Field("Description", "textarea", 1000),
    Field("ReasonForChange", "textarea", 1000),
    Field("Certificate_Key__c", length=80, external_id=True),
    _ref("FirstPublishLocationId", "Contact", "Lead", "Course_Completion__c", "User", updateable=False),
    _ref("ContentDocumentId", "ContentDocument", relationship="ContentDocument", updateable=False),
    _read_only("VersionNumber"),
    _read_only("IsLatest", "boolean"),
    _read_only("FileType"),
    _read_only("FileExtension"),
    _read_only("ContentSize", "int"),
    _read_only("Checksum"),
)
_LINK: Final = (
    _ref("ContentDocumentId", "ContentDocument", relationship="ContentDocument", required=True, updateable=False),
    _ref("LinkedEntityId", "Contact", "Lead", "Course_Completion__c", "User", required=True, updateable=False),
    Field("ShareType", "picklist", values=("V", "C", "I"), restricted=True, required=True),
    Field("Visibility", "picklist", values=("AllUsers", "InternalUsers", "SharedUsers"), restricted=True),
)
