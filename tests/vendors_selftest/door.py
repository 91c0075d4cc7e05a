"""The door of a bridge, for those who knock: it remembers what came and answers what it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bridge.demo.vendors.stand_in import Answer, Call, StandIn


@dataclass
class Door:
    """Answers `answers` one after the other, the last one for ever; None hangs up instead."""

    base: str
    answers: list[Answer | None] = field(default_factory=lambda: [Answer(200)])
    seen: list[Call] = field(default_factory=list)


class _House(StandIn):
    title = "bridge"

    def answer(self, call: Call) -> Answer:
        return Answer(200)


@contextmanager
def opened() -> Iterator[Door]:
    """Opens a door on a free port of this machine."""
    with _House() as house:
        door = Door(house.url)

        def knock(call: Call, respond: object, wire: object) -> Answer | None:
            door.seen.append(call)
            return door.answers.pop(0) if len(door.answers) > 1 else door.answers[0]

        house.interceptor = knock
        yield door
