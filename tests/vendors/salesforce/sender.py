"""Posts Outbound Messages at a bridge as Salesforce does: up to 100 notifications in one, again until the Ack is true.

https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_om_outboundmessaging.htm
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from vendors.reading import Posted, post
from vendors.salesforce.ids import long_id, make_id
from vendors.salesforce.org import ORG_ID, Org
from vendors.salesforce.values import in_message

HEADERS: Final[Mapping[str, str]] = {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": '""'}
_OUTBOUND: Final = "http://soap.sforce.com/2005/09/outbound"
_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_PATIENCE: Final = 60.0
_MOST: Final = 100


@dataclass(frozen=True)
class Message:
    """One message, ready to be posted with `HEADERS`."""

    body: bytes
    notification_ids: Sequence[str]


@dataclass(frozen=True)
class Delivery:
    """How a message fared, as Salesforce sees it."""

    message: Message
    answer: Posted | None
    """None when there was none in a minute."""
    acknowledged: bool
    reason: str = ""
    """What the org's admin reads under Outbound Message Delivery Status."""


class OutboundMessages:
    """The queue of one message definition: `fields` of the record that fires it, as the sending user may see them."""

    def __init__(
        self,
        org: Org,
        fields: Sequence[str],
        *,
        organization_id: str = ORG_ID,
        action_id: str = "04k8d0000000aBcAAI",
        one_line: bool = False,
    ) -> None:
        self.fields = sorted(fields, key=str.casefold)
        self.organization_id = organization_id
        self.action_id = action_id
        self.one_line = one_line
        """Without white space and with other prefixes, as some captures show."""
        self.waiting: dict[str, str] = {}
        """Notification id to record id, until it is acknowledged."""
        self._org = org
        self._numbers = iter(range(1, 10**10))

    def fire(self, *record_ids: str) -> list[str]:
        """Queues a notification per record and returns their ids; they stay the same on every redelivery."""
        made = {make_id("04l", next(self._numbers)): long_id(one) for one in record_ids}
        self.waiting |= made
        return list(made)

    def message(self, limit: int = _MOST) -> Message:
        """Returns the next message: the longest waiting, each record as it is now, not as it was when it fired."""
        if not 1 <= limit <= _MOST:
            raise ValueError(f"a message holds 1 to {_MOST} notifications")
        chosen = dict(list(self.waiting.items())[:limit])
        return Message(self._envelope(chosen), list(chosen))

    def judge(self, message: Message, answer: Posted | None) -> Delivery:
        """Takes the notifications of an acknowledged message off the queue, all or none."""
        reason = "no answer in 60 seconds" if answer is None else _fault(answer)
        if not reason:
            for one in message.notification_ids:
                self.waiting.pop(one, None)
        return Delivery(message, answer, not reason, reason)

    def deliver(self, address: str, *, limit: int = _MOST) -> Delivery:
        """Posts the next message to `http://127.0.0.1:port/hooks/salesforce/token`."""
        message = self.message(limit)
        try:
            answer = post(address, "POST", message.body, HEADERS, timeout=_PATIENCE)
        except (OSError, http.client.HTTPException):
            answer = None
        return self.judge(message, answer)

    def deliver_all(self, address: str, *, limit: int = _MOST, tries: int = 10) -> list[Delivery]:
        """Posts until nothing waits, or `tries` times."""
        done: list[Delivery] = []
        while self.waiting and len(done) < tries:
            done.append(self.deliver(address, limit=limit))
        return done

    # -- what it looks like ------------------------------------------------------------------------

    def _envelope(self, notifications: Mapping[str, str]) -> bytes:
        soap, fields = ("soapenv", "sf") if not self.one_line else ("env", "ns1")
        instance = "https://acme-training.my.salesforce.com/services/Soap"
        end = f"67.0/{self.organization_id[:15]}"
        lines = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<{soap}:Envelope xmlns:{soap}="{_SOAP}" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
            ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">',
            f" <{soap}:Body>",
            f'  <notifications xmlns="{_OUTBOUND}">',
            f"   <OrganizationId>{self.organization_id}</OrganizationId>",
            f"   <ActionId>{self.action_id}</ActionId>",
            '   <SessionId xsi:nil="true"/>',
            f"   <EnterpriseUrl>{instance}/c/{end}</EnterpriseUrl>",
            f"   <PartnerUrl>{instance}/u/{end}</PartnerUrl>",
            *(line for one, record in notifications.items() for line in self._notification(one, record, fields)),
            "  </notifications>",
            f" </{soap}:Body>",
            f"</{soap}:Envelope>",
        ]
        text = (
            "".join(line.strip() if line[1:2] != "?" else line for line in lines) if self.one_line else "\n".join(lines)
        )
        return text.encode("utf-8")

    def _notification(self, number: str, record: str, prefix: str) -> list[str]:
        lines = ["   <Notification>", f"    <Id>{number}</Id>"]
        row = self._org.row(record)
        if not row["IsDeleted"]:
            names = f'xsi:type="{prefix}:{self._org.type_of(record).name}"'
            space = f'xmlns:{prefix}="urn:sobject.enterprise.soap.sforce.com"'
            first, second = (space, names) if self.one_line else (names, space)
            values = {"Id": record} | {name: row[name] for name in self.fields}
            lines += [f"    <sObject {first} {second}>", *_elements(values, prefix), "    </sObject>"]
        return [*lines, "   </Notification>"]


def _elements(values: Mapping[str, Any], prefix: str) -> list[str]:
    """A field without a value is left out."""
    return [
        f"     <{prefix}:{name}>{escape(in_message(value))}</{prefix}:{name}>"
        for name, value in values.items()
        if value is not None
    ]


def _fault(answer: Posted) -> str:
    """Returns why this answer is no acknowledgement, or nothing."""
    if answer.status != 200:
        return f"HTTP {answer.status}"
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "text/xml":
        return f"the answer came as {kind or 'nothing'}, not as text/xml"
    try:
        root = ElementTree.fromstring(answer.body)
    except ElementTree.ParseError as error:
        return f"org.xml.sax.SAXParseException: {error}"
    ack = root.findtext(f"{{{_SOAP}}}Body/{{{_OUTBOUND}}}notificationsResponse/{{{_OUTBOUND}}}Ack")
    if root.tag != f"{{{_SOAP}}}Envelope" or ack is None:
        return "no notificationsResponse with an Ack"
    return "" if ack.strip() == "true" else "SOAP response was a nack"
