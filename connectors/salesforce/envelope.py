"""Reads Outbound Messages (SOAP 1.1) by namespace, whatever the prefixes, and writes the answer they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.core.errors import PayloadError
from connectors.salesforce import ids
from connectors.salesforce.xml_reader import Element, read_xml

_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_OUTBOUND: Final = "http://soap.sforce.com/2005/09/outbound"
_RECORD: Final = "urn:sobject.enterprise.soap.sforce.com"
_INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"
_MOST: Final = 100
"""Notifications in one message, as the WSDL has it."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One record that was sent; `fields` by API name in small letters, those without a value left out."""

    id: str | None
    object: str | None
    """The API name; None where the record was deleted before it could be sent."""
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Message:
    """One Outbound Message. Its session id is not read: since 2026 it is empty, and certbridge never needs it."""

    organization: str | None
    """18 characters."""
    notifications: tuple[Notification, ...]


def read_message(body: bytes) -> Message:
    """Returns the message in an envelope. Raises PayloadError.

    https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_om_outboundmessaging_notifications.htm
    """
    if body.lstrip()[:1] in (b"{", b"["):
        raise PayloadError(
            "The body is JSON, but this source takes Outbound Messages (XML). For a Flow: `entry: flow`."
        )
    root = read_xml(body)
    if root.name != f"{_SOAP} Envelope":
        raise PayloadError("The body is XML, but no SOAP envelope.")
    message = _only(_only(root, f"{_SOAP} Body"), f"{_OUTBOUND} notifications")
    found = tuple(_notification(one) for one in message.all(f"{_OUTBOUND} Notification"))
    if len(found) > _MOST:
        raise PayloadError(f"The message has {len(found)} notifications; Salesforce sends at most {_MOST}.")
    return Message(ids.normal(_only(message, f"{_OUTBOUND} OrganizationId").text), found)


def acknowledgement(*, stored: bool) -> bytes:
    """Returns the answer to a message: true: it is on disk; false: send all of it again."""
    ack = "true" if stored else "false"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<soapenv:Envelope xmlns:soapenv="{_SOAP}"><soapenv:Body>'
        f'<notificationsResponse xmlns="{_OUTBOUND}"><Ack>{ack}</Ack></notificationsResponse>'
        "</soapenv:Body></soapenv:Envelope>\n"
    ).encode()


def _only(parent: Element, name: str) -> Element:
    found = list(parent.all(name))
    if len(found) != 1:
        raise PayloadError(f"The body is no Outbound Message: it has {len(found)} elements {name.rpartition(' ')[2]}.")
    return found[0]


def _notification(element: Element) -> Notification:
    # One odd notification must not keep the other ninety-nine from being read, so nothing here raises.
    numbers = {one.text for one in element.all(f"{_OUTBOUND} Id")}
    number = numbers.pop() if len(numbers) == 1 else ""
    number = ids.normal(number) or number[:100]
    records = list(element.all(f"{_OUTBOUND} sObject"))
    if len(records) != 1:
        return Notification(number or None, "" if records else None, {})
    kind = records[0].attributes.get(f"{_INSTANCE} type", "")
    return Notification(number or None, kind.rpartition(":")[2], _fields(records[0]))


def _fields(record: Element) -> dict[str, str]:
    found: dict[str, str] = {}
    doubtful = set()
    for child in record.children:
        namespace, _, name = child.name.rpartition(" ")
        nil = child.attributes.get(f"{_INSTANCE} nil", "").strip() in ("true", "1")
        if namespace != _RECORD or child.children or nil or not child.text:
            continue
        key = name.lower()
        if found.setdefault(key, child.text) != child.text:
            doubtful.add(key)  # said twice, differently: it is not known
    return {key: text for key, text in found.items() if key not in doubtful}
