"""Attaches a certificate's PDF to a record of Salesforce, once."""

from __future__ import annotations

import base64
from typing import Final

from bridge.core import certificate_id
from bridge.core.connector import Memo, Receipt, Step
from bridge.core.errors import TemporaryError
from bridge.core.models import Certificate
from connectors.salesforce import soql
from connectors.salesforce.rest import Rest

FILE: Final = "file"


def attach(step: Step, certificate: Certificate, memo: Memo, rest: Rest) -> Receipt:
    """Makes the record have this version of the PDF; looks for it before and after.

    Raises PermanentError, TemporaryError.
    https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_contentversion.htm
    """
    place, title = step.target["place"], _title(certificate)
    if certificate.state != "issued":
        return Receipt(f"Nothing to attach: the certificate is {certificate.state}", confirmed=False)
    found = _find(place, title, rest)
    if found is None and memo.get(title) is None:
        memo.save(title, rest.create("ContentVersion", _fields(step, place, title, certificate)))
        found = _find(place, title, rest)
    if found is None:
        raise TemporaryError(
            f"Salesforce took file {memo.get(title)}, but does not show it. Usual cause: somebody deleted it.",
            code="not_confirmed",
        )
    return Receipt(f"Salesforce file {found} at {place}", confirmed=True, details={"file": found, "place": place})


def _title(certificate: Certificate) -> str:
    return f"Certificate {certificate_id.grouped(certificate.id)} version {certificate.version}"


def _find(place: str, title: str, rest: Rest) -> str | None:
    conditions = f"FirstPublishLocationId = {soql.quoted(place)}", f"Title = {soql.quoted(title)}"
    found = rest.first_page(soql.query(["Id"], "ContentVersion", *conditions, tail="LIMIT 1"))
    return str(found[0].get("Id")) if found else None


def _fields(step: Step, place: str, title: str, certificate: Certificate) -> dict[str, str]:
    if step.pdf is None:
        raise TemporaryError("The PDF of this certificate is not there yet.", code="no_pdf")
    return {
        "Title": title,
        "PathOnClient": f"{certificate_id.grouped(certificate.id)}.pdf",
        "FirstPublishLocationId": place,
        "VersionData": base64.b64encode(step.pdf).decode("ascii"),
    }
