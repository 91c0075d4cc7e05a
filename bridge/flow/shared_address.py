"""Tells learners apart whom a source knows by an address alone: another name under it is another person, until said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.core.mapping import waived
from bridge.core.models import CLAIMABLE, Completion, State
from bridge.core.person import another, is_address, mark, same_name
from bridge.flow.result import Result, TwinError
from bridge.store import certificates, chain, completions, event_keys, inbox
from bridge.store.certificates import CertificateHit
from bridge.store.engine import Transaction

ANOTHER_NAME: Final = "another_name"
"""The code of events held because their address has a certificate for this course under another name."""


def subject_of(tx: Transaction, row: inbox.InboxRow, said: Completion, known: Sequence[CertificateHit]) -> str | Result:
    """Returns the subject under which this learner's completions of the course stand, or how the event ends.

    `known` are the certificates of the address itself for this course. The same question is asked once: a second
    event about the same address, course and name follows the answer to the first.
    """
    names = foreign_names(tx, said.subject, said.recipient.name, known)
    if not names:
        return said.subject
    apart = another(said.subject, said.recipient.name)
    if completions.all_cycles(tx, row.source, row.test, apart, said.course.id):
        return apart
    asked = event_keys.question(tx, row.source, row.test, _question(said), row.id)
    if asked != row.id:
        return _answered(tx, asked, said, names)
    return apart if waived(row.overrides, ANOTHER_NAME) else Result(State.HELD, ANOTHER_NAME, question(said, names))


def foreign_names(tx: Transaction, subject: str, name: str, known: Sequence[CertificateHit]) -> list[str]:
    """Returns the names on certificates of an address if none of them is this one; nothing where an id tells people
    apart.
    """
    if not known or not is_address(subject):
        return []
    names = chain.names(tx, known)
    return [] if any(same_name(one, name) for one in names) else names


def people(tx: Transaction, source: str, test: bool, subject: str, course: str) -> list[list[CertificateHit]]:
    """Returns the certificates for a course under an address, person by person."""
    subjects = [subject, *completions.further_people(tx, source, test, subject)]
    found = [certificates.of_learner(tx, source, test, one, course) for one in subjects]
    return [hits for hits in found if hits]


def question(said: Completion, names: Sequence[str]) -> str:
    """Returns what an admin is asked, with both names."""
    name, listed = said.recipient.name, " and ".join(names)
    return (
        f"{name}, {said.course.title}: the address {said.subject} already has a certificate for this course under the "
        f"name {listed}, and the source gives no other id. If {name} is another person, release this event: they get a "
        f'certificate of their own. If it is the same person, release it with --set recipient.name="{names[-1]}"; then '
        "nothing is issued again. An id of the learner in what the source sends (learner_id) settles it for good."
    )


def _question(said: Completion) -> str:
    return "\x1f".join((said.subject, said.course.id, mark(said.recipient.name)))


def _answered(tx: Transaction, asked: int, said: Completion, names: Sequence[str]) -> str | Result:
    """Follows the answer to the event that asked first. Raises TwinError while there is none."""
    first = inbox.get(tx, asked)
    answer = completions.get(tx, first.completion_id) if first is not None and first.completion_id else None
    if answer is not None:
        return answer.subject
    moving = first is not None and first.state in CLAIMABLE
    if first is not None and not moving and waived(first.overrides, ANOTHER_NAME):
        # It was answered, whatever became of that event afterwards.
        name = first.overrides.get("recipient.name", said.recipient.name)
        return said.subject if any(same_name(name, one) for one in names) else another(said.subject, name)
    who = f"{said.recipient.name}, {said.course.title}: event {asked}"
    if first is not None and first.state is not State.CANCELLED:
        raise TwinError(f"{who} asks about the same name under the address {said.subject}. Answer that one.")
    reason = (
        f"{who} asked about the same name under the address {said.subject}, and a person cancelled it. If that was "
        f"wrong: certbridge events replay {asked}, then this one."
    )
    return Result(State.IGNORED, ANOTHER_NAME, reason)
