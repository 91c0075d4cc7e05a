"""What may become of a place at a source that holds the number, or the link, of a learner's latest certificate."""

from __future__ import annotations

from bridge.core import certificate_id
from bridge.core.errors import HeldError
from bridge.core.models import Certificate
from bridge.core.text import shown


def needs_writing(held: str, wanted: str, certificate: Certificate, *, where: str) -> bool:
    """Tells whether a place that was seen to hold `held` has to be written to hold `wanted` (empty: nothing).

    Call it only with a value that was really seen: what is hidden is not empty. `certificate` is the learner's newest
    valid one, or one that is not valid any more when there is none; `where` names the place for people.
    Raises HeldError where text stands that certbridge did not write: it is never overwritten.
    """
    held = held.strip()
    if held == wanted:
        return False
    standing = number_in(held)
    if not wanted:
        # Only what is this learner's from this source goes: another source may keep its numbers in the same place.
        return standing is not None and standing in (certificate.id, *certificate.withdrawn)
    if held and standing is None:
        raise HeldError(
            f"{where} holds {shown(held)}, which is no certificate number of certbridge, so it was not overwritten. "
            "Empty it there, or let the numbers go to another field, then replay this delivery.",
            code="foreign_text",
        )
    return True


def number_in(held: str) -> str | None:
    """Returns the id of the certificate whose number or link stands there; None for anything else."""
    return certificate_id.read(held.strip().rpartition("/")[2])
