"""Sets the demo's stage: a configuration as an admin would write it, and two vendors that are stand-ins."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from bridge.app import read_config
from bridge.config import Config
from bridge.demo.vendors.moodle import MoodleStandIn
from bridge.demo.vendors.thinkific import ThinkificStandIn
from bridge.demo.vendors.thinkific_school import Definition, Person, School

MOODLE, THINKIFIC = "moodle", "thinkific"
LEARNER = Person(123456, "Łukasz", "Żółć-Dziewulski", "lukasz@example.invalid", {7: "Warehouse North"})
ENROLMENT = 97472
WEBHOOK_TOKEN = "sample-shared-token"
"""Stands in the captured webhook's body: the field Token of Moodle's webhook plugin."""

CONFIG = """\
# The demo's configuration. Yours comes from `certbridge init DIR`; config.example.yaml lists every setting.
public_url: http://127.0.0.1:{port}
listen: 127.0.0.1:{port}
allow_local_public_url: yes   # for rehearsals: real certificates need a public https address
issuer:
  name: Northwind Academy
  url: https://northwind.example
  email: training@northwind.example
  zone: Europe/Berlin
keys: {{recipient: {key}}}
mail:
  mode: folder                # every mail becomes a file; `smtp` sends them
  from: Northwind Academy <training@northwind.example>
sources:
  moodle:
    connector: moodle
    mode: live
    mapping: moodle-courses.yaml
    since: 2026-01-01
    allow_private: yes        # the stand-in lives on this machine
    url: {moodle_url}
    token: {moodle_token}
    webhook_token: {webhook_token}
  thinkific:
    connector: thinkific
    mode: live
    mapping: thinkific-courses.yaml
    since: 2026-01-01
    allow_private: yes
    api_url: {thinkific_url}
    subdomain: {subdomain}
    api_key: {api_key}
    signing_secret: {signing_secret}
    profile_field: Certificate ID
"""

MOODLE_MAPPING = """\
extends: moodle
every_course:
  valid_for: 2 years
  hold_if: {name: looks incomplete}
courses:
  SAFE101:
    title: {en: Health & Safety Basics, de: Grundlagen Arbeitsschutz}
"""

THINKIFIC_MAPPING = """\
extends: thinkific
other_courses: hold
courses:
  68: Forklift Operator
"""


@dataclass(frozen=True)
class Stage:
    """Everything set up, nothing running but the stand-ins."""

    folder: Path
    config: Config
    moodle: MoodleStandIn
    thinkific: ThinkificStandIn


@contextmanager
def stage(folder: Path, *, port: int) -> Iterator[Stage]:
    """Writes the files and starts the stand-ins; they end with the block."""
    with MoodleStandIn(token=secrets.token_hex(16)) as moodle, ThinkificStandIn(api_key=secrets.token_hex(16)) as other:
        _fill(other.school)
        text = CONFIG.format(
            port=port,
            key=secrets.token_hex(32),
            moodle_url=moodle.url,
            moodle_token=moodle.token,
            webhook_token=WEBHOOK_TOKEN,
            thinkific_url=other.base_url,
            subdomain=other.subdomain,
            api_key=other.api_key,
            signing_secret=secrets.token_hex(16),
        )
        _write(folder / "config.yaml", text)
        _write(folder / "mappings" / "moodle-courses.yaml", MOODLE_MAPPING)
        _write(folder / "mappings" / "thinkific-courses.yaml", THINKIFIC_MAPPING)
        yield Stage(folder, read_config(folder / "config.yaml", {}), moodle, other)


def moodle_webhook() -> bytes:
    """Returns, byte for byte, what a real Moodle 4.5.6 with local_webhooks 3.0.5 sent for a completed course."""
    return (resources.files("bridge.demo") / "webhooks" / "moodle-course_completed.json").read_bytes()


def thinkific_webhook(thinkific: ThinkificStandIn) -> bytes:
    """Returns what Thinkific sends (not signed yet) when the enrolment of the demo's learner reaches 100 %."""
    thinkific.school.complete(ENROLMENT, datetime(2026, 11, 20, 16, 45, 30, tzinfo=UTC))
    event = thinkific.school.completed_event(ENROLMENT, event_id="20261120114530222333445")
    return json.dumps(event, ensure_ascii=False).encode()


def _fill(school: School) -> None:
    # A copy: what one run writes back must not be there when the next one of this process begins.
    school.users[LEARNER.id] = replace(LEARNER, fields=dict(LEARNER.fields))
    school.definitions = {7: Definition(7, "Team"), 8: Definition(8, "Certificate ID")}
    school.courses[68] = "Forklift Operator"
    enrolment = school.enrolments[ENROLMENT]
    enrolment.user_id, enrolment.course_id = LEARNER.id, 68
    enrolment.completed_at = None  # the demo's learner is about to complete it


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
