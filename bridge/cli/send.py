"""`certbridge send`: signs a sample with the configured secret and posts it to the running bridge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode, urlsplit

import click

from bridge.cli.session import Session, pass_session
from bridge.core.errors import BridgeError, ConfigError, TemporaryError

if TYPE_CHECKING:
    from bridge.cli.output import Page
    from bridge.clients.http import LocalAnswer
    from bridge.config import Config

LARGEST: Final = 10 * 1024 * 1024
"""Bytes of a sample; no bridge accepts more."""
# Ours to say, not the sample's: they belong to the connection that the sample once came over.
_NOT_SENT: Final = frozenset({"host", "content-length", "connection", "transfer-encoding", "accept-encoding", "expect"})


@click.command("send")
@click.argument("source", metavar="SOURCE")
@click.argument("sample", type=click.Path(path_type=Path, exists=True), metavar="FILE")
@click.option("--url", metavar="URL", help="Where the bridge runs; else the address it listens on.")
@click.option("--follow", is_flag=True, help="Show each step until the event and its deliveries settle.")
@click.option("--timeout", type=click.IntRange(1, 3600), default=60, show_default=True, help="Seconds to follow.")
@pass_session
def send(session: Session, source: str, sample: Path, url: str | None, follow: bool, timeout: int) -> None:
    """Post FILE (a request's body, with headers.json beside it; or the folder of both) as if SOURCE had sent it."""
    from bridge.clients.http import post_local

    name = session.source(source)
    settings = session.config.sources[name]
    connector = session.config.connectors[settings.connector](settings.settings)
    body, headers = read_sample(sample)
    signed = connector.sign(body, headers, datetime.now(UTC))
    path = f"/hooks/{quote(name, safe='')}"
    token = f"/{quote(signed.path_token, safe='')}" if signed.path_token else ""
    base = _base(url, session.config)
    page = session.page()
    page.say(f"POST {base}{path}{'/***' if token else ''}  ({len(signed.body):,} bytes, signed as {name})")
    try:
        query = f"?{urlencode(signed.query)}" if signed.query else ""
        answer = post_local(f"{base}{path}{token}{query}", signed.body, signed.headers)
    except TemporaryError as error:
        raise BridgeError(f"{error} Start it with `certbridge serve`, or say where it runs with --url.") from error
    accepted = _say_answer(page, answer)
    if not 200 <= answer.status < 300:
        raise BridgeError(_refusal(answer.status, name))
    if follow:
        from bridge.cli.follow import follow_events

        follow_events(session, accepted, timeout=timeout)


def read_sample(path: Path) -> tuple[bytes, dict[str, str]]:
    """Returns body and headers of a sample: a folder with `body` and `headers.json`, or the body's file."""
    folder = path if path.is_dir() else path.parent
    file = path / "body" if path.is_dir() else path
    try:
        if file.stat().st_size > LARGEST:
            raise ConfigError(f"{file} is larger than {LARGEST:,} bytes; no webhook is.")
        body = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}).") from error
    return body, _headers(folder / "headers.json")


def _headers(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {"Content-Type": "application/json"}
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(read, dict) or not all(isinstance(value, str) for value in read.values()):
        raise ConfigError(f'{file} must be an object of texts, such as {{"Content-Type": "application/json"}}.')
    return _sendable(read, file)


def _sendable(headers: Mapping[str, str], file: Path) -> dict[str, str]:
    for name, value in headers.items():
        if any(ord(sign) < 32 or ord(sign) > 255 for sign in name + value):
            raise ConfigError(f"{file}: the header {name!r} has characters that no header can carry.")
    return {name: value for name, value in headers.items() if name.lower() not in _NOT_SENT}


def _base(url: str | None, config: Config) -> str:
    if url is None:
        host, _, port = config.listen.rpartition(":")
        anywhere = host.strip("[]") in ("", "0.0.0.0", "::", "*")  # noqa: S104 (compared, not bound)
        return f"http://{'127.0.0.1' if anywhere else host}:{port}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise click.UsageError(f"--url {url!r} is no address of a bridge. Write it as http://127.0.0.1:8080.")
    return url.rstrip("/")


def _say_answer(page: Page, answer: LocalAnswer) -> list[int]:
    """Prints the answer; returns the numbers of the events it names."""
    from rich.text import Text

    good = 200 <= answer.status < 300
    page.say(Text(f"HTTP {answer.status}", style="bold green" if good else "bold red"))
    text = answer.body.decode("utf-8", errors="replace")
    page.say(text[:2000], indent=2)
    try:
        said = json.loads(text)
    except ValueError:
        return []
    numbers = said.get("events", []) if isinstance(said, dict) else []
    return [int(number) for number in numbers if str(number).isdigit()]


def _refusal(status: int, name: str) -> str:
    match status:
        case 401:
            return (
                f"The bridge refused it as not authentic; why: certbridge sources show {name}. Usual cause: it runs "
                "with another configuration."
            )
        case 404:
            return f"The bridge knows no source {name}: does it run with another configuration?"
        case 413:
            return "The sample is larger than `limits.body_bytes` allows."
        case 503:
            return "The bridge cannot store anything right now; its answer above says why."
        case _:
            return "The bridge did not accept the sample; its answer above says why."
