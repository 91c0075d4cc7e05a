"""Certificates of one learner and course follow each other by the time of completion, whatever was stored first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import permutations

import pytest
from store.store_samples import certificate, completion, data

from bridge.store import certificates, chain
from bridge.store.engine import Store
from bridge.store.transaction import Transaction

DAYS = {"A" * 17: date(2024, 6, 1), "B" * 17: date(2025, 6, 1), "C" * 17: date(2026, 6, 1)}


def put(tx: Transaction, identifier: str, cycle: int, day: date | None = None) -> None:
    on = day or DAYS[identifier]
    at = datetime(on.year, on.month, on.day, 9, tzinfo=UTC)
    row = completion(tx, cycle=cycle, completed_at=at, completed_on=on)
    said = data().model_copy(update={"completed_on": on})
    certificate(tx, identifier, completion_id=row.id, data=said)
    certificates.publish(tx, identifier, 1)


def links(store: Store) -> dict[str, tuple[str | None, str | None]]:
    def look(tx: Transaction) -> dict[str, tuple[str | None, str | None]]:
        hits = certificates.of_learner(tx, "school", False, "7", "68")
        found = {hit.certificate.id[0]: chain.links(tx, hit) for hit in hits}
        return {name: (_first(one.renews), _first(one.renewed_by)) for name, one in found.items()}

    return store.read(look)


def _first(identifier: str | None) -> str | None:
    return identifier[0] if identifier else None


@pytest.mark.parametrize("order", list(permutations(DAYS)))
def test_links_follow_the_completions_whatever_came_first(store: Store, order: Sequence[str]) -> None:
    for cycle, identifier in enumerate(order, start=1):
        store.transact(lambda tx, i=identifier, c=cycle: put(tx, i, c))
    assert links(store) == {"A": (None, "B"), "B": ("A", "C"), "C": ("B", None)}


def test_a_certificate_that_is_taken_back_links_nothing(store: Store) -> None:
    for cycle, identifier in enumerate(DAYS, start=1):
        store.transact(lambda tx, i=identifier, c=cycle: put(tx, i, c))
    store.transact(lambda tx: certificates.revoke(tx, "B" * 17, reason="mistake"))
    assert links(store) == {"A": (None, "C"), "B": ("A", "C"), "C": ("A", None)}


def test_a_corrected_day_moves_a_certificate_in_the_chain(store: Store) -> None:
    for cycle, identifier in enumerate(DAYS, start=1):
        store.transact(lambda tx, i=identifier, c=cycle: put(tx, i, c))

    def correct(tx: Transaction) -> None:
        said = data().model_copy(update={"completed_on": date(2023, 6, 1)})
        words = {"template_sha": "t1", "mapping_sha": "m1", "by": "ana", "reason": "typing error"}
        certificates.publish(tx, "C" * 17, certificates.add_version(tx, "C" * 17, data=said, **words))

    store.transact(correct)
    assert links(store) == {"C": (None, "A"), "A": ("C", "B"), "B": ("A", None)}


def test_the_newest_valid_one_comes_first_and_expired_ones_last(store: Store) -> None:
    for cycle, identifier in enumerate(DAYS, start=1):
        store.transact(lambda tx, i=identifier, c=cycle: put(tx, i, c))
    gone = data().model_copy(update={"expires_on": date(2026, 7, 1)})
    store.transact(lambda tx: certificates.keep_in_step(tx, "C" * 17, data=gone, recipient_key=None))

    def newest(today: date) -> str:
        hits = store.read(lambda tx: certificates.of_learner(tx, "school", False, "7"))
        return "".join(hit.certificate.id[0] for hit in chain.newest_first(hits, today))

    assert (newest(date(2026, 7, 1)), newest(date(2026, 7, 2))) == ("CBA", "BAC")
