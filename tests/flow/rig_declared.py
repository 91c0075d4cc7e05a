"""Declared sources in a whole bridge: the plain APIs beside it, a vendor with signing keys, and an admin's own kind."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import requests
from click.testing import CliRunner
from flow.rig import Answer, Rig, sample
from joserfc import jws
from joserfc.jwk import RSAKey
from requests.adapters import HTTPAdapter
from vendors.plain_api import PlainApi

from bridge.cli.commands import certbridge
from bridge.core import certificate_id
from bridge.core.models import State
from bridge.demo.vendors.stand_in import Answer as VendorAnswer
from bridge.demo.vendors.stand_in import Call
from bridge.flow.poll import Polled

TOKEN = "a-token-for-the-declared-sources"
LEARNER = "Dana Okafor"


def with_source(rig: Rig, connector: str, *, mapping: str = "other_courses: issue\n", **settings: Any) -> None:
    """Configures a live source named like its kind, over the shipped mapping."""
    block = {"connector": connector, "mode": "live", "since": "2026-01-01", "allow_private": True, "poll_every": "off"}
    rig.set(f"sources.{connector}", {**block, "mapping": f"{connector}-courses.yaml", **settings})
    rig.mapping(connector, f"extends: {connector}\n{mapping}")


def declare(rig: Rig, name: str, text: str) -> None:
    """Writes a declaration into the admin's folder of mappings."""
    path = rig.folder / "mappings" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def post(rig: Rig, connector: str, case: str, **more: Any) -> Answer:
    """Posts a sample of a declared kind to its source and waits until nothing is left to do."""
    body, headers = sample(f"{case}.SYNTHETIC", connector)
    return settled(rig, rig.post(connector, body, {**headers, **more.pop("headers", {})}, **more))


def settled(rig: Rig, answer: Answer) -> Answer:
    """Waits until nothing is left to do, and returns the answer."""
    rig.wait_settled()
    return answer


def poll(rig: Rig, source: str) -> Polled:
    """Polls a source, and waits until nothing is left to do."""
    found: Polled | None = rig.bridge.polling.poll(rig.bridge.sources[source])
    assert found is not None
    rig.wait_settled()
    return found


def states(rig: Rig) -> list[State]:
    """The states of all events, oldest first."""
    return [row.state for row in rig.events()]


def refusal(rig: Rig, *words: str) -> str:
    """Runs the command, which has to refuse; returns what it says, every white space as one."""
    arguments = ["-c", str(rig.folder / "config.yaml"), *words]
    result = CliRunner().invoke(certbridge, arguments, env={"COLUMNS": "500", "TERM": "dumb", "NO_COLOR": "1"})
    assert result.exit_code != 0, result.output
    return " ".join(result.output.split())


def issued(rig: Rig) -> str:
    """Makes sure that the only certificate is Dana's, and valid; returns its number."""
    hit = rig.certificate()
    assert (hit.certificate.state, hit.version.data.recipient.name) == ("issued", LEARNER), rig.story()
    return certificate_id.grouped(hit.certificate.id)


# -- a vendor that signs with its own keys ---------------------------------------------------------


@cache
def key(kid: str) -> RSAKey:
    """Returns a key that signs, the same for the same name."""
    return RSAKey.import_key({**RSAKey.generate_key(2048).as_dict(private=True), "kid": kid})


def token(body: bytes, kid: str, signer: str = "") -> bytes:
    """Returns the body as a signed token; `signer` is the key that signs where the header names another."""
    head = {"alg": "RS256", "kid": kid}
    return jws.serialize_compact(head, body, key(signer or kid), algorithms=["RS256"]).encode()


def publish(plain: PlainApi, *kids: str) -> None:
    """Publishes a list of keys at /jwks; what was there before is gone."""
    listed = {"keys": [key(kid).as_dict(private=False) for kid in kids]}
    with plain.lock:
        plain._extra = [route for route in plain._extra if route[1] != "/jwks"]
        plain.on("GET", "/jwks", listed)


def look_for_keys(rig: Rig, source: str) -> None:
    """Lets the schedule look after a minute whether keys are missing."""
    schedule = rig.bridge.schedule
    schedule._refreshed.clear()
    schedule.refresh_if_due(rig.bridge.sources[source])


# -- a vendor whose host cannot be chosen ----------------------------------------------------------


class At(HTTPAdapter):
    """Carries requests for a vendor's own host to a stand-in; everything before this last step is as always."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        request.url = self.url + request.path_url
        return super().send(request, *args, **options)


def carry(rig: Rig, source: str, host: str, plain: PlainApi) -> None:
    """Makes one host lead to the stand-in for one source of a running bridge."""
    rig.bridge.clients[source]._session.mount(f"https://{host}", At(plain.url))


# -- an admin's own kind of source -----------------------------------------------------------------

NORTHWIND = """\
source:
  title: Northwind LMS
  docs_url: https://northwind.example/developers/webhooks
  settings:
    site: {description: The address of the site., url: true}
    api_key: {description: The key of its API., secret: true}
  webhook:
    proof:
      - hmac:
          header: X-Northwind-Signature
          prefix: "sha256="
          signs: "{{ timestamp }}.{{ body }}"
          timestamp: {header: X-Northwind-Timestamp, tolerance: 5 minutes}
    type: "{{ item.event }}"
    data: {attempt: "{{ item.payload.attempt_id }}", finished_at: "{{ item.payload.finished_at }}"}
  not_wanted: {course.started: Nothing is completed yet.}
  event:
    id: "{{ type }}:{{ data.attempt }}"
    subject: "{{ data.fetched.user.id }}"
    course: "{{ data.fetched.course.id }}"
    keys: ["attempt:{{ data.attempt }}"]
    occurred_at: "{{ data.finished_at }}"
  api:
    base_url: "{{ settings.site }}/northwind"
    headers: {X-Api-Key: "{{ settings.api_key }}"}
  fetch:
    request: {url: "/attempts/{{ data.attempt }}"}
    expect: answer.state == 'passed'
    because: Northwind does not show the course as passed (yet).
  poll:
    every: 1 hour
    request: {url: /attempts, query: {changed_since: "{{ since | to_iso }}"}}
    items: answer.attempts
    expect: item.state is defined
    only: item.state == 'passed'
    type: course.finished
    data: {attempt: "{{ item.id }}", finished_at: "{{ item.finished_at }}"}
  write_back:
    - name: record
      title: "record about {{ certificate.name }}"
      target: {user: "{{ event.subject }}"}
      lock: "user:{{ target.user }}"
      look_up:
        url: "/users/{{ target.user }}/records"
        already: (answer.records | find('number', certificate.number)) is defined
      write:
        method: POST
        url: "/users/{{ target.user }}/records"
        json: {number: "{{ certificate.number }}", address: "{{ certificate.url }}"}
events:
  course.finished:
    completion:
      name: "{{ data.fetched.user.name }}"
      email: "{{ data.fetched.user.email }}"
      course: {id: "{{ data.fetched.course.id }}", title: "{{ data.fetched.course.title }}"}
      completed_at: "{{ data.fetched.finished_at }}"
"""


class Northwind:
    """What the admin's own vendor knows, on the plain API: attempts, and records of learners."""

    secret = "northwind-signing-secret"
    api_key = "northwind-api-key"

    def __init__(self, plain: PlainApi) -> None:
        self.plain = plain
        self.attempts: dict[str, dict[str, Any]] = {}
        self.records: list[dict[str, Any]] = []
        plain.on("GET", "/northwind/attempts/([a-z0-9-]+)", self._attempt)
        plain.on("GET", "/northwind/attempts", self._listed)
        plain.on("GET", "/northwind/users/([0-9]+)/records", self._recorded)
        plain.on("POST", "/northwind/users/([0-9]+)/records", self._record)

    def set_up(self, rig: Rig) -> None:
        """Declares the kind in the admin's folder, and configures a source of it."""
        declare(rig, "northwind", NORTHWIND)
        settings = {"signing_secret": self.secret, "api_key": self.api_key, "site": self.plain.url}
        with_source(rig, "northwind", **settings)

    def passed(self, attempt: str, state: str = "passed", user: int = 7) -> dict[str, Any]:
        """Lets a learner finish an attempt; returns the webhook's body."""
        with self.plain.lock:
            self.attempts[attempt] = {
                "id": attempt,
                "state": state,
                "user": {"id": user, "name": LEARNER, "email": "dana@example.invalid"},
                "course": {"id": 68, "title": "Safety Basics"},
                "finished_at": "2026-11-20T09:00:00Z",
            }
        payload = {"attempt_id": attempt, "finished_at": "2026-11-20T09:00:00Z"}
        return {"event": "course.finished", "payload": payload}

    def signed(
        self, body: dict[str, Any], *, at: float | None = None, secret: str = ""
    ) -> tuple[bytes, dict[str, str]]:
        """Returns body and headers as the vendor sends them."""
        raw, moment = json.dumps(body).encode(), str(int(time.time() if at is None else at))
        digest = hmac.digest((secret or self.secret).encode(), moment.encode() + b"." + raw, hashlib.sha256).hex()
        return raw, {"X-Northwind-Timestamp": moment, "X-Northwind-Signature": f"sha256={digest}"}

    def send(self, rig: Rig, body: dict[str, Any], **how: Any) -> Answer:
        """Signs a webhook and posts it."""
        raw, headers = self.signed(body, **how)
        return settled(rig, rig.post("northwind", raw, headers))

    def numbers(self) -> Sequence[str]:
        """The numbers in all records."""
        return [record["number"] for record in self.records]

    def _attempt(self, call: Call, number: str) -> VendorAnswer:
        self._admit(call)
        found = self.attempts.get(number)
        return self.plain.json(200, found) if found else self.plain.problem(404, "no such attempt")

    def _listed(self, call: Call) -> VendorAnswer:
        self._admit(call)
        self.plain.moment("changed_since", self.plain.query(call, {"changed_since"})["changed_since"])
        shown = ("id", "state", "finished_at")
        return self.plain.json(200, {"attempts": [{key: one[key] for key in shown} for one in self.attempts.values()]})

    def _recorded(self, call: Call, user: str) -> VendorAnswer:
        self._admit(call)
        return self.plain.json(200, {"records": [record for record in self.records if record["user"] == user]})

    def _record(self, call: Call, user: str) -> VendorAnswer:
        self._admit(call)
        self.records.append({"user": user, **self.plain.entries(call)})
        return self.plain.json(201, {"id": len(self.records)})

    def _admit(self, call: Call) -> None:
        if call.headers.get("x-api-key") != self.api_key:
            self.plain.refuse("wrong or missing X-Api-Key", 401)


NOVEMBER = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
