"""E4 43 and 44: distinctive secrets in every place, and a search through all that leaves the bridge or is stored."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from click.testing import CliRunner
from flow.rig import Rig, changed, sample
from security.attack import COMPLETED, completion, signed
from vendors.faults import Faults

from bridge.cli.commands import certbridge
from bridge.core import certificate_id
from bridge.core.errors import ConfigError
from bridge.core.models import State
from bridge.observe import Redactor, configure_logging

# Slashes and quotes are written differently by PHP, in JSON, in addresses and in HTML.
PLACES = {
    "keys.recipient": "Rcpt/Key+zebra&01=\"'long",
    "sources.moodle.webhook_token": "Hook/Token+yak<02>=\"'",
    "sources.moodle.url_token": "Url-Token~xerus=03+y",
    "sources.moodle.previous_webhook_token": "Old/Hook+wombat-04",
    "sources.thinkific.signing_secret": "Sign/Secret+vole&05\\",
    "sources.thinkific.previous_signing_secret": "Old/Sign+urial-06",
    "sources.thinkific.url_token": "Thinkific-Url~tapir=07",
    "mail.smtp.password": "Smtp/Password+serval 08",
}


def spellings(secret: str) -> set[str]:
    """Returns the ways in which a secret may be written so that a person or a program can read it."""
    raw = secret.encode()
    ways = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        repr(secret)[1:-1],
        quote(secret, safe=""),
        quote(secret),
        html.escape(secret),
        raw.hex(),
        base64.b64encode(raw).decode(),
    }
    # Shown inside something that is itself written as JSON or by repr.
    return ways | {json.dumps(way)[1:-1] for way in ways} | {repr(way)[1:-1] for way in ways}


@dataclass
class Search:
    """Looks for every secret in every text it is shown."""

    secrets: tuple[str, ...]
    found: list[str] = field(default_factory=list)

    def look(self, where: str, text: str) -> None:
        for secret in self.secrets:
            for way in spellings(secret):
                if way in text:
                    at = text.index(way)
                    self.found.append(f"{where}: {secret!r} in {text[max(0, at - 80) : at + 80]!r}")
                    break


@pytest.fixture
def secretive(rig: Rig) -> Rig:
    """A bridge whose every secret is distinctive."""
    for path, secret in PLACES.items():
        if not path.startswith("mail."):
            rig.set(path, secret)
    rig.set("mail.mode", "smtp")
    rig.set(
        "mail.smtp",
        {
            "host": "127.0.0.1",
            "port": 9,
            "security": "none",
            "username": "mailer",
            "password": PLACES["mail.smtp.password"],
        },
    )
    return rig


@pytest.fixture
def search(rig: Rig) -> Search:
    return Search((*PLACES.values(), rig.moodle.token, rig.thinkific.api_key))


@pytest.fixture
def logs(secretive: Rig) -> io.StringIO:
    """The log as `certbridge serve` writes it, every level of it."""
    stream = io.StringIO()
    configure_logging(level="debug", form="json", redactor=Redactor(secretive.config().secrets()), stream=stream)
    return stream


def php_json(fields: dict[str, Any]) -> bytes:
    """Writes JSON as PHP does: a slash gets a backslash."""
    return json.dumps(fields).replace("/", "\\/").encode()


def everything_happens(rig: Rig) -> list[tuple[str, str]]:
    """Lets both vendors send, rightly and wrongly, and answer, rightly and wrongly; returns every answer of ours."""
    answers = []

    def note(name: str, answer: Any) -> None:
        answers.append((name, f"{answer.status} {dict(answer.headers)} {answer.text}"))

    hook, by_url = PLACES["sources.moodle.webhook_token"], PLACES["sources.moodle.url_token"]
    body = json.loads(sample(COMPLETED)[0])
    address = quote(by_url, safe="")
    moodle_body = php_json({**body, "token": hook})
    referer = {"Referer": f"https://certificates.acme.example/hooks/moodle/{address}", "X-Original-Uri": f"/{by_url}"}
    note("moodle", rig.post("moodle", moodle_body, referer, address))
    note("moodle, once more", rig.post("moodle", moodle_body, {"Authorization": f"Bearer {hook}"}, address))
    everywhere_encoded = "".join(f"%{ord(sign):02x}" for sign in by_url)
    note("moodle, all encoded", rig.post("moodle", php_json({**body, "token": hook}), {}, everywhere_encoded))
    note("moodle, no json", rig.post("moodle", b'{"token": "' + hook.encode() + b'", oops', {}, address))
    note("moodle, wrong place", rig.post("moodle", moodle_body, {}, "wrong"))
    note("moodle, no proof", rig.post("moodle", b"{}"))
    note("moodle, get", rig.request("GET", f"/hooks/moodle/{address}?token={quote(hook, safe='')}"))
    note("moodle, too deep", rig.request("POST", f"/hooks/moodle/{address}/more", moodle_body))
    note("moodle, gzip", rig.post("moodle", moodle_body, {"Content-Encoding": "gzip"}, address))
    faults = Faults(rig.moodle)
    for number, mode in enumerate(("invalidtoken", "500", "html-200", "drop", "401"), start=50):
        faults.next(1, mode)  # type: ignore[arg-type]
        other = changed(php_json({**body, "token": hook}), objectid=str(number), relateduserid="5")
        note(f"moodle, {mode}", rig.post("moodle", other, {}, address))
        rig.wait_settled()
    right = signed(rig, json.dumps(completion()).encode())
    assert right.path_token
    note("thinkific", rig.post("thinkific", right.body, right.headers, quote(right.path_token, safe="")))
    note("thinkific, unsigned", rig.post("thinkific", right.body, {}, quote(right.path_token, safe="")))
    note("thinkific, no token", rig.post("thinkific", right.body, right.headers))
    Faults(rig.thinkific).next(3, "401")
    failing = signed(rig, json.dumps(completion("e-2", user={"id": 9}, id=9)).encode())
    note("thinkific, refused", rig.post("thinkific", failing.body, failing.headers, quote(right.path_token, safe="")))
    rig.wait_settled()
    return answers


def test_no_secret_leaves_or_is_stored_anywhere(secretive: Rig, search: Search, logs: io.StringIO) -> None:
    rig = secretive
    with rig.running():
        for name, text in everything_happens(rig):
            search.look(f"answer to {name}", text)
        assert [row for row in rig.events() if row.state is State.DONE]
        for path in ("/healthz", "/readyz", "/", "/?id=x", "/nothing", "/c/x"):
            answer = rig.request("GET", path)
            search.look(path, f"{dict(answer.headers)} {answer.text}")
        for found in rig.certificates():
            if found.certificate.state == "issued":
                search.look("page", rig.page(found.certificate.id).text)
                search.look("pdf", rig.pdf_text(found.certificate.id))
        search.look("database", rig.dump())
        search.look("bridge", repr(rig.bridge.config) + str(rig.bridge.config) + rig.bridge.config.model_dump_json())
        for name, text in commands(rig):
            search.look(name, text)
    for file in rig.folder.rglob("*"):
        if file.is_file() and file.name != "config.yaml":
            search.look(f"file {file.name}", file.read_bytes().decode("latin-1"))
    search.look("logs", logs.getvalue())
    assert '"received"' in logs.getvalue()
    assert search.found == []


def commands(rig: Rig) -> Iterator[tuple[str, str]]:
    """Runs every command that shows something beside the running bridge."""
    identifier = certificate_id.grouped(rig.certificates()[0].certificate.id)
    numbers = [str(row.id) for row in rig.events()]
    deliveries = [str(row.id) for row in rig.deliveries()]
    lines = [
        ["sources", "list"],
        ["events", "list"],
        ["outbox", "list"],
        ["certificates", "list"],
        ["certificates", "show", identifier],
        ["find", "José"],
        ["find", "nobody"],
        *(["events", "show", number] for number in numbers),
        *(["outbox", "show", number] for number in deliveries),
    ]
    for words in lines:
        for form in ([], ["--json"]):
            yield " ".join([*words, *form]), command(rig, [*words, *form])
    for words in (["check"], ["fields", "moodle"], ["schema"], ["events", "show", numbers[0], "--payload"]):
        yield " ".join(words), command(rig, words)


def command(rig: Rig, words: list[str]) -> str:
    result = CliRunner().invoke(certbridge, ["-c", str(rig.folder / "config.yaml"), *words], env={"COLUMNS": "300"})
    assert result.exit_code in (0, 1), f"{words}: {result.output}"
    return result.output


SECRET = "hunter2-Distinct+99"
WRONG_CONFIGS = {
    "password in an address": "public_url: https://u:{s}@certificates.acme.example",
    "slash in a password": "public_url: https://u:/{s}@certificates.acme.example",
    "other database": "database: mysql://user:{s}@db/x",
    "database without user": "database: postgres:{s}@db",
    "token in an address": "sources: {{m: {{connector: moodle, url: 'https://m.example/?wstoken={s}', token: x}}}}",
    "password in moodle's address": "sources: {{m: {{connector: moodle, url: 'https://me:{s}@m.example', token: x}}}}",
    "list": "sources: {{m: {{connector: moodle, url: 'https://m.example', token: [{s}], webhook_token: {s}}}}}",
    "section": "sources: {{m: {{connector: moodle, url: 'https://m.example', token: {{a: {s}}}}}}}",
    "misspelt": "sources: {{m: {{connector: moodle, url: 'https://m.example', tokken: {s}}}}}",
    "misspelt beyond guessing": "sources: {{m: {{connector: moodle, url: 'https://m.example', qqqq: {s}}}}}",
    "at the wrong level": "webhook_token: {s}",
    "at the wrong level, another name": "moodle_wstoken: {s}",
    "cut off by a comment sign": "keys:\n  recipient: {s} #prod",
    "part after a comment sign": "keys:\n  recipient: xx #{s}",
    "never ending quotes": 'keys:\n  recipient: "{s}',
    "colon": "keys:\n  recipient: {s}: x",
    "twice": "keys:\n  recipient: {s}\n  recipient: {s}",
    "too short beside a good one": "keys: {{recipient: ab}}\nmail: {{smtp: {{host: m.example, password: {s}}}}}",
}


@pytest.mark.parametrize("lines", WRONG_CONFIGS.values(), ids=WRONG_CONFIGS.keys())
def test_no_message_about_a_wrong_configuration_tells_a_secret(tmp_path: Path, lines: str) -> None:
    from bridge.app import read_config

    text = lines.format(s=SECRET)
    rest = {"public_url": "https://c.acme.example", "issuer": {"name": "A", "zone": "Europe/Berlin"}}
    kept = {name: value for name, value in rest.items() if not text.startswith(name)}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(kept) + text + "\n")
    with pytest.raises(ConfigError) as caught:
        read_config(file, {})
    assert SECRET not in str(caught.value)
    shown = CliRunner().invoke(certbridge, ["-c", str(file), "check"])
    assert shown.exit_code == 1
    assert SECRET not in shown.output


def test_a_database_that_cannot_be_reached_tells_no_password(rig: Rig) -> None:
    rig.set("database", f"postgresql+psycopg://user:{SECRET}@127.0.0.1:9/none")
    rig.config()
    for words in (["events", "list"], ["sources", "list"]):
        result = CliRunner().invoke(certbridge, ["-c", str(rig.folder / "config.yaml"), *words])
        assert result.exit_code == 1, result.output
        assert SECRET not in result.output
        assert "Traceback" not in result.output


def test_a_path_token_stays_out_of_the_record_however_it_was_spelt(secretive: Rig) -> None:
    token = PLACES["sources.thinkific.url_token"]
    with secretive.running():
        right = signed(secretive, json.dumps(completion()).encode())
        for spelt in (token, quote(token, safe=""), "".join(f"%{ord(sign):02X}" for sign in token), token + "/"):
            assert secretive.post("thinkific", right.body, right.headers, spelt).status == 200
        assert {row.target for row in secretive.requests()} == {"/hooks/thinkific/***"}


# -- what strangers see ----------------------------------------------------------------------------


def test_guessing_certificate_ids_finds_nothing_and_tells_nothing_apart(live: Rig) -> None:
    live.post_sample(COMPLETED)
    live.wait_settled()
    known = live.certificate().certificate.id
    answers = set()
    for _ in range(50):
        guess = certificate_id.new()
        answer = live.request("GET", f"/c/{certificate_id.grouped(guess)}")
        answers.add((answer.status, answer.text.replace(certificate_id.grouped(guess), "*")))
        assert known not in answer.text
    assert len(answers) == 1
    assert answers.pop()[0] == 404


def test_a_draft_is_told_to_nobody(live: Rig) -> None:
    with live.moodle.lock:
        live.moodle.site.users[3].firstname = "W" * 150
    live.post_sample(COMPLETED)
    live.wait_settled()
    assert live.event().state is State.HELD
    for found in live.certificates():
        assert found.certificate.state == "draft"
        assert live.page(found.certificate.id).status == 404
        assert live.request("GET", f"/c/{certificate_id.grouped(found.certificate.id)}.pdf").status == 404


def test_the_page_names_no_address_no_source_and_no_inner_id(live: Rig) -> None:
    live.post_sample(COMPLETED)
    live.wait_settled()
    identifier = live.certificate().certificate.id
    page = live.page(identifier)
    for word in ("jose.obrien@example.invalid", "moodle", "EMP-0042", "learner1", "inbox", str(live.folder)):
        assert word not in page.text
    assert "unsafe-inline" not in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"


def test_readyz_tells_strangers_no_path_and_no_address(live: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live.bridge.workers, "alive", lambda: False)
    answer = live.request("GET", "/readyz")
    assert answer.status == 503
    assert str(live.folder) not in answer.text
