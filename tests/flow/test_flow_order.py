"""The same completions, corrections and revocations end in the same certificates, in whatever order they arrive."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from flow.order_desk import COMPLETED, TAKEN_BACK, OrderDesk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.models import SourceEvent
from bridge.store import chain, inbox, outbox
from bridge.store.engine import Store

ORDERS: Final = int(os.environ.get("CERTBRIDGE_ORDERS", "40"))
"""How many orders are tried on each database; the note of a release has a long run."""
MARIA, OFFICE = "7", "office@firm.example"
_numbers: Iterator[int] = itertools.count(1)


@dataclass(frozen=True)
class Done:
    """One completion, told of once or more."""

    name: str
    course: str
    at: datetime
    learner: str = MARIA
    person: str = "Maria Silva"
    years: int | None = None
    tellings: int = 1

    def events(self) -> list[SourceEvent]:
        """What the source sends: each telling has its own id, key and second."""
        return [
            SourceEvent(
                event_id=f"{self.name}-{number}",
                event_type=COMPLETED,
                subject=self.learner,
                course=self.course,
                keys=(f"{self.name}-{number}",),
                occurred_at=self.at + timedelta(seconds=7 * number),
                data={"completion": self.name, "name": self.person, "years": self.years},
            )
            for number in range(self.tellings)
        ]


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(hour=10, tzinfo=UTC)


FIRST = Done("first", "fire", day("2022-03-01"), years=1)
SECOND = Done("second", "fire", day("2024-03-01"), years=20, tellings=2)
THIRD = Done("third", "fire", day("2026-03-01"), years=20)
OTHER = Done("other", "aid", day("2025-03-01"), tellings=2)
ANA = Done("ana", "fire", day("2025-05-01"), OFFICE, "Ana Lima")
RUI = Done("rui", "fire", day("2025-05-01"), OFFICE, "Rui Lima", tellings=2)
RUI_AGAIN = Done("rui again", "fire", day("2026-05-01"), OFFICE, "LIMA, Rui")
ALL = {one.name: one for one in (FIRST, SECOND, THIRD, OTHER, ANA, RUI, RUI_AGAIN)}

MOVED: Final = date(2023, 3, 1)
"""The day that a correction gives the third completion: between the first and the second."""

Links = tuple[str | None, str | None]
"""What a certificate renews and what renews it, by the names of the completions."""
Action = tuple[str, Any]
"""An event that arrives, a person's correction or revocation of a completion, or work, with a crash or not."""


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Action], frozenset[str]]:
    """Some completions in any order, with corrections, revocations, work and crashes in between."""
    chosen = draw(st.sets(st.sampled_from(sorted(ALL)), min_size=2))
    taken_back = draw(st.sets(st.sampled_from(sorted(chosen)), max_size=2))
    by_source = draw(st.sets(st.sampled_from(sorted(chosen)), max_size=1)) - taken_back
    actions: list[Action] = [("tell", one) for name in sorted(chosen) for one in ALL[name].events()]
    actions += [("tell", _taken_back(ALL[name])) for name in sorted(by_source)]
    actions += [("correct", name) for name in sorted(draw(st.sets(st.sampled_from(sorted(chosen)), max_size=2)))]
    actions += [("revoke", name) for name in sorted(taken_back)]
    actions += [("work", draw(st.one_of(st.none(), st.integers(0, 6)))) for _ in range(draw(st.integers(0, 6)))]
    return draw(st.permutations(actions)), frozenset(taken_back | by_source)


def _taken_back(one: Done) -> SourceEvent:
    last = one.events()[-1]
    return last.model_copy(update={"event_id": f"back-{one.name}", "event_type": TAKEN_BACK, "occurred_at": None})


def played(store: Store, actions: list[Action], gone: frozenset[str]) -> tuple[OrderDesk, dict[int, str]]:
    """Lets it happen; what a person wants of a certificate that is not there yet waits until it is."""
    desk = OrderDesk(store, f"desk-{next(_numbers)}", again="renew")
    told: dict[int, str] = {}
    later: list[Action] = []
    for kind, what in actions:
        if kind == "tell":
            number = desk.tell(what)
            if what.event_type == COMPLETED:
                told[number] = what.data["completion"]
        elif kind == "work":
            desk.crash_in = what
            desk.step()
        else:
            later.append((kind, what))
        later = [one for one in later if not _by_a_person(desk, *one)]
    desk.crash_in = None
    for _ in range(20):
        desk.work()
        later = [one for one in later if not _by_a_person(desk, *one)]
        held = desk.held()
        if not held and not later:
            break
        for row in held:
            _decide(desk, row, gone)
    desk.work()
    return desk, told


def _by_a_person(desk: OrderDesk, kind: str, name: str) -> bool:
    """Corrects or revokes a certificate; False when there is none (yet)."""
    hit = desk.of(name)
    if hit is None:
        return False
    if hit.certificate.state == "issued" and kind == "correct":
        words = {"completed_on": MOVED.isoformat()} if name == THIRD.name else {"fields.hours": "8"}
        desk.amending.correct(hit.certificate.id, words, reason="typing error", actor="test", mail=False)
    elif hit.certificate.state == "issued":
        desk.amending.revoke(hit.certificate.id, reason="by mistake", actor="test", mail=False)
    return True


def _decide(desk: OrderDesk, row: Any, gone: frozenset[str]) -> None:
    """A person answers what was held: further people get their own, and what the source took back stays away."""
    name = row.event.data["completion"]
    hit = desk.of(name)
    if row.code == "which_learner" and hit is None:
        desk.store.transact(lambda tx: inbox.replay(tx, row.id, actor="test"))
    elif row.code in ("which_completion", "which_learner") or (row.code == "taken_back" and name in gone):
        if hit is not None and hit.certificate.state == "issued":
            desk.amending.revoke(hit.certificate.id, reason="the source", actor="test", mail=False)
        desk.store.transact(lambda tx: inbox.cancel(tx, row.id, actor="test", reason="the source took it back"))
    else:
        assert row.code in ("another_name", "completed_after_revocation", "taken_back"), row
        desk.release(row.id)


def day_of(one: Done, corrected: frozenset[str]) -> date:
    """The day that stands on the certificate in the end."""
    return MOVED if one is THIRD and one.name in corrected else one.at.date()


def expected(
    told: set[str], gone: frozenset[str], corrected: frozenset[str]
) -> dict[str, tuple[str | None, str | None]]:
    """What each valid certificate renews and what renews it, by the time of the completions alone."""
    links: dict[str, Links] = {}
    chains: dict[tuple[str, str, str], list[Done]] = {}
    for name in told - gone:
        one = ALL[name]
        who = " ".join(sorted(one.person.lower().replace(",", "").split()))
        chains.setdefault((one.learner, one.course, who), []).append(one)
    for found in chains.values():
        names = [one.name for one in sorted(found, key=lambda one: day_of(one, corrected))]
        for before, name, after in zip([None, *names], names, [*names[1:], None], strict=False):
            links[name] = (before, after)
    return links


def assert_as_expected(desk: OrderDesk, told: dict[int, str], gone: frozenset[str], corrected: frozenset[str]) -> None:
    wanted = expected(set(told.values()), gone, corrected)
    valid = {hit.version.data.fields["completion"]: hit for hit in desk.hits() if hit.certificate.state == "issued"}
    assert sorted(valid) == sorted(wanted), "one valid certificate for each completion that was not taken back"
    assert len(desk.hits()) == len({hit.version.data.fields["completion"] for hit in desk.hits()})
    names = {hit.certificate.id: name for name, hit in valid.items()}
    for name, hit in valid.items():
        links = desk.store.read(lambda tx, hit=hit: chain.links(tx, hit))
        assert (names.get(links.renews or ""), names.get(links.renewed_by or "")) == wanted[name]
    assert_fields(desk, wanted, corrected)
    for number, name in told.items():
        if name in wanted:
            assert desk.answer(number) == name
    assert_nobody_is_congratulated_on_an_expired_one(desk, valid)


def assert_fields(desk: OrderDesk, wanted: dict[str, Any], corrected: frozenset[str]) -> None:
    """Each field of Maria holds the newest valid number: the one of all courses, and the one of each course."""
    numbers = desk.numbers()
    mine = [one for one in ALL.values() if one.learner == MARIA]
    places = {MARIA: mine}
    places |= {f"{MARIA}:{course}": [one for one in mine if one.course == course] for course in ("fire", "aid")}
    for place, completions in places.items():
        valid = [one for one in completions if one.name in wanted]
        # Of several that are valid today an expired one comes last.
        newest = max(valid, key=lambda one: (one is not FIRST, day_of(one, corrected)), default=None)
        assert desk.connector.fields.get(place, "") == (numbers[newest.name] if newest else ""), place


def assert_nobody_is_congratulated_on_an_expired_one(desk: OrderDesk, valid: dict[str, Any]) -> None:
    for name, hit in valid.items():
        rows = desk.store.read(lambda tx, hit=hit: outbox.search(tx, certificate_id=hit.certificate.id, kind="mail"))
        issued = [row for row in rows if row.target["occasion"] == "issued"]
        assert [row.code == "already_expired" for row in issued] == [ALL[name] is FIRST]


@settings(max_examples=ORDERS, deadline=None, suppress_health_check=list(HealthCheck))
@given(story=stories())
def test_any_order_of_arrival_ends_in_the_same_certificates_links_fields_and_answers(
    store: Store, story: tuple[list[Action], frozenset[str]]
) -> None:
    actions, gone = story
    desk, told = played(store, list(actions), gone)
    corrected = frozenset(str(what) for kind, what in actions if kind == "correct")
    assert_as_expected(desk, told, gone, corrected)
