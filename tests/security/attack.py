"""What the attacks have in common: hostile completions from both vendors, and the whole loop seen from outside."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from html import unescape
from typing import Any

from flow.rig import Answer, Rig, read_mail

from bridge.core import certificate_id
from bridge.core.doubts import NAME_DOUBTS, TEXT_DOUBTS
from bridge.core.models import SignedRequest, State
from bridge.store import inbox

COMPLETED = "course_completed-by-learner"
"""What a real Moodle sent when learner 3 completed course 2."""
HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Content-Language",
    "Auto-Submitted",
    "Content-Type",
    "MIME-Version",
]
"""Every header of a certificate's mail; anything more came from outside."""


def completion(event_id: str = "e-1", /, *, user: dict[str, Any] | None = None, **payload: Any) -> dict[str, Any]:
    """Returns Thinkific's `enrollment.completed`; `user` and the rest replace single fields of its payload."""
    learner = {"email": "ana@example.invalid", "first_name": "Ana", "id": 123456, "last_name": "Silva"}
    return {
        "id": event_id,
        "resource": "enrollment",
        "action": "completed",
        "tenant_id": "12345",
        "created_at": "2026-11-20T16:45:31Z",
        "payload": {
            "id": 97472,
            "completed_at": "2026-11-20T16:45:30.000Z",
            "course": {"id": 68, "name": "Forklift Operator"},
            "course_id": 68,
            "free_trial": False,
            "user": {**learner, **(user or {})},
            **payload,
        },
    }


def signed(rig: Rig, body: bytes, source: str = "thinkific") -> SignedRequest:
    """Signs a body as the source's vendor would."""
    request: SignedRequest = rig.bridge.sources[source].connector.sign(
        body, {"Content-Type": "application/json"}, datetime.now(UTC)
    )
    return request


def posted(rig: Rig, event: object, source: str = "thinkific") -> Answer:
    """Posts an event, or raw bytes, authentically."""
    request = signed(rig, event if isinstance(event, bytes) else json.dumps(event).encode(), source)
    return rig.post(source, request.body, request.headers, request.path_token)


@dataclass(frozen=True)
class Seen:
    """Everything that reached the outside about one completion."""

    row: inbox.InboxRow
    pdf: str
    page: str
    """Its HTML."""
    mail: EmailMessage
    raw_mail: bytes

    @property
    def page_text(self) -> str:
        """What a reader of the page sees."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.page)).split())

    @property
    def mail_text(self) -> str:
        """The text part of the mail."""
        part = self.mail.get_body(("plain",))
        assert part is not None
        return " ".join(str(part.get_content()).split())

    @property
    def mail_html(self) -> str:
        """The HTML part of the mail."""
        part = self.mail.get_body(("html",))
        assert part is not None
        return str(part.get_content())


def through_thinkific(rig: Rig, event: dict[str, Any]) -> Seen:
    """Sends a completion through the whole loop; it has to be issued, if need be on a person's word."""
    return _seen(rig, posted(rig, event).event)


def through_moodle(rig: Rig, *, number: int | None = None, course: str | None = None, **user: str) -> Seen:
    """Lets Moodle's learner 3 have these fields, and course 2 this name; it has to be issued."""
    with rig.moodle.lock:
        site = rig.moodle.site
        site.add(replace(site.users[3], **user))
        if course is not None:
            site.add(replace(site.courses[2], fullname=course))
    return _seen(rig, rig.post_sample(COMPLETED).event)


def _seen(rig: Rig, number: int) -> Seen:
    rig.wait_settled()
    row = _let_through(rig, number)
    assert row.state is State.DONE, f"{row.state} {row.code}: {row.reason}"
    found = next(hit for hit in rig.certificates() if hit.completion.id == row.completion_id)
    identifier = found.certificate.id
    (path,) = (rig.folder / "mail").glob(f"{certificate_id.grouped(identifier).lower()}*.eml")
    raw = path.read_bytes()
    page = rig.page(identifier)
    assert page.status == 200
    return Seen(row, rig.pdf_text(identifier), page.text, read_mail(raw), raw)


def _let_through(rig: Rig, number: int) -> inbox.InboxRow:
    """Lets go what is held for its odd name or title, as a person may: it must do no harm then either."""
    if rig.event(number).code in (*NAME_DOUBTS, *TEXT_DOUBTS):
        rig.bridge.store.transact(lambda tx: inbox.release(tx, number, overrides={}, actor="ana", reason="so it is"))
        rig.bridge.workers.wake()
        rig.wait_settled()
    return rig.event(number)


def stopped(rig: Rig, event: object, source: str = "thinkific") -> inbox.InboxRow:
    """Posts an event that must be accepted and must not become a certificate; returns how it ended."""
    answer = posted(rig, event, source)
    assert answer.status == 200, answer
    rig.wait_settled()
    row = rig.event(answer.event)
    assert row.state in (State.HELD, State.FAILED, State.IGNORED), f"{row.state} {row.code}: {row.reason}"
    assert row.code
    assert row.reason
    assert rig.certificates() == []
    assert rig.deliveries() == []
    return row
