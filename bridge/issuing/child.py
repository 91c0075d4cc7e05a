"""The rendering process: reads jobs from a socket, draws them within limits, and keeps fonts and templates warm.

It gets no environment, no open files and no secrets from its parent, because an admin's template runs in it. Messages
are JSON and bytes, never pickles: a parent must be able to distrust what comes back.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import struct
import sys
import time
from collections import OrderedDict
from typing import Any, Final

from bridge.core.errors import BridgeError, HeldError, PermanentError
from bridge.issuing import artwork, fonts, html, pdf
from bridge.issuing.job import from_wire
from bridge.issuing.preflight import preflight
from bridge.issuing.template import TemplateBundle

_HEAD: Final = struct.Struct("!II")
MAX_MESSAGE: Final = 64 * 1024 * 1024
_TEMPLATES: Final = 16


class Closed(Exception):
    """The other end is gone."""


def send(connection: socket.socket, values: dict[str, Any], content: bytes = b"") -> None:
    """Writes one message: a JSON object and bytes."""
    text = json.dumps(values).encode()
    connection.sendall(_HEAD.pack(len(text), len(content)) + text + content)


def receive(connection: socket.socket, *, most: int = MAX_MESSAGE) -> tuple[dict[str, Any], bytes]:
    """Reads one message. Raises Closed at the end, ValueError for one above `most` bytes or no JSON object."""
    text_length, content_length = _HEAD.unpack(_exactly(connection, _HEAD.size))
    if text_length + content_length > most:
        raise ValueError("a message of the rendering process is too long")
    values = json.loads(_exactly(connection, text_length))
    if not isinstance(values, dict):
        raise ValueError("a message of the rendering process is not an object")
    return values, _exactly(connection, content_length)


def _exactly(connection: socket.socket, length: int) -> bytes:
    buffer = bytearray()
    while len(buffer) < length:
        piece = connection.recv(min(length - len(buffer), 1 << 20))
        if not piece:
            raise Closed
        buffer += piece
    return bytes(buffer)


class _Desk:
    """Draws one job after the other."""

    def __init__(self, *, timeout: float, output_bytes: int) -> None:
        self._timeout = timeout
        self._output_bytes = output_bytes
        self._templates: OrderedDict[str, TemplateBundle] = OrderedDict()

    def answer(self, request: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
        template = self._template(request["template"], content)
        if template is None:
            return {"result": "send_template"}, b""
        try:
            drawn = self._draw(request, template)
        except HeldError as error:
            return {"result": "held", "code": error.stable_code, "message": str(error)}, b""
        except BridgeError as error:
            return {"result": "permanent", "code": "template", "message": str(error)}, b""
        return {"result": "drawn", "warnings": drawn.warnings}, drawn.content

    def _draw(self, request: dict[str, Any], template: TemplateBundle) -> pdf.Drawn:
        job = from_wire(request, template).cleaned()
        preflight(job.certificate.data)
        drawn = pdf.draw(html.render_html(job), job, seconds=self._timeout)
        if len(drawn.content) > self._output_bytes:
            raise PermanentError(
                f'The PDF made with the template "{template.name}" has {len(drawn.content) // 1024} kB; at most '
                f"{self._output_bytes // 1024} kB are allowed. Make the images of the template smaller."
            )
        return drawn

    def _template(self, sha256: str, content: bytes) -> TemplateBundle | None:
        if sha256 not in self._templates and content:
            self._templates[sha256] = TemplateBundle.unpack(content)
            if len(self._templates) > _TEMPLATES:
                self._templates.popitem(last=False)
        return self._templates.get(sha256)


def limit(*, memory_bytes: int) -> None:
    """Bounds what this process may take from the machine for good, and lets the receiver go first."""
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_MESSAGE, MAX_MESSAGE))


def limit_cpu(seconds: float) -> None:
    """Lets this process use that much more processor time, then the kernel ends it."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + seconds) + 2, hard))


def warm() -> None:
    """Loads what the first certificate would otherwise wait for."""
    import pypdf  # noqa: F401
    import qrcode.image.pure  # noqa: F401
    import svglib.svglib  # noqa: F401
    import xhtml2pdf.document  # noqa: F401

    fonts.register()
    fonts.drawable()
    artwork.keep_parsed()


def serve(connection: socket.socket, *, timeout: float, memory_bytes: int, output_bytes: int) -> None:
    """Answers jobs until the parent closes the socket or memory runs out."""
    limit(memory_bytes=memory_bytes)
    warm()
    desk = _Desk(timeout=timeout, output_bytes=output_bytes)
    send(connection, {"result": "ready"})
    while True:
        try:
            request, content = receive(connection)
        except Closed:
            return
        limit_cpu(timeout)
        try:
            values, drawn = desk.answer(request, content)
        except (MemoryError, RecursionError, SystemError) as error:
            # SystemError is how the interpreter itself fails without memory. What is left of this process cannot be
            # trusted; the parent starts another.
            send(connection, {"result": "spent", "reason": type(error).__name__})
            return
        except Exception as error:  # noqa: BLE001 (any fault of the engine is told to the parent, then the process ends)
            send(connection, {"result": "failed", "reason": f"{type(error).__name__}: {error}"[:500]})
            return
        send(connection, values, drawn)


def main() -> None:
    """Runs the process: `python -m bridge.issuing.child FD TIMEOUT MEMORY OUTPUT`."""
    descriptor, timeout, memory_bytes, output_bytes = sys.argv[1:5]
    with socket.socket(fileno=int(descriptor)) as connection:
        serve(connection, timeout=float(timeout), memory_bytes=int(memory_bytes), output_bytes=int(output_bytes))


if __name__ == "__main__":
    main()
