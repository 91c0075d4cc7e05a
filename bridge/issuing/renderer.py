"""Owns the rendering processes: hands each a job, waits no longer than allowed, and replaces the ones that fail."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from pypdf import PdfReader

import bridge
from bridge.core import certificate_id
from bridge.core.errors import ConfigError, HeldError, PermanentError, Problem, TemporaryError
from bridge.issuing import child
from bridge.issuing.html import fields_of, static_problems
from bridge.issuing.job import RenderJob, to_wire
from bridge.issuing.template import TemplateBundle
from bridge.issuing.words import sample_job

_START_SECONDS: Final = 60.0
_JOBS_PER_CHILD: Final = 2000
"""After this many a process is replaced, so that no leak in a library can grow for ever."""
_GOES_ON: Final = ("drawn", "held", "permanent")
"""Answers after which a process waits for the next job; after any other it ends, and must not get an honest one."""


class Renderer:
    """A pool of rendering processes; `render` may be called from many threads."""

    def __init__(
        self,
        *,
        workers: int,
        timeout: float = 30.0,
        memory_bytes: int = 512 * 1024 * 1024,
        output_bytes: int = 10 * 1024 * 1024,
    ) -> None:
        """Starts `workers` processes in the background; `timeout` is seconds for one certificate."""
        self._timeout = timeout
        self._limits = (timeout, memory_bytes, output_bytes)
        self._output_bytes = output_bytes
        self._closed = threading.Event()
        self._idle: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(max(1, workers)):
            self._idle.put(_Child(*self._limits))

    def render(self, job: RenderJob) -> bytes:
        """Returns the PDF.

        Raises HeldError (`glyphs`, `does_not_fit`, `missing_text`, `missing_field`) when a person has to change a text,
        PermanentError (`template`) when the template is at fault, TemporaryError (`render_crashed`, `render_timeout`)
        when the process died or was too slow.
        """
        return self._render(job)[0]

    def drawn(self, job: RenderJob) -> tuple[bytes, list[str]]:
        """Renders the job and returns the PDF with what the PDF engine complained about."""
        return self._render(job)

    def close(self) -> None:
        """Ends all processes; those at work are ended when their job is done."""
        self._closed.set()
        while True:
            try:
                worker = self._idle.get_nowait()
            except queue.Empty:
                # Whoever still waits for a process is woken, one after the other, and told that we are stopping.
                self._idle.put(None)
                return
            if worker is not None:
                worker.stop()

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _render(self, job: RenderJob) -> tuple[bytes, list[str]]:
        worker = self._idle.get()
        keep: _Child | None = None
        try:
            if self._closed.is_set():
                raise TemporaryError("certbridge is stopping; the certificate is made after the next start.")
            if worker is not None and not worker.alive:
                worker.stop()
                worker = None
            worker = worker or _Child(*self._limits)
            values, content = worker.ask(job, seconds=self._timeout, most=self._output_bytes)
            keep = worker if values.get("result") in _GOES_ON and worker.jobs < _JOBS_PER_CHILD else None
        finally:
            if keep is None and worker is not None:
                worker.stop()
            # None stands for "start a new one": the place in the pool is never lost.
            self._idle.put(keep)
            if self._closed.is_set():
                self.close()
        return _result(values, content)


class _Child:
    """One rendering process and our end of its socket."""

    def __init__(self, timeout: float, memory_bytes: int, output_bytes: int) -> None:
        ours, theirs = socket.socketpair()
        arguments = [str(theirs.fileno()), str(timeout), str(memory_bytes), str(output_bytes)]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (our own module, fixed arguments)
                [sys.executable, "-m", child.__name__, *arguments],
                pass_fds=(theirs.fileno(),),
                env=_environment(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Ctrl-C in a terminal must not end a certificate half-way.
                start_new_session=True,
            )
        self._socket = ours
        self._ready = False
        self.jobs = 0

    @property
    def alive(self) -> bool:
        """Whether the process still runs; an idle one may have been killed by the machine."""
        return self._process.poll() is None

    def ask(self, job: RenderJob, *, seconds: float, most: int) -> tuple[dict[str, Any], bytes]:
        """Returns the answer to a job. Raises TemporaryError when there is none."""
        if not self._ready:
            self._exchange(None, seconds=_START_SECONDS, most=most)
            self._ready = True
        self.jobs += 1
        request, deadline = to_wire(job), time.monotonic() + seconds
        values, content = self._exchange((request, b""), seconds=seconds, most=most)
        if values.get("result") == "send_template":
            left = deadline - time.monotonic()
            values, content = self._exchange((request, job.template.pack()), seconds=left, most=most)
        return values, content

    def _exchange(
        self, message: tuple[dict[str, Any], bytes] | None, *, seconds: float, most: int
    ) -> tuple[dict[str, Any], bytes]:
        # The watch ends the process, which ends the read below: a deadline for the whole exchange, not for each recv.
        timed_out = threading.Event()
        watch = threading.Timer(max(seconds, 0.01), self._end, args=(timed_out,))
        watch.daemon = True  # Python must not wait at its end for a certificate nobody waits for
        watch.start()
        try:
            if message is not None:
                child.send(self._socket, *message)
            return child.receive(self._socket, most=most + 1024 * 1024)
        except (child.Closed, OSError, ValueError, RecursionError) as error:
            raise self._failure(timed_out.is_set(), seconds) from error
        finally:
            watch.cancel()

    def _end(self, timed_out: threading.Event) -> None:
        timed_out.set()
        self._process.kill()
        # Already closed when the answer came at the last moment.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _failure(self, timed_out: bool, seconds: float) -> TemporaryError:
        self._process.kill()
        code = self._process.wait()
        if timed_out or code == -signal.SIGXCPU:
            return TemporaryError(
                f"Drawing the certificate took longer than {seconds:.0f} seconds and was stopped.",
                code="render_timeout",
            )
        return TemporaryError(
            f"The rendering process ended unexpectedly (status {code}). If this repeats, look at the template.",
            code="render_crashed",
        )

    def stop(self) -> None:
        """Ends the process now."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


def _environment() -> dict[str, str]:
    """Returns the child's whole environment: where to import from, and nothing that could be a secret."""
    ours = str(Path(bridge.__file__).resolve().parent.parent)
    paths = [ours, *(entry for entry in sys.path if entry and os.path.isabs(entry) and entry != ours)]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _result(values: dict[str, Any], content: bytes) -> tuple[bytes, list[str]]:
    message = str(values.get("message", ""))[:2000]
    match values.get("result"):
        case "drawn":
            return content, [str(warning) for warning in values.get("warnings", ())]
        case "held":
            raise HeldError(message, code=str(values.get("code", "held")))
        case "permanent":
            raise PermanentError(message, code="template")
        case "spent":
            raise TemporaryError(
                "Drawing the certificate needed more memory than allowed. If this repeats, simplify the template or "
                "make its images smaller.",
                code="render_crashed",
            )
    raise TemporaryError(f"The rendering process failed: {values.get('reason', 'no reason')}", code="render_crashed")


def check_template(bundle: TemplateBundle, renderer: Renderer | None = None) -> list[Problem]:
    """Returns everything wrong with a template: its syntax, unknown words, and what happens when a sample is drawn.

    The template runs in a rendering process, of its own unless a renderer is given.
    """
    try:
        problems = static_problems(bundle)
        if problems:
            return problems
        fields = {name.removeprefix("fields."): "8" for name in fields_of(bundle) if name.startswith("fields.")}
        if renderer is not None:
            return _drawn_problems(renderer, sample_job(bundle, fields=fields))
        with Renderer(workers=1) as own:
            return _drawn_problems(own, sample_job(bundle, fields=fields))
    except ConfigError as error:
        return list(error.problems)


def _drawn_problems(renderer: Renderer, job: RenderJob) -> list[Problem]:
    name = job.template.name
    try:
        content, warnings = _drawn_twice(renderer, job)
        missing = [Problem(None, f"{name}: {what} is not printed.") for what in _not_printed(content, job)]
        return [*(Problem(None, f"{name}: {warning}") for warning in warnings), *missing]
    except (HeldError, PermanentError, TemporaryError) as error:
        return [Problem(None, f"{job.template.name}, drawn with sample values: {error}")]


def _drawn_twice(renderer: Renderer, job: RenderJob) -> tuple[bytes, list[str]]:
    try:
        return renderer.drawn(job)
    except TemporaryError:  # a process that died of something else must not speak against the template
        return renderer.drawn(job)


def _not_printed(content: bytes, job: RenderJob) -> list[str]:
    """Returns what a certificate is worthless without and the drawn sample does not show (a half-saved file's)."""
    printed = "".join("".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages).split())
    data = job.certificate.data
    needed = {
        "the learner's name": data.recipient.name,
        "the course": data.course.title,
        "the certificate id": certificate_id.grouped(job.certificate.id),
    }
    return [what for what, text in needed.items() if "".join(text.split()) not in printed]
