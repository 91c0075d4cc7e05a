"""Forgets a learner: personal columns and files go; ids and keys stay, so that nothing is issued anew."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Text, delete, or_, select, type_coerce, update

from bridge.core.models import CertificateData, JsonObject, Recipient, State
from bridge.store import history, queue
from bridge.store.completions import further_people
from bridge.store.matching import pattern
from bridge.store.tables import attempts, certificates, completions, files, inbox, outbox, requests, versions
from bridge.store.tables import history as history_table
from bridge.store.transaction import Transaction

REASON: Final = "The learner's personal details were erased."
_CODE: Final = "erased"


def erase(
    tx: Transaction, source: str, test: bool, subject: str, *, actor: str, reason: str, but: int | None = None
) -> list[str]:
    """Erases everything about one learner of a source, under every id that was merged into this one.

    Returns the ids of the certificates that are erased now. `but` is the event that asks for it, which is emptied as
    well, and which its worker settles.
    """
    subjects = _subjects(tx, source, test, subject)
    events = _events(tx, source, test, subjects)
    known = _certificates(tx, source, test, subjects)
    for identifier in known:
        _erase_certificate(tx, identifier)
        history.add(
            tx, "certificate.erased", actor=actor, test=test, certificate_id=identifier, data={"reason": reason}
        )
    empty(tx, events, but=but)
    return known


def empty(tx: Transaction, numbers: Collection[int], *, but: int | None = None) -> None:
    """Empties events, and ends those that are not finished, except `but`, which a worker has in hand."""
    about = inbox.c.id.in_(numbers)
    _stop(tx, inbox, about & (inbox.c.id != but) if but is not None else about)
    # Not "before the start line" any more: that would be offered for issuing.
    ignored = about & (inbox.c.state == State.IGNORED.value)
    tx.connection.execute(update(inbox).where(ignored).values(code=_CODE))
    # The bodies they came in, which may tell of others as well: what was made of these others stays.
    came_in = select(inbox.c.request_id).where(about)
    tx.connection.execute(update(requests).where(requests.c.id.in_(came_in)).values(body=None))
    bare: dict[str, Any] = {"payload": None, "record": None, "completion": None, "overrides": {}, "reason": REASON}
    tx.connection.execute(update(inbox).where(about).values(bare))
    _erase_attempts(tx, attempts.c.inbox_id.in_(numbers))
    tx.connection.execute(update(history_table).where(history_table.c.inbox_id.in_(numbers)).values(data={}))


def emptied(tx: Transaction, *, inbox_id: int | None = None, outbox_id: int | None = None) -> bool:
    """Tells whether an event or a delivery is about a learner who was forgotten; until the commit it stays so."""
    # The lock makes an erasure wait that goes on at the same time, and then it sees what is written here.
    if inbox_id is not None:
        event = select(inbox.c.payload.is_(None)).where(inbox.c.id == inbox_id).with_for_update()
        return bool(tx.connection.scalar(event))
    delivery = select(outbox.c.certificate_id).where(outbox.c.id == outbox_id).with_for_update()
    erased = select(certificates.c.state == "erased").where(certificates.c.id == tx.connection.scalar(delivery))
    return bool(tx.connection.scalar(erased))


def _subjects(tx: Transaction, source: str, test: bool, subject: str) -> set[str]:
    """Returns every id under which the learner was known: records made one at the source, people at an address."""
    found, more = {subject}, [subject]
    while more:
        into = more.pop()
        written = type_coerce(history_table.c.data, Text).like(_said("into", into), escape="\\")
        merges = select(history_table.c.data).where(
            history_table.c.kind == "learner.merged", history_table.c.test == test, written
        )
        for data in tx.connection.execute(merges).scalars():
            if data.get("source") == source and data.get("into") == into:
                more += [one for one in data.get("merged", ()) if one not in found]
                found |= set(data.get("merged", ()))
    # Nobody but the address itself tells those apart who share it.
    return found.union(*(further_people(tx, source, test, one) for one in found))


def _said(name: str, value: str) -> str:
    """Returns the LIKE pattern for `"name":"value"` as our JSON is written."""
    return pattern(f'"{name}":{json.dumps(value, ensure_ascii=False)}')


def _certificates(tx: Transaction, source: str, test: bool, subjects: Collection[str]) -> list[str]:
    mine = completions.c.source == source, completions.c.test == test, completions.c.subject.in_(subjects)
    found = select(certificates.c.id).join(completions, completions.c.id == certificates.c.completion_id)
    rows = tx.connection.execute(found.where(*mine, certificates.c.state != "erased").order_by(certificates.c.id))
    return list(rows.scalars())


def _events(tx: Transaction, source: str, test: bool, subjects: Collection[str]) -> list[int]:
    """Returns the events about a learner, with a completion or without."""
    # A search by text first (rare, and no index helps), then a look at what is really said.
    said = or_(
        *(
            type_coerce(column, Text).like(_said("subject", subject), escape="\\")
            for column in (inbox.c.payload, inbox.c.record)
            for subject in subjects
        )
    )
    rows = tx.connection.execute(
        select(inbox.c.id, inbox.c.payload, inbox.c.record).where(inbox.c.source == source, inbox.c.test == test, said)
    )
    about = {row.id for row in rows if not {_subject(row.payload), _subject(row.record)}.isdisjoint(subjects)}
    mine = completions.c.source == source, completions.c.test == test, completions.c.subject.in_(subjects)
    linked = select(inbox.c.id).join(completions, completions.c.id == inbox.c.completion_id).where(*mine)
    return sorted(about | set(tx.connection.execute(linked).scalars()))


def _subject(event: JsonObject | None) -> object:
    return event.get("subject") if event else None


def _erase_certificate(tx: Transaction, identifier: str) -> None:
    for row in tx.connection.execute(select(versions).where(versions.c.certificate_id == identifier)).mappings():
        said = CertificateData.model_validate(row["data"])
        bare = said.model_copy(update={"recipient": Recipient(name=""), "fields": {}})
        same = (versions.c.certificate_id == identifier) & (versions.c.n == row["n"])
        queue.change(tx, versions, same, {"data": bare.model_dump(mode="json"), "reason": _CODE})
    tx.connection.execute(delete(files).where(files.c.certificate_id == identifier))
    values = {"state": "erased", "recipient_key": None, "revoke_reason": None}
    queue.change(tx, certificates, certificates.c.id == identifier, values)
    _stop(tx, outbox, outbox.c.certificate_id == identifier)
    sent = list(tx.connection.execute(select(outbox.c.id).where(outbox.c.certificate_id == identifier)).scalars())
    emptied: dict[str, Any] = {"target": {}, "payload": None, "memo": {}, "receipt": None, "reason": REASON}
    tx.connection.execute(update(outbox).where(outbox.c.id.in_(sent)).values(emptied))
    _erase_attempts(tx, attempts.c.outbox_id.in_(sent))
    tx.connection.execute(update(history_table).where(history_table.c.certificate_id == identifier).values(data={}))


def _stop(tx: Transaction, table: Any, about: Any) -> None:
    """Ends what is not finished: there is nobody left to do it for."""
    unfinished = about & table.c.state.in_(queue.values_of(queue.OPEN))
    ended = queue.standing(tx, State.CANCELLED, code=_CODE, reason=REASON)
    tx.connection.execute(update(table).where(unfinished).values(ended))


def _erase_attempts(tx: Transaction, about: Any) -> None:
    tx.connection.execute(update(attempts).where(about).values(request=None, response=None, reason=None))
