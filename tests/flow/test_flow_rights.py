"""Each source that is written to works with exactly the rights that its guide names, and says so where one is missing.

The rights are read from the table in the guide, so that neither it nor these tests can drift away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flow.rig import Rig
from flow.rig_declared import NOVEMBER, poll, with_source
from flow.rig_vendors_b import kajabi, number, teachable, thinkific
from vendors.kajabi_account import Contact
from vendors.plain_api import PlainApi

from bridge.core.errors import BridgeError
from bridge.core.models import State

GUIDES = Path(__file__).parents[2] / "docs" / "connect"
CORRECTED = ("--set", "recipient.name=Ana Braga", "--reason", "a new name")


def rights(guide: str) -> list[str]:
    """Returns the first word in code of each row under *Rights* in a guide."""
    _, _, below = (GUIDES / f"{guide}.md").read_text(encoding="utf-8").partition("| right | what for | without it |\n")
    rows = below.partition("\n\n")[0].splitlines()[1:]
    found = [re.findall(r"`([^`]+)`", row)[0] for row in rows]
    assert found
    return found


@dataclass
class School:
    """A source in a running bridge, and the learner who completes a course there."""

    rig: Rig
    grant: Callable[[set[str]], None]
    """Gives the credentials these rights, and no others."""
    complete: Callable[[], Any]
    """Lets the learner complete the course, and the bridge hear of it."""
    held: Callable[[], str]
    """What stands in the place for the number; empty for nothing."""
    told: Callable[[], str]
    """What `sources test` says."""
    mark: str = ""
    """What stands before the number there."""

    def run(self, *words: str) -> None:
        self.rig.certbridge(*words)
        self.rig.wait_settled()

    def last(self) -> Any:
        """Returns the latest delivery into the place."""
        places = ("src", "field", "profile_field", "certificate_number")
        return [row for row in self.rig.deliveries("write_back") if row.step in places][-1]


def findings(rig: Rig, name: str) -> str:
    connector, api = rig.bridge.sources[name].connector, rig.bridge.polling.apis(name)
    return "\n".join(f"{one.level}: {one.message}" for one in connector.diagnose(api))


@contextmanager
def a_teachable(rig: Rig, patch: pytest.MonkeyPatch) -> Iterator[School]:
    with teachable(rig, patch) as place, place.running():
        school = place.vendor.school
        school.add_webhook(place.address)
        right_key = place.vendor.api_key

        def grant(given: set[str]) -> None:
            place.vendor.api_key = right_key if "api_key" in given else "another"
            place.vendor.shows_src = "src" in given

        def complete() -> None:
            place.deliver(school.complete(15747624, 302951, place.clock.ago(minutes=1)))

        yield School(
            rig,
            grant,
            complete,
            lambda: school.users[15747624].src or "",
            lambda: findings(rig, "teachable"),
            mark="cert:",
        )


@contextmanager
def a_thinkific(rig: Rig, patch: pytest.MonkeyPatch) -> Iterator[School]:
    with thinkific(rig, patch) as place, place.running():
        place.vendor.webhooks.add("enrollment.completed", place.address)
        known = place.vendor.school.definitions
        label = next(one.id for one in known.values() if one.label == "Certificate ID")

        def grant(given: set[str]) -> None:
            place.vendor.rights = given
            place.vendor.shows_fields = "custom_profile_fields" in given

        def complete() -> None:
            place.deliver(place.vendor.complete(97473, place.clock.ago(minutes=1)))

        yield School(
            rig,
            grant,
            complete,
            lambda: place.vendor.school.users[123457].fields.get(label, ""),
            lambda: findings(rig, "thinkific"),
        )


@contextmanager
def a_kajabi(rig: Rig, patch: pytest.MonkeyPatch) -> Iterator[School]:
    with kajabi(rig, patch) as place, place.running():
        account = place.vendor.account
        account.add(Contact("459", "Ana Lima", "ana@example.invalid"))
        account.add_hook(place.address, resource_id=123)

        def grant(given: set[str]) -> None:
            place.vendor.rights = given
            place.vendor.shows_custom_fields = "custom_1" in given

        yield School(
            rig,
            grant,
            lambda: place.deliver(account.add_tag("459", "123")),
            lambda: account.contacts["459"].custom.get("custom_1") or "",
            lambda: findings(rig, "kajabi"),
        )


@contextmanager
def a_talentlms(rig: Rig, patch: pytest.MonkeyPatch) -> Iterator[School]:
    with PlainApi() as plain:
        with_source(rig, "talentlms", url=plain.url, api_key=plain.api_key, certificate_field="Certificate ID")
        right_key, progress = plain.api_key, plain.progress

        def grant(given: set[str]) -> None:
            plain.api_key = right_key if "api_key" in given else "another"
            plain.shows_custom_fields = "custom_fields" in given
            shown = {"completion_status", "completed_on"} if "completion_status" in given else {"completed_on"}
            for row in progress.values():
                row.pop("completion_status", None)
                row |= {"completion_status": "completed"} if "completion_status" in shown else {}

        def complete() -> None:
            plain.complete(1, 68, NOVEMBER)
            grant(granted)
            poll(rig, "talentlms")

        granted: set[str] = set()

        def remember(given: set[str]) -> None:
            granted.clear()
            granted.update(given)
            grant(given)

        with rig.running():
            yield School(
                rig,
                remember,
                complete,
                lambda: plain.users[1]["custom_fields"][0]["value"] or "",
                lambda: findings(rig, "talentlms"),
            )


SCHOOLS: dict[str, Callable[[Rig, pytest.MonkeyPatch], AbstractContextManager[School]]] = {
    "teachable": a_teachable,
    "thinkific": a_thinkific,
    "kajabi": a_kajabi,
    "talentlms": a_talentlms,
}
# Where a right is missing: the code of the delivery into the place, or None where the certificate cannot even come.
MISSING: dict[str, dict[str, tuple[State, str] | None]] = {
    "teachable": {"api_key": None, "src": (State.HELD, "not_shown")},
    "thinkific": {
        "users: read": (State.FAILED, "http_403"),
        "users: write": (State.FAILED, "http_403"),
        "custom_profile_field_definitions: read": (State.FAILED, "http_403"),
        "custom_profile_fields": (State.HELD, "not_shown"),
    },
    "kajabi": {
        "contacts: view": None,
        "contacts: edit": (State.FAILED, "http_403"),
        "custom_1": (State.HELD, "not_shown"),
    },
    "talentlms": {"api_key": None, "completion_status": None, "custom_fields": (State.HELD, "not_shown")},
}
# Not needed to write back; what is without them has tests of its own.
ELSEWHERE = {"thinkific": {"enrollments: read", "webhooks: write", "webhooks: read"}, "kajabi": {"webhooks"}}


@pytest.mark.parametrize("name", list(SCHOOLS))
def test_with_exactly_the_rights_of_the_guide_a_number_is_written_kept_and_taken_out(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    named = set(rights(name))
    assert named == set(MISSING[name]) | ELSEWHERE.get(name, set())
    with SCHOOLS[name](rig, monkeypatch) as school:
        school.grant(named)
        school.complete()
        written = f"{school.mark}{number(rig)}"
        assert (school.held(), school.last().receipt["confirmed"]) == (written, True)
        school.run("certificates", "correct", number(rig), *CORRECTED)
        assert (school.held(), school.last().receipt["confirmed"]) == (written, True)
        school.run("certificates", "revoke", number(rig), "--yes", "--reason", "a mistake")
        assert (school.held(), school.last().state, school.last().receipt["confirmed"]) == ("", State.DONE, True)
        assert "error:" not in "\n".join(line for line in school.told().splitlines() if "ebhook" not in line)


@pytest.mark.parametrize(("name", "right"), [(name, right) for name, known in MISSING.items() for right in known])
def test_without_one_of_them_nothing_is_written_nothing_is_called_right_and_doctor_says_so(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, name: str, right: str
) -> None:
    with SCHOOLS[name](rig, monkeypatch) as school:
        school.grant(set(rights(name)) - {right})
        expected = MISSING[name][right]
        if expected is None:
            with suppress(BridgeError):  # a poll fails, a webhook is taken and asked about
                school.complete()
            assert rig.certificates() == []
        else:
            school.complete()
            row = school.last()
            assert (row.state, row.code, school.held()) == (*expected, "")
            assert (row.receipt or {}).get("confirmed") is not True
        if right not in ("users: write", "contacts: edit"):  # tried by writing alone
            assert "error:" in school.told()


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("teachable", "src"),
        ("thinkific", "custom_profile_fields"),
        ("kajabi", "custom_1"),
        ("talentlms", "custom_fields"),
    ],
)
def test_a_revocation_says_nothing_of_a_number_that_it_does_not_see(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, name: str, right: str
) -> None:
    named = set(rights(name))
    with SCHOOLS[name](rig, monkeypatch) as school:
        school.grant(named)
        school.complete()
        school.grant(named - {right})
        school.run("certificates", "revoke", number(rig), "--yes", "--reason", "a mistake")
        assert (school.last().state, school.last().code) == (State.HELD, "not_shown")
        assert school.held() == f"{school.mark}{number(rig)}"
        school.grant(named)
        school.run("outbox", "replay", "--held", "--yes")
        assert (school.last().state, school.held()) == (State.DONE, "")
