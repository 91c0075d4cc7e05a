"""Secrets that change while the daemon runs: taken over within a look, the old one for a week, and never logged."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from flow.harbour_site import AT, SIGNING_SECRET, Site
from pydantic import SecretStr

import bridge.daemon
from bridge.app import read_config
from bridge.config.rotation import replace_secret
from bridge.core.signatures import hmac_signature
from bridge.daemon import running
from bridge.observe import configure_logging

NEW = "another-signing-secret-0003"
WEEK = timedelta(days=7)


@pytest.fixture
def keys(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the secrets of a daemon that looks at them many times while a test waits."""
    folder = site.rig.folder / "keys"
    folder.mkdir()
    for name, secret in (("signing", SIGNING_SECRET), ("api", site.vendor.api_key)):
        (folder / f"{name}.key").write_text(secret + "\n")
    site.rig.set("sources.harbour.signing_secret", None)
    site.rig.set("sources.harbour.api_key", None)
    site.rig.set("sources.harbour.signing_secret_file", "keys/signing.key")
    site.rig.set("sources.harbour.api_key_file", "keys/api.key")
    monkeypatch.setattr(bridge.daemon, "SECRETS", 0.05)
    config = site.rig.config()
    path = site.rig.folder / "config.yaml"
    with running(config, reread=lambda: read_config(path, {})) as run:
        site.rig.run = run
        yield folder
    site.rig.run = None


def status(site: Site, secret: str, number: int | str) -> int:
    """Sends a webhook signed with a secret."""
    body = site.vendor.event(number, "lesson")
    return site.rig.post("harbour", body, {"X-Harbour-Signature": hmac_signature(body, SecretStr(secret))}).status


def test_a_new_signing_secret_is_taken_over_and_the_old_one_goes_after_the_week(site: Site, keys: Path) -> None:
    assert (status(site, NEW, 1), status(site, SIGNING_SECRET, 2)) == (401, 200)
    replace_secret(keys / "signing.key", NEW)
    site.rig.wait(lambda: status(site, NEW, 3) == 200)
    assert status(site, SIGNING_SECRET, 4) == 200
    then = (datetime.now(UTC) - WEEK - timedelta(minutes=1)).timestamp()
    os.utime(keys / "signing.key.previous", (then, then))
    site.rig.wait(lambda: status(site, SIGNING_SECRET, 5) == 401)
    assert status(site, NEW, 6) == 200


def test_a_new_key_for_the_api_is_used_at_the_next_call(site: Site, keys: Path) -> None:
    site.told(site.vendor.completed(1, site.vendor.complete("1", AT)))
    assert site.vendor.learners["1"]["certificate"]
    site.vendor.api_key = "the-new-api-key-8888"
    replace_secret(keys / "api.key", "the-new-api-key-8888")
    site.rig.wait(lambda: site.source.connector.settings.api_key.get_secret_value() == "the-new-api-key-8888")
    site.told(site.vendor.completed(2, site.vendor.complete("2", AT)))
    assert site.vendor.learners["2"]["certificate"]
    assert site.vendor.refused == [], "the old key was not even tried"


def test_only_secrets_are_taken_over_before_the_next_start(site: Site, keys: Path) -> None:
    site.rig.set("sources.harbour.thin", True)
    site.rig.set("sources.harbour.mode", "test")
    site.rig.config()
    replace_secret(keys / "signing.key", NEW)
    site.rig.wait(lambda: status(site, NEW, 3) == 200)
    assert site.source.connector.settings.thin is False
    assert site.source.test is False


def test_while_the_configuration_cannot_be_read_the_secrets_stay_and_that_is_told_once(
    site: Site, keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = site.rig.folder / "config.yaml"
    good = path.read_text()
    looks: list[int] = []
    path.write_text(good + "nonsense: [\n")
    told = "the configuration on disk cannot be read"
    site.rig.wait(lambda: told in caplog.text)
    replace_secret(keys / "signing.key", NEW)
    site.rig.wait(lambda: looks.append(1) or len(looks) > 40)
    assert caplog.text.count(told) == 1
    assert (status(site, NEW, 1), status(site, SIGNING_SECRET, 2)) == (401, 200)
    path.write_text(good)
    site.rig.wait(lambda: status(site, NEW, 3) == 200)


def test_a_secret_learned_while_running_is_hidden_in_logs_and_in_what_is_stored(site: Site, keys: Path) -> None:
    replace_secret(keys / "signing.key", NEW)
    site.rig.wait(lambda: status(site, NEW, 3) == 200)
    stream = io.StringIO()
    configure_logging(level="info", form="json", redactor=site.rig.bridge.redactor, stream=stream)
    structlog.get_logger("x").info("given", secret=f"it is {NEW}", older=SIGNING_SECRET)
    said = json.loads(stream.getvalue().splitlines()[-1])
    assert (said["secret"], said["older"]) == ("it is [redacted]", "[redacted]")
    body = site.vendor.event(9, "lesson", note=NEW)
    site.rig.post("harbour", body, {"X-Harbour-Signature": hmac_signature(body, SecretStr(NEW))})
    assert [one.body for one in site.rig.requests() if one.body and NEW.encode() in one.body] == []
