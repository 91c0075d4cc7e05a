"""What the rig starts from: a configuration with both sources live, two mappings, and a learner in Thinkific."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bridge.demo.vendors.moodle import MoodleStandIn
from bridge.demo.vendors.thinkific import ThinkificStandIn
from bridge.demo.vendors.thinkific_school import Definition, Person

PUBLIC = "https://certificates.acme.example"
WEBHOOK_TOKEN = "sample-shared-token"
"""Stands in the bodies that a real Moodle sent."""
SECRETS = {
    "recipient": "recipient-key-for-tests-0001",
    "token": "moodle-web-service-token-0002",
    "signing": "thinkific-signing-secret-0003",
    "api_key": "thinkific-api-key-0004",
}

MOODLE_MAPPING = """\
extends: moodle
every_course:
  valid_for: 2 years
courses:
  SAFE101:
    title: {en: Health & Safety Basics, de: Grundlagen Arbeitsschutz}
"""
THINKIFIC_MAPPING = """\
extends: thinkific
courses:
  68: Forklift Operator
"""


def settings(moodle: MoodleStandIn, thinkific: ThinkificStandIn, database: str) -> dict[str, Any]:
    """Returns a configuration with both sources live and mail in a folder."""
    return {
        "public_url": PUBLIC,
        "listen": "127.0.0.1:0",
        "database": database,
        "issuer": {"name": "Acme Academy", "zone": "Europe/Berlin", "email": "training@acme.example"},
        "keys": {"recipient": SECRETS["recipient"]},
        "mail": {"mode": "folder", "from": "Acme Academy <training@acme.example>"},
        "limits": {"connect_seconds": 2, "read_seconds": 5, "request_seconds": 10},
        "sources": {
            "moodle": {
                "connector": "moodle",
                "mode": "live",
                "mapping": "moodle-courses.yaml",
                "since": "2026-01-01",
                "allow_private": True,
                "poll_every": "off",  # tests poll when they want to
                "url": moodle.url,
                "token": moodle.token,
                "webhook_token": WEBHOOK_TOKEN,
            },
            "thinkific": {
                "connector": "thinkific",
                "mode": "live",
                "mapping": "thinkific-courses.yaml",
                "since": "2026-01-01",
                "allow_private": True,
                "poll_every": "off",
                "api_url": thinkific.base_url,
                "subdomain": thinkific.subdomain,
                "api_key": thinkific.api_key,
                "signing_secret": SECRETS["signing"],
                "profile_field": "Certificate ID",
            },
        },
    }


def furnish(thinkific: ThinkificStandIn) -> None:
    """Fills the school: one learner with a field of her own, one enrolment that is complete."""
    # Nobody documents whether a PUT keeps the fields it does not name; the worse case must do no harm.
    thinkific.put_replaces = True
    school = thinkific.school
    school.users[123456] = Person(123456, "Łukasz", "Żółć-Dziewulski", "lukasz@example.invalid", {7: "Warehouse North"})
    school.definitions = {7: Definition(7, "Team"), 8: Definition(8, "Certificate ID")}
    school.courses[68] = "Forklift Operator"
    enrolment = school.enrolments[97472]
    enrolment.user_id, enrolment.course_id = 123456, 68
    school.complete(97472, datetime(2026, 11, 20, 16, 45, 30, tzinfo=UTC))
