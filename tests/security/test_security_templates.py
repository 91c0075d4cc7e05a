"""E4 35 to 37 in the running bridge: templates that eat memory, never end or reach outside; the rest goes on."""

from __future__ import annotations

import base64
import socket
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from flow.rig import Rig
from security.attack import completion, posted

from bridge.cli.checked import problems as check
from bridge.core.errors import ConfigError, Problem
from bridge.core.models import State
from bridge.issuing.template import TemplateBundle, load_template
from bridge.store import inbox

STOPPED = (State.RETRYING, State.FAILED, State.HELD)
HONEST = "<p>{{ name }} {{ course }} {{ certificate_id }}</p>"
"""What every certificate has to say; each page below says it first."""
BOMBS = {
    "colspan": '<table><tr><td colspan="100000000">{{ name }}</td></tr></table>',
    "loop": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{{ name }}",
    "range": "{{ range(10 ** 9) | list | length }}{{ name }}",
    "nesting": "<div>" * 3000 + "{{ name }}" + "</div>" * 3000,
    "long word": "{{ name }}<p>" + "W" * 100_000 + "</p>",
    "rows": "{{ name }}<table>" + "<tr><td>x</td></tr>" * 20_000 + "</table>",
    "sandbox": "{{ name.__class__.__mro__[1].__subclasses__() }}",
    "sandbox by filter": "{{ name | attr('__class__') }}",
    "sandbox by format": "{{ '{0.__class__.__init__.__globals__}'.format(name) }}",
}


def big_png(side: int) -> bytes:
    """Returns a tiny file of an enormous picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * ((side // 8 + 1) * 2000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def with_templates(rig: Rig, pages: Sequence[str], **files: bytes) -> None:
    """Makes a template of the admin's of each page, and a course for each: 0, 1, 2 ...; course 99 is an honest one."""
    lines = ["extends: thinkific", "courses:", "  99: First Aid"]
    for number, page in enumerate(pages):
        folder = rig.folder / "templates" / f"bomb-{number}"
        folder.mkdir(parents=True)
        (folder / "certificate.html").write_text(HONEST + page)
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_bytes(content)
        lines.append(f"  {number}: {{title: Bomb, template: bomb-{number}}}")
    rig.mapping("thinkific", "\n".join(lines) + "\n")


def complete(rig: Rig, course: int) -> int:
    """Posts the completion of one course; returns the number of the event."""
    event = completion(f"course-{course}", course_id=course, id=course, user={"id": 1000 + course})
    return posted(rig, event).event


def ended(rig: Rig, numbers: Sequence[int]) -> list[inbox.InboxRow]:
    """Waits until every one of these was tried, and returns them."""
    rig.wait(lambda: all(rig.event(number).state not in (State.READY, State.RUNNING) for number in numbers))
    return [rig.event(number) for number in numbers]


def others_go_on(rig: Rig) -> None:
    """Whatever the bombs do, another course's certificate is made and mailed, and the door answers."""
    (row,) = ended(rig, [complete(rig, 99)])
    assert row.state is State.DONE, row.reason
    rig.wait(lambda: any("First Aid" in str(mail["Subject"]) for mail in rig.mails()))
    assert rig.request("GET", "/healthz").status == 200
    assert rig.request("GET", "/readyz").status == 200


def test_a_bomb_in_a_template_ends_its_process_and_nothing_else(rig: Rig) -> None:
    with_templates(rig, list(BOMBS.values()))
    with rig.running():
        numbers = [complete(rig, number) for number in range(len(BOMBS))]
        rows = ended(rig, numbers)
        for name, row in zip(BOMBS, rows, strict=True):
            # Too wide for the page is not too much: that is for the admin to see in a preview.
            expected = (*STOPPED, State.DONE) if name == "long word" else STOPPED
            assert row.state in expected, (name, row.reason)
            assert row.reason or row.state is State.DONE
        for name in ("sandbox", "sandbox by filter", "sandbox by format"):
            row = rows[list(BOMBS).index(name)]
            assert row.state in (State.FAILED, State.HELD), (name, row.reason)
            assert "bomb-" in (row.reason or "")
        others_go_on(rig)


def test_a_template_that_is_looked_at_keeps_nobody_else_waiting(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with_templates(rig, [""])
    looking, go_on = threading.Event(), threading.Event()
    with rig.running():
        (row,) = ended(rig, [complete(rig, 99)])
        assert row.state is State.DONE
        templates = rig.bridge.templates
        check = templates.check

        def slow(bundle: TemplateBundle) -> Sequence[Problem]:
            looking.set()
            assert go_on.wait(30)
            return list(check(bundle))

        monkeypatch.setattr(templates, "check", slow)
        number = complete(rig, 0)
        try:
            assert looking.wait(30)
            for work in (templates.refresh, lambda: templates.version("classic")):
                thread = threading.Thread(target=work)
                thread.start()
                thread.join(20)
                assert not thread.is_alive()
        finally:
            go_on.set()
        (row,) = ended(rig, [number])
        assert row.state is State.DONE, row.reason


def test_pictures_that_unfold_are_stopped_or_drawn_within_the_limits(rig: Rig) -> None:
    pages = ['{{ name }}<img src="{{ image("big.png") }}">', '{{ name }}<img src="{{ image("entities.svg") }}">']
    entities = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10 if n else b"ha" * 50) for n in range(9))
    svg = b'<?xml version="1.0"?><!DOCTYPE svg [' + entities + b'<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    svg += b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>&e8;&f;</text></svg>'
    with_templates(rig, pages, big__png=big_png(30_000), entities__svg=svg)
    with rig.running():
        ended(rig, [complete(rig, number) for number in range(len(pages))])
        for text in issued_texts(rig):
            assert "root:" not in text
            assert "hahaha" not in text
        others_go_on(rig)


def issued_texts(rig: Rig) -> list[str]:
    """Returns what stands on every certificate that was issued."""
    issued = [found.certificate.id for found in rig.certificates() if found.certificate.state == "issued"]
    return [rig.pdf_text(identifier) for identifier in issued]


@contextmanager
def listener() -> Iterator[tuple[int, list[str]]]:
    """A port on this machine that notes whoever knocks."""
    knocked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        stopping = threading.Event()

        def wait() -> None:
            while not stopping.is_set():
                try:
                    connection, peer = server.accept()
                except TimeoutError:
                    continue
                knocked.append(str(peer))
                connection.close()

        thread = threading.Thread(target=wait)
        thread.start()
        try:
            yield server.getsockname()[1], knocked
        finally:
            stopping.set()
            thread.join()


def test_a_template_reaches_nothing_outside_its_folder(rig: Rig) -> None:
    with listener() as (port, knocked):
        at = f"http://127.0.0.1:{port}"
        svg = f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{at}/a.png" width="9" height="9"/></svg>'
        pages = (
            f'<img src="{at}/x.png">',
            '<img src="http://169.254.169.254/latest/meta-data/">',
            '<img src="file:///etc/passwd">',
            '<img src="/etc/passwd">',
            f"<style>@import url({at}/x.css);</style>",
            f"<style>@font-face {{ font-family: x; src: url({at}/x.ttf); }} p {{ font-family: x }}</style><p>y</p>",
            f"<style>@page {{ background-image: url({at}/x.pdf); }}</style>",
            f'<link rel="stylesheet" href="{at}/x.css">',
            f'<pdf:barcode value="{at}"/><object data="{at}/x.svg"></object><embed src="{at}/y"><iframe src="{at}/z">',
            '<img src="data:image/svg+xml;base64,' + base64.b64encode(svg.encode()).decode() + '">',
            '{% include "../../config.yaml" %}',
            '{% include "/etc/passwd" %}',
            "{{ image('../classic/seal.svg') }}",
        )
        with_templates(rig, pages)
        with rig.running():
            rows = ended(rig, [complete(rig, number) for number in range(len(pages))])
            for page, row in zip(pages, rows, strict=True):
                assert row.state in (*STOPPED, State.DONE), (page, row.reason)
            for text in issued_texts(rig):
                assert "root:" not in text
                assert "public_url" not in text
            others_go_on(rig)
    assert knocked == []


def test_the_name_of_a_template_is_never_a_path(rig: Rig) -> None:
    outside = rig.folder / "outside"
    outside.mkdir()
    (outside / "certificate.html").write_text("<p>{{ name }} outside</p>")
    (rig.folder / "templates").mkdir()
    names = ("../outside", "../../outside", str(outside), "classic/../../outside", ".", "..", "%2e%2e/outside")
    courses = "".join(f'  {number}: {{title: x, template: "{name}"}}\n' for number, name in enumerate(names))
    rig.mapping("thinkific", f"extends: thinkific\ncourses:\n{courses}")
    with pytest.raises(ConfigError) as refused, rig.running():
        raise AssertionError("started")
    assert len(refused.value.problems) == len(names)
    for name in names:
        with pytest.raises(ConfigError):
            load_template(name, rig.folder / "templates")


def test_check_finds_a_bomb_before_anybody_completes(rig: Rig) -> None:
    with_templates(rig, [BOMBS["sandbox"]])
    rig.config()
    assert "bomb-0" in "\n".join(str(problem) for problem in check(rig.folder / "config.yaml", {}))
