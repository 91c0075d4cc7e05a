"""Redaction by value, log lines, and the points where a crash test kills the process."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bridge.observe import CRASH_VARIABLE, REDACTED, Redactor, configure_logging

SECRET = 's3cr&t "ключ"/+\\'


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


# -- redaction -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        re.sub("%..", lambda match: match.group().lower(), quote(SECRET, safe="")),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        SECRET.encode().hex(),
        repr(SECRET)[1:-1],
        "s3cr&amp;t &quot;ключ&quot;/+\\",
    ],
)
def test_finds_a_secret_in_every_encoding(form: str) -> None:
    redactor = Redactor([SECRET])
    assert redactor.text(f"a={form}&b=1") == f"a={REDACTED}&b=1"
    assert redactor.body(f"a={form}&b=1".encode()) == f"a={REDACTED}&b=1".encode()


@given(st.text(min_size=4, max_size=40), st.text(max_size=7))
def test_nothing_of_basic_authentication_can_be_decoded_to_the_secret(secret: str, user: str) -> None:
    line = base64.b64encode(f"{user}:{secret}".encode()).decode()
    shown = Redactor([secret]).text(f"Basic {line}")
    assert REDACTED in shown
    assert line not in shown


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_knows_both_alphabets_of_base64(encode: Callable[[bytes], bytes]) -> None:
    secret = ">>>???~~~"
    assert {"+", "/"} <= set(base64.b64encode(secret.encode()).decode())
    assert Redactor([secret]).text(encode(secret.encode()).decode()) == REDACTED


def test_replaces_in_keys_values_and_nested_data() -> None:
    redactor = Redactor([SecretStr("hunter2-long"), "other-secret"])
    data = {
        "token hunter2-long": ["x other-secret", {"n": 1, "s": SecretStr("unknown"), "b": b"hunter2-long"}],
        "k": None,
    }
    shown = redactor.data(data)
    assert shown == {"token [redacted]": ["x [redacted]", {"n": 1, "s": "[redacted]", "b": b"[redacted]"}], "k": None}


def test_a_secret_inside_another_leaves_no_tail() -> None:
    assert Redactor(["abcd", "abcdefgh"]).text("abcdefgh abcd") == "[redacted] [redacted]"


def test_no_secrets_and_too_short_ones_change_nothing() -> None:
    assert Redactor([]).text("abc") == "abc"
    assert Redactor(["", "a"]).body(b"abc") == b"abc"


def test_sensitive_headers_keep_only_their_length() -> None:
    shown = Redactor(["hunter2-long"]).headers(
        {
            "authorization": "Bearer x",
            "cookie": "",
            "x-thinkific-hmac-sha256": "ab" * 32,
            "x-api-key": "1",
            "referer": "https://x.example/?t=hunter2-long",
            "content-type": "application/json",
        }
    )
    assert shown == {
        "authorization": "[redacted, 8 characters]",
        "cookie": "[redacted, 0 characters]",
        "x-thinkific-hmac-sha256": "[redacted, 64 characters]",
        "x-api-key": "[redacted, 1 characters]",
        "referer": "https://x.example/?t=[redacted]",
        "content-type": "application/json",
    }


# -- logs ------------------------------------------------------------------------------------------


def test_writes_one_json_object_per_line_with_context_and_without_secrets(logs: io.StringIO) -> None:
    configure_logging(form="auto", redactor=Redactor(["hunter2-long"]), stream=logs)
    structlog.contextvars.bind_contextvars(source="school")
    structlog.get_logger("bridge.flow").info("received hunter2-long", event_id="e\n1", body={"token": "hunter2-long"})
    line = json.loads(logs.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "received [redacted]",
        "event_id": "e\n1",
        "body": {"token": "[redacted]"},
        "level": "info",
        "logger": "bridge.flow",
        "source": "school",
    }


def test_redacts_what_libraries_log_and_what_exceptions_say(logs: io.StringIO) -> None:
    configure_logging(form="json", redactor=Redactor(["hunter2-long"]), stream=logs)
    logging.getLogger("waitress").warning("refused %s", "hunter2-long")
    try:
        local = "a local value"
        raise ValueError("token hunter2-long")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    assert "hunter2" not in logs.getvalue()
    first, second = map(json.loads, logs.getvalue().splitlines())
    assert first["event"] == "refused [redacted]"
    assert "ValueError: token [redacted]" in second["exception"]
    assert local not in logs.getvalue()


def test_text_from_outside_cannot_forge_a_line_or_drive_the_terminal(logs: io.StringIO) -> None:
    configure_logging(form="text", stream=logs)
    structlog.get_logger("x").info("name", name="a\n2026 [error] forged \x1b[2J\u202e")
    written = logs.getvalue()
    assert written.count("\n") == 1
    assert "\x1b" not in written
    assert "\u202e" not in written
    assert "forged" in written


def test_the_level_is_kept(logs: io.StringIO) -> None:
    configure_logging(level="warning", form="json", stream=logs)
    structlog.get_logger("x").info("quiet")
    structlog.get_logger("x").warning("loud")
    assert [json.loads(line)["event"] for line in logs.getvalue().splitlines()] == ["loud"]


# -- crash points ----------------------------------------------------------------------------------

PROGRAM = """
from bridge.observe import crash_point
for number in range(3):
    crash_point("after_store")
    crash_point("after_mail")
    print(number, flush=True)
"""


@pytest.mark.parametrize(
    ("wanted", "printed", "code"),
    [
        ("after_store", "", -signal.SIGKILL),
        ("after_mail:2", "0\n", -signal.SIGKILL),
        ("after_mail:9", "0\n1\n2\n", 0),
        ("elsewhere", "0\n1\n2\n", 0),
        ("", "0\n1\n2\n", 0),
    ],
)
def test_kills_the_process_at_the_named_point(wanted: str, printed: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, CRASH_VARIABLE: wanted},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == (printed, code)
