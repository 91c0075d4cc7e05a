"""Rows to put into a store, with only what a test is about left to say; and threads that start at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, TypeVar

from bridge.core.models import CertificateData, Course, Issuer, Recipient, SourceEvent
from bridge.store import certificates, completions
from bridge.store.certificates import CertificateRow
from bridge.store.completions import CompletionRow
from bridge.store.inbox import NewEvent
from bridge.store.outbox import NewDelivery
from bridge.store.requests import NewRequest
from bridge.store.transaction import Transaction

T = TypeVar("T")


def event(event_id: str = "e1", *, source: str = "school", body: str = "b1", **more: Any) -> NewEvent:
    fields = {"event_type": "course_completed", "subject": "7", "course": "68", "data": {"name": "Maria Silva"}}
    told = {name: more.pop(name) for name in list(more) if name in SourceEvent.model_fields}
    new = {"test": False, "body_sha256": body, **more}
    return NewEvent(source=source, event=SourceEvent(event_id=event_id, **{**fields, **told}), **new)


def request(**more: Any) -> NewRequest:
    usual = {
        "source": "school",
        "entry": "webhook",
        "method": "POST",
        "target": "/hooks/school",
        "headers": {"content-type": "application/json"},
        "body": b"{}",
        "body_sha256": "b1",
        "size": 2,
        "peer": "192.0.2.1",
        "outcome": "accepted",
        "reason": "",
        "status": 200,
    }
    return NewRequest(**{**usual, **more})


def delivery(dedupe_key: str, **more: Any) -> NewDelivery:
    usual = {
        "kind": "write_back",
        "destination": "school",
        "step": "note",
        "test": False,
        "certificate_id": None,
        "version": None,
        "target": {"user": "7"},
        "payload": None,
    }
    return NewDelivery(dedupe_key=dedupe_key, **{**usual, **more})


def data(name: str = "Maria Silva", title: str = "Forklift Operator") -> CertificateData:
    return CertificateData(
        recipient=Recipient(name=name, email="maria@acme.example"),
        course=Course(id="68", title=title),
        issuer=Issuer(name="Acme School"),
        completed_on=date(2026, 11, 22),
        issued_on=date(2026, 11, 23),
        zone="Europe/Lisbon",
        locale="en",
        fields={"hours": "8"},
    )


def completion(tx: Transaction, subject: str = "7", course: str = "68", **more: Any) -> CompletionRow:
    usual = {"source": "school", "test": False, "cycle": 1, "completed_at": None, "completed_on": date(2026, 11, 22)}
    row = completions.create(tx, subject=subject, course=course, **{**usual, **more})
    assert row is not None
    return row


def certificate(tx: Transaction, id: str = "AAAABBBBCCCCDDDDE", *, subject: str = "7", **more: Any) -> CertificateRow:
    usual = {
        "completion_id": more.pop("completion_id", None) or completion(tx, subject=subject).id,
        "test": False,
        "issuer": "default",
        "issued_on": date(2026, 11, 23),
        "expires_on": None,
        "zone": "Europe/Lisbon",
        "locale": "en",
        "visibility": "public",
        "recipient_key": "k1",
        "data": data(),
        "template_sha": "t1",
        "mapping_sha": "m1",
        "by": "certbridge",
        "reason": "completed",
    }
    return certificates.create_draft(tx, id=id, **{**usual, **more})


def at_once(functions: Sequence[Callable[[], T]]) -> list[T | BaseException]:
    """Runs every function in a thread of its own, all released together; returns results and exceptions in order."""
    start = threading.Barrier(len(functions))
    results: list[T | BaseException] = [AssertionError("never ran")] * len(functions)

    def run(index: int) -> None:
        start.wait()
        try:
            results[index] = functions[index]()
        except BaseException as error:  # noqa: BLE001 (given to the test, in the place of the result)
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
