"""What Salesforce does beside a change of its files: documents, versions and where they are attached.

https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_contentversion.htm
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from vendors.salesforce.errors import SalesforceError

if TYPE_CHECKING:
    from vendors.salesforce.org import Org
    from vendors.salesforce.schema import ObjectType


def check(org: Org, kind: ObjectType, values: dict[str, Any]) -> None:
    """Refuses what a new file or link may not be. Raises SalesforceError."""
    if kind.name == "ContentVersion" and values.get("ContentDocumentId") and values.get("FirstPublishLocationId"):
        message = "You cannot set FirstPublishLocationId on a new version of a document."
        raise SalesforceError("INVALID_FIELD_FOR_INSERT_UPDATE", message, ["FirstPublishLocationId"])
    if kind.name == "ContentDocumentLink":
        wanted = (values["ContentDocumentId"], values["LinkedEntityId"])
        for link in org.live("ContentDocumentLink"):
            if (link["ContentDocumentId"], link["LinkedEntityId"]) == wanted:
                raise SalesforceError("DUPLICATE_VALUE", "document is already linked with the entity", [])


def created(org: Org, kind: ObjectType, row: dict[str, Any]) -> None:
    """Completes a new version: its document, its number, and its first place."""
    if kind.name != "ContentVersion":
        return
    path = PurePosixPath(row["PathOnClient"])
    row["Title"] = row["Title"] or path.stem
    extension = path.suffix.lstrip(".")
    row |= {
        "FileExtension": extension,
        "FileType": extension.upper(),
        "ContentSize": len(row["VersionData"]),
        "Checksum": hashlib.md5(row["VersionData"], usedforsecurity=False).hexdigest(),
        "IsLatest": True,
    }
    document = row["ContentDocumentId"]
    if document is None:
        document = row["ContentDocumentId"] = org.add("ContentDocument")
        if place := row["FirstPublishLocationId"]:
            org.add("ContentDocumentLink", ContentDocumentId=document, LinkedEntityId=place, ShareType="V")
    older = [one for one in org.live("ContentVersion") if one["ContentDocumentId"] == document and one is not row]
    for one in older:
        one["IsLatest"] = False
    row["VersionNumber"] = str(len(older) + 1)
    copied = {name: row[name] for name in ("Title", "FileType", "FileExtension", "ContentSize")}
    org.change(document, LatestPublishedVersionId=row["Id"], **copied)


def deleted(org: Org, row: dict[str, Any]) -> None:
    """Takes versions and links along when a document goes."""
    for name in ("ContentVersion", "ContentDocumentLink"):
        for one in org.live(name):
            if one["ContentDocumentId"] == row["Id"]:
                one["IsDeleted"] = True
