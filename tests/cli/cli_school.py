"""For tests of the command line: a school with a real configuration and SQLite file, and Thinkific as its source."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner, Result

from bridge.app import open_bridge, read_config
from bridge.cli.commands import certbridge
from bridge.core.models import InboundRequest

SECRET = "a-signing-secret-nobody-guesses"

CONFIG = """\
public_url: https://certificates.acme.example
listen: 127.0.0.1:{port}
issuer: {{name: Acme Academy, zone: Europe/Berlin}}
keys: {{recipient: recipient-key-recipient-key-0001}}
mail: {{mode: folder, from: Acme Academy <training@acme.example>}}
sources:
  school:
    connector: thinkific
    mode: live
    mapping: school.yaml
    since: 2020-01-01
    signing_secret: {secret}
    url_token: url-token-url-token-01
"""

HOSTILE = "Ana\x1b[31m\x1b]0;pwned\x07\x9b2J\u202e [bold red]"
"""A first name that would colour the terminal, rename its window, clear it and turn the line around."""

MAPPING = """\
extends: thinkific
every_course:
  valid_for: 2 years
  hold_if: {name: looks incomplete}
courses:
  68: Fire Safety
  99: {title: First Aid, fields: {hours: 8}}
"""


@dataclass
class School:
    """A folder with a configuration, and the command line run on it."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def certbridge(self, *words: str, input: str | None = None, columns: int = 100) -> Result:
        """Runs the real command; never raises."""
        runner = CliRunner()
        env = {"COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1"}
        return runner.invoke(certbridge, ["-c", str(self.config), *words], env=env, input=input)

    def json(self, *words: str) -> object:
        """Runs a command with --json and reads what it prints."""
        result = self.certbridge(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def arrives(self, body: bytes, *, signed: bool = True, work: bool = True) -> int:
        """Posts a body to the real receiver; returns the status. With `work` it is worked on, too."""
        with open_bridge(read_config(self.config, {}), role="command") as bridge:
            connector = bridge.sources["school"].connector
            signature = connector.sign(body, {}, datetime.now(UTC)) if signed else None
            request = InboundRequest(
                method="POST",
                url="https://certificates.acme.example/hooks/school",
                headers={name.lower(): value for name, value in signature.headers.items()} if signature else {},
                body=body,
                received_at=datetime.now(UTC),
                path_token=signature.path_token if signature else "url-token-url-token-01",
            )
            reply = bridge.receiver.receive("school", request, peer="203.0.113.9")
            if work:
                assert bridge.finish_work()
        return reply.status


def completed(
    first: str = "Maria",
    last: str = "Silva",
    *,
    course: int = 68,
    title: str = "Safety Basics",
    user: int = 1001,
    event: str = "e-1",
    **payload: object,
) -> bytes:
    """Returns Thinkific's `enrollment.completed`, of the shape of the samples."""
    body = {
        "id": event,
        "resource": "enrollment",
        "action": "completed",
        "tenant_id": "12345",
        "created_at": "2026-02-14T14:30:11.222Z",
        "payload": {
            "id": user * 1000 + course,
            "completed_at": "2026-02-14T14:30:10.900Z",
            "course": {"id": course, "name": title},
            "course_id": course,
            "free_trial": False,
            "user": {
                "id": user,
                "first_name": first,
                "last_name": last,
                "email": f"{user}@example.org",
            },
            **payload,
        },
    }
    return json.dumps(body).encode()


def make_school(folder: Path, *, port: int = 8080) -> School:
    """Writes configuration and mapping into a new folder."""
    (folder / "mappings").mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG.format(secret=SECRET, port=port))
    (folder / "mappings" / "school.yaml").write_text(MAPPING)
    return School(folder)
