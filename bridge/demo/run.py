"""Runs the demo: real webhooks through the real receiver, every step shown, and the proofs left in a folder."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from bridge.core.models import SignedRequest
from bridge.daemon import Running, running
from bridge.demo.stage import MOODLE, THINKIFIC, Stage, moodle_webhook, stage, thinkific_webhook
from bridge.demo.story import StoryEndedEarlyError, follow
from bridge.observe import configure_logging
from bridge.store import certificates
from bridge.store.engine import Transaction


def demo(*, once: bool, keep: Path | None, console: Console) -> int:
    """Returns 0 when every step of both loops happened; serves on until Ctrl-C unless `once`.

    `keep` is a folder for database, PDFs and mails, made if need be; without it they are gone at the end.
    """
    folder = keep.absolute() if keep else Path(tempfile.mkdtemp(prefix="certbridge-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    if keep and any(folder.iterdir()):
        console.print(f"{escape(str(folder))} is not empty. Name a folder that is, or a new one.", style="red")
        return 1
    configure_logging(level="error")
    try:
        with stage(folder, port=_free_port()) as stands, running(stands.config) as run:
            code = _show(stands, run, console)
            if not once and code == 0:
                _serve_on(console)
            return code
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _show(stands: Stage, run: Running, console: Console) -> int:
    console.print(Panel.fit("A learner completes a course. certbridge does the rest.", style="bold"))
    console.print(f"certbridge serves {run.url}, folder {escape(str(stands.folder))}\n", highlight=False)
    told = [
        _loop(
            run,
            console,
            MOODLE,
            "a real Moodle 4.5.6 reports a completion: numbers only, so certbridge has to ask for the names",
            SignedRequest(moodle_webhook(), {"Content-Type": "application/json"}),
            "the token in the body is right",
        ),
        _loop(
            run,
            console,
            THINKIFIC,
            "Thinkific reports a completion, signed",
            run.bridge.sources[THINKIFIC].connector.sign(
                thinkific_webhook(stands.thinkific), {"Content-Type": "application/json"}, datetime.now(UTC)
            ),
            "the HMAC-SHA256 signature over the raw bytes is right",
        ),
    ]
    if not all(told):
        return 1
    _proofs(stands, run, console)
    return 0


def _loop(run: Running, console: Console, source: str, title: str, request: SignedRequest, proof: str) -> bool:
    console.print(f"[bold]{source}[/]: {escape(title)}", highlight=False)
    started = time.monotonic()
    status, answer = _post(run.server.port, source, request)
    took = time.monotonic() - started
    if status != 200 or not answer.get("events"):
        console.print(f"  the receiver answered {status}: {escape(str(answer))}", style="red")
        return False
    _line(
        console, "received", f"POST /hooks/{source}, {len(request.body)} bytes, answered 200 when it was on disk", took
    )
    _line(console, "verified", proof, took)
    try:
        for told in follow(run.bridge, int(answer["events"][0]), started):
            _line(console, told.step, told.text, told.seconds)
    except StoryEndedEarlyError as error:
        console.print(f"  {escape(str(error))}", style="red")
        return False
    console.print()
    return True


def _line(console: Console, step: str, text: str, seconds: float) -> None:
    console.print(f"  [green]✓[/] {step:<13}{seconds * 1000:6.0f} ms  {escape(text)}", highlight=False, soft_wrap=True)


def _post(port: int, source: str, request: SignedRequest) -> tuple[int, Mapping[str, list[str]]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        path = f"/hooks/{source}" + (f"/{request.path_token}" if request.path_token else "")
        connection.request("POST", path, request.body, dict(request.headers))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def _proofs(stands: Stage, run: Running, console: Console) -> None:
    hits = run.bridge.store.read(lambda tx: certificates.search(tx))
    pdfs = run.bridge.store.read(lambda tx: _pdfs(tx, [hit.certificate for hit in hits]))
    folder = stands.folder / "certificates"
    folder.mkdir(exist_ok=True)
    console.print("[bold]What is where now[/]", highlight=False)
    for hit in hits:
        url = run.bridge.publisher.url(hit.certificate.id)
        path = folder / f"{url.rpartition('/')[2]}.pdf"
        path.write_bytes(pdfs[hit.certificate.id])
        console.print(f"  {escape(hit.version.data.recipient.name)}: {url}", highlight=False, soft_wrap=True)
        console.print(f"    PDF {escape(str(path))}", highlight=False, soft_wrap=True)
    for mail in sorted((stands.folder / "mail").glob("*.eml")):
        console.print(f"    mail {escape(str(mail))}", highlight=False, soft_wrap=True)
    for note in stands.moodle.site.notes.values():
        console.print(f"  Moodle, note {note.id} about user {note.userid} in course {note.courseid}:", highlight=False)
        console.print(f"    {escape(note.content)}", highlight=False, soft_wrap=True)
    for person in stands.thinkific.school.users.values():
        for number, value in person.fields.items():
            label = stands.thinkific.school.definitions[number].label
            console.print(f"  Thinkific, user {person.id}, field {label}: {escape(value)}", highlight=False)


def _pdfs(tx: Transaction, rows: list[certificates.CertificateRow]) -> dict[str, bytes]:
    files = {row.id: certificates.file(tx, row.id, row.version, "pdf") for row in rows}
    return {identifier: file.bytes for identifier, file in files.items() if file is not None}


def _serve_on(console: Console) -> None:
    console.print("\nOpen the links above. [bold]Ctrl-C[/] ends the demo.")
    told = threading.Event()
    before = {number: signal.signal(number, lambda *_: told.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        # Python answers a signal in this thread, and only when it is awake, whichever thread was given it.
        while not told.wait(0.5):
            pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    # The configuration carries the port inside public_url, so it has to be known before the server takes it.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
