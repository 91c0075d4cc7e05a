"""What every connector must do, written once: a connector's test inherits `ConnectorContract` and names its settings.

Samples are folders `tests/samples/<connector>/<case>/` with `headers.json` (names and values as sent), `body` (exact
bytes) and `expected.json` (`events` as parsed, `outcomes` as the shipped mapping decides, and whatever the connector's
own test needs to enrich them). A new folder is a new test. SYNTHETIC in its name says that nobody captured it.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr
from wide_bodies import SHAPES, Make, steps, swollen

from bridge.config import discover_connectors, installed_mapping
from bridge.config.machine import Limits
from bridge.core.connector import ApiClient, Connector
from bridge.core.errors import PayloadError, SignatureError
from bridge.core.mapping import Defaults, compile_mapping, gather
from bridge.core.models import InboundRequest, Received, SourceEvent
from bridge.flow.arrival import digest

SAMPLES = Path(__file__).parent / "samples"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DEFAULTS = Defaults(zone="Europe/Berlin", locale="en")

HOSTILE_BODIES = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "text": b'"text"',
    "number": b"12",
    "no fields": b"{}",
    "not UTF-8": b'{"a": "\xff"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "cut off": b'{"a": {"b":',
    "deep": b"[" * 50_000,
    "deep object": b'{"a":' * 50_000,
    "not a number": b'{"id": NaN}',
    "too large a number": b'{"id": 1e999}',
    "digits": b'{"id": ' + b"9" * 5_000 + b"}",
    "field twice": b'{"id": 1, "id": 2}',
    "surrogate": b'{"id": "\\ud800"}',
    "NUL": b'{"id": "a\\u0000b"}',
}
ODD_VALUES: tuple[object, ...] = (
    None,
    "",
    "x",
    -1,
    0,
    1.5,
    True,
    10**40,
    [],
    {},
    [[]],
    {"id": {}},
    "9" * 5_000,
    "../..",
)

LIMITS = Limits()
SMALL = 10_000
"""Bytes of a body whose steps are counted; beside one of twice as many."""
PER_BYTE, PER_EVENT = 25, 4_000
"""Steps at the most."""


@dataclass(frozen=True)
class Case:
    """One sample."""

    folder: Path
    headers: dict[str, str]
    body: bytes
    expected: dict[str, Any]

    def request(self, **changes: Any) -> InboundRequest:
        """Returns the sample as the receiver would hand it on."""
        return replace(inbound(self.body, self.headers, self.expected.get("path_token")), **changes)


def inbound(body: bytes, headers: Mapping[str, str], path_token: str | None = None, **changes: Any) -> InboundRequest:
    """Returns a request as the receiver would hand it on."""
    lowered = {name.lower(): value for name, value in headers.items()}
    url = "https://certificates.example/hooks/school" + (f"/{path_token}" if path_token else "")
    return replace(InboundRequest("POST", url, lowered, body, NOW, path_token), **changes)


def cases(connector: str, samples: Path = SAMPLES) -> list[Case]:
    """Returns the samples of a connector."""
    folders = sorted(path.parent for path in (samples / connector).glob("*/body"))
    return [
        Case(
            folder,
            json.loads((folder / "headers.json").read_text()),
            (folder / "body").read_bytes(),
            json.loads((folder / "expected.json").read_text()),
        )
        for folder in folders
    ]


@functools.cache
def load(name: str) -> type[Connector[Any]]:
    """Returns a connector: a module of ours, what a mapping file declares, or what another package announces."""
    return discover_connectors()[name]


@functools.cache
def compiled(text: str) -> Any:
    """Returns a mapping; its file is compiled once for all tests that only read it."""
    return compile_mapping(gather("school.yaml", text, installed_mapping))


class NoApi:
    """An API that nobody may ask."""

    def request(self, method: str, path: str, **_: object) -> Any:
        pytest.fail(f"nothing to answer {method} {path} with: override `api` in the connector's test")


class ConnectorContract:
    """Inherit, and set what is declared first."""

    # What you declare.
    connector: ClassVar[str]
    """Module name, or that of the mapping file that declares it."""
    settings: ClassVar[dict[str, Any]]
    """Settings under which the samples, as stored, are authentic."""
    rotated: ClassVar[dict[str, Any]]
    """Settings that differ: a new secret, the samples' secret as the previous one."""
    signs_body: ClassVar[bool] = True
    """False where the vendor only sends a shared token."""
    admin: ClassVar[str] = "other_courses: issue\n"
    """The admin's mapping, without its `extends:`."""
    samples: ClassVar[str] = ""
    """Folder of the samples below tests/samples where it is not named like the connector (`moodle/xapi`)."""
    stranger: ClassVar[dict[str, Any]] = {}
    """Other secrets, where `quite another ...` would be no secret at all (`whsec_...`)."""

    # What you may write.
    def without_proof(self, case: Case) -> Iterator[InboundRequest]:
        """Yields the sample without what makes it authentic; the default drops each header and the path token."""
        signed = {name.lower() for name in self.build().sign(case.body, {}, NOW).headers}
        for name in case.headers:
            if name.lower() in signed:
                headers = {key: value for key, value in case.headers.items() if key != name}
                yield inbound(case.body, headers, case.expected.get("path_token"))
        if case.expected.get("path_token"):
            yield case.request(path_token=None)

    def api(self, case: Case) -> ApiClient:
        """Returns what answers when the sample's events are enriched."""
        return NoApi()

    def variants(self, case: Case) -> Iterator[bytes]:
        """Yields the sample's body with each of its parts in turn left out or odd; override it for other than JSON."""
        for value in odd_variants(json.loads(case.body)):
            yield json.dumps(value).encode()

    # What you need not touch.
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "case" in metafunc.fixturenames:
            found = self._cases()
            metafunc.parametrize("case", found, ids=[case.folder.name for case in found])
        if "hostile" in metafunc.fixturenames:
            metafunc.parametrize("hostile", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES.keys())
        if "shape" in metafunc.fixturenames:
            metafunc.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())

    def _cases(self) -> list[Case]:
        # Beside the folder of the test, wherever that is: a connector from elsewhere brings its own.
        samples = Path(inspect.getfile(type(self))).parents[1] / "samples"
        found = cases(self.samples or self.connector, samples)
        assert found, f"no samples in {samples / (self.samples or self.connector)}"
        return found

    def build(self, **changes: Any) -> Connector[Any]:
        found = load(self.connector)
        return found(found.Settings.model_validate({**self.settings, **changes}))

    def mapping(self) -> Any:
        return compiled(f"extends: {self.connector}\n{self.admin}")

    def enriched(self, case: Case) -> list[SourceEvent]:
        connector = self.build()
        events = connector.parse(case.request())
        return [event if event.skip else connector.enrich(event, self.api(case)) for event in events]

    def outcomes(self, case: Case) -> list[dict[str, Any]]:
        found = [self.mapping().apply(event, defaults=DEFAULTS).outcome for event in self.enriched(case)]
        return [{"kind": outcome.kind, **outcome.model_dump(mode="json", exclude_defaults=True)} for outcome in found]

    def secrets(self) -> list[str]:
        settings = self.build().settings
        values = [getattr(settings, name) for name in type(settings).model_fields]
        return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]

    # -- what is declared ------------------------------------------------------------------------------

    def test_is_named_like_its_module_and_its_mapping(self) -> None:
        found = load(self.connector)
        assert found.name == self.connector
        assert installed_mapping(self.connector)
        assert found.title
        assert found.docs_url.startswith("https://")

    def test_every_setting_is_explained_and_frozen(self) -> None:
        fields = load(self.connector).Settings.model_fields
        assert [name for name, field in fields.items() if not field.description] == []
        assert load(self.connector).Settings.model_config.get("frozen")

    def test_settings_do_not_show_their_secrets(self) -> None:
        shown = repr(self.build().settings) + str(self.build().settings)
        assert self.secrets()
        assert [secret for secret in self.secrets() if secret in shown] == []

    # -- who sent it -----------------------------------------------------------------------------------

    def test_accepts_the_sample(self, case: Case) -> None:
        self.build().verify(case.request())

    def test_accepts_the_sample_while_the_secret_is_changed(self, case: Case) -> None:
        self.build(**self.rotated).verify(case.request())

    def test_refuses_the_sample_without_its_proof(self, case: Case) -> None:
        stripped = list(self.without_proof(case))
        assert stripped
        for request in stripped:
            with pytest.raises(SignatureError):
                self.build().verify(request)

    def test_refuses_the_sample_of_another_secret_without_telling_ours(self, case: Case) -> None:
        settings = self.build().settings
        names = [name for name in type(settings).model_fields if isinstance(getattr(settings, name), SecretStr)]
        stranger = self.build(**{name: f"quite another {name}" for name in names} | self.stranger)
        with pytest.raises(SignatureError) as caught:
            stranger.verify(case.request())
        text = f"{caught.value}{caught.value!r}"
        assert "quite another" not in text
        assert [secret for secret in self.secrets() if secret in text] == []

    def test_refuses_a_changed_body(self, case: Case) -> None:
        if not self.signs_body:
            assert [name for name in load(self.connector).Settings.model_fields if name.endswith(("token", "password"))]
            return
        for position in range(0, len(case.body), max(1, len(case.body) // 25)):
            body = bytearray(case.body)
            body[position] ^= 1
            with pytest.raises(SignatureError):
                self.build().verify(case.request(body=bytes(body)))

    def test_signs_what_it_accepts(self, case: Case) -> None:
        connector = self.build(**self.rotated)
        signed = connector.sign(case.body, case.headers, NOW)
        connector.verify(inbound(signed.body, signed.headers, signed.path_token))

    def test_signing_again_with_the_same_secret_leaves_the_body_alone(self, case: Case) -> None:
        assert self.build().sign(case.body, case.headers, NOW).body == case.body

    # -- what it says ----------------------------------------------------------------------------------

    def test_reads_the_sample_as_expected(self, case: Case) -> None:
        events = self.build().parse(case.request())
        shown = [event.model_dump(mode="json", exclude_defaults=True) for event in events]
        assert shown == case.expected["events"]

    def test_declares_the_event_types_of_its_samples(self, case: Case) -> None:
        undeclared = {event.event_type for event in self.build().parse(case.request())} - self.build().event_types
        assert not undeclared, f"add to event_types: {sorted(undeclared)}"

    def test_a_redelivery_has_the_same_event_id(self, case: Case) -> None:
        later = case.request(received_at=NOW.replace(year=2027))
        ids = [[event.event_id for event in self.build().parse(request)] for request in (case.request(), later)]
        assert ids[0] == ids[1]

    def test_the_shipped_mapping_decides_as_expected(self, case: Case) -> None:
        assert self.outcomes(case) == case.expected["outcomes"]

    # -- what it may be sent ---------------------------------------------------------------------------

    def test_a_hostile_body_is_refused_or_read_and_nothing_else(self, hostile: bytes) -> None:
        connector = self.build()
        signed = connector.sign(hostile, {}, NOW)
        with pytest.raises((SignatureError, PayloadError)):
            self._take(connector, inbound(signed.body, signed.headers, signed.path_token))

    def test_odd_values_anywhere_neither_crash_nor_leak(self, case: Case) -> None:
        connector, mapping = self.build(), self.mapping()
        for body in self.variants(case):
            signed = connector.sign(body, case.headers, NOW)
            try:
                events = self._take(connector, inbound(signed.body, signed.headers, signed.path_token))
            except (SignatureError, PayloadError) as error:
                told = [secret for secret in self.secrets() if secret in str(error)]
            else:
                told = []
                for event in events:
                    mapping.apply(event, defaults=DEFAULTS)
            assert told == []

    def test_a_wide_long_or_deep_body_costs_steps_in_proportion_to_its_size(self, shape: Make) -> None:
        self._costs_in_proportion("", {}, shape)

    def test_a_sample_that_swells_costs_steps_in_proportion_to_its_size(self) -> None:
        by_length = sorted(self._cases(), key=lambda case: len(case.body))
        for case in {case.folder: case for case in (by_length[len(by_length) // 2], by_length[-1])}.values():
            for what, make in swollen(case.body).items():
                self._costs_in_proportion(f"{case.folder.name}: {what}", case.headers, make)

    def _costs_in_proportion(self, what: str, headers: Mapping[str, str], make: Make) -> None:
        counted = []
        for size in (SMALL, 2 * SMALL):
            body = make(size)
            work = self._work(body, headers)
            found = steps(lambda work=work: counted.append(work()))
            assert found <= PER_BYTE * len(body) + PER_EVENT * (counted[-1] + 2), what
            counted[-1] = found
        assert counted[1] <= 2.5 * counted[0] + PER_EVENT, what
        assert self._work(make(LIMITS.body_bytes), headers)() <= LIMITS.events_per_request + 1, what

    def _work(self, body: bytes, headers: Mapping[str, str]) -> Callable[[], int]:
        """Returns what the receiver does with a body of whoever knows the secret; it gives the number of events."""
        connector, mapping = self.build(), self.mapping()
        signed = connector.sign(body, headers, NOW)
        request = inbound(signed.body, signed.headers, signed.path_token)

        def work() -> int:
            try:
                connector.verify(request)
                events = list(islice(connector.parse(request), LIMITS.events_per_request + 1))
            except (SignatureError, PayloadError) as error:
                return 0 if len(str(error)) < 2_000 else pytest.fail("the message repeats the body")
            for event in events:
                assert digest(event)
            for event in events[:20]:
                mapping.apply(event, defaults=DEFAULTS)
            return len(events)

        return work

    def test_an_event_can_be_stored_and_read_back(self, case: Case) -> None:
        for event in self.enriched(case):
            assert SourceEvent.model_validate_json(event.model_dump_json()) == event
            assert [secret for secret in self.secrets() if secret in event.model_dump_json()] == []

    def test_answers_the_vendor_in_every_case(self) -> None:
        for received in (Received(200, "accepted"), Received(401, "rejected", "why"), Received(503, "unavailable")):
            assert self.build().reply(received).status == received.status

    @staticmethod
    def _take(connector: Connector[Any], request: InboundRequest) -> list[SourceEvent]:
        connector.verify(request)
        return list(connector.parse(request))


def odd_variants(value: Any) -> Iterator[Any]:
    """Yields the value with each of its parts in turn left out or replaced by something odd."""
    for path in list(_paths(value)):
        for odd in ODD_VALUES:
            changed = copy.deepcopy(value)
            _at(changed, path[:-1])[path[-1]] = odd
            yield changed
        changed = copy.deepcopy(value)
        del _at(changed, path[:-1])[path[-1]]
        yield changed


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*path, key)
        yield from _paths(part, (*path, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value
