"""The certificate templates in force: read from their folder, kept by content, so that old versions render the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import structlog

from bridge.core.errors import ConfigError, Problem
from bridge.core.models import Certificate
from bridge.issuing.job import RenderJob, Status
from bridge.issuing.template import TemplateBundle, load_template
from bridge.store import artifacts
from bridge.store.engine import Store, Transaction

log = structlog.get_logger(__name__)

KIND = "template"
REFUSED = 60.0
"""Seconds that a refused template is taken for broken without drawing it again."""
SETTLED = 2.0
"""Seconds that an edited template must lie still before it is looked at."""


@dataclass
class Templates:
    """Hands out templates by name (the version in force) and by hash (any version ever used)."""

    store: Store
    folder: Path | None
    node: str
    check: Callable[[TemplateBundle], Sequence[Problem]]
    """Draws a sample and says what is wrong with it."""
    problems: dict[str, str] = field(default_factory=dict)
    """Template name to what is wrong with its files now; the version in force stays in use."""
    _by_sha: dict[str, TemplateBundle] = field(default_factory=dict)
    _active: dict[str, str] = field(default_factory=dict)
    _refused: dict[str, tuple[float, Sequence[Problem]]] = field(default_factory=dict)
    _looking: dict[str, threading.Lock] = field(default_factory=dict)
    """One for each template, held while its files are looked at."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """For the dictionaries; never held while anything is drawn."""

    def version(self, name: str) -> str:
        """Returns the hash of the version in force; a broken edit never replaces a working one.

        Raises ConfigError naming what is wrong with a template that never worked.
        """
        with self._lock:
            known = self._active.get(name)
            looking = self._looking.setdefault(name, threading.Lock())
        if known is not None:
            return known
        # Drawing a sample may take a minute when the template has no end: whoever prints another one, and the loop
        # that claims all work, must not wait for that.
        with looking:
            with self._lock:
                known = self._active.get(name)
            if known is None:
                known = self._newest(name)
                with self._lock:
                    self._active[name] = known
            return known

    def refresh(self) -> None:
        """Forgets which versions are in force, so that edited files are read again; called on a schedule."""
        with self._lock:
            self._active.clear()

    def bundle(self, sha256: str) -> TemplateBundle:
        """Returns any version ever put in force. Raises LookupError."""
        with self._lock:
            if sha256 not in self._by_sha:
                stored = self.store.read(lambda tx: artifacts.get(tx, sha256))
                if stored is None:
                    raise LookupError(f"template version {sha256} is not in the store")
                self._by_sha[sha256] = TemplateBundle.unpack(stored.bytes)
            return self._by_sha[sha256]

    def job(
        self, certificate: Certificate, sha256: str, *, status: Status = "valid", corrected_on: date | None = None
    ) -> RenderJob:
        """Returns what the renderer needs for one version of a certificate."""
        return RenderJob(certificate, self.bundle(sha256), status=status, corrected_on=corrected_on)

    def _newest(self, name: str) -> str:
        kept = self.store.read(lambda tx: artifacts.active(tx, KIND, name))
        try:
            bundle = load_template(name, self.folder)
            if kept is not None and (bundle.sha256 == kept.sha256 or self._being_saved(name)):
                return kept.sha256
            if problems := self._looked_at(bundle):
                raise ConfigError(problems)
        except ConfigError as error:
            if kept is None:
                raise
            if self.problems.get(name) != str(error):
                self.problems[name] = str(error)
                log.error("template refused", template=name, problems=f"{error}\nThe version in force stays in use.")
            return kept.sha256
        self.problems.pop(name, None)
        return self._put_in_force(name, bundle)

    def _looked_at(self, bundle: TemplateBundle) -> Sequence[Problem]:
        """Returns what is wrong with a template; one that was refused is not drawn again for a while."""
        refused = self._refused.get(bundle.sha256)
        if refused is not None and time.monotonic() - refused[0] < REFUSED:
            return refused[1]
        problems = self.check(bundle)
        if problems:
            self._refused = {bundle.sha256: (time.monotonic(), problems)}
        return problems

    def _being_saved(self, name: str) -> bool:
        """Tells whether a file of the template changed a moment ago: editors empty a file before they write it."""
        folder = self.folder / name if self.folder is not None else None
        if folder is None or not folder.is_dir():
            return False
        newest = max((file.stat().st_mtime for file in folder.iterdir()), default=0.0)
        return abs(time.time() - newest) < SETTLED

    def _put_in_force(self, name: str, bundle: TemplateBundle) -> str:
        content = bundle.pack()

        def write(tx: Transaction) -> str:
            sha = artifacts.put(tx, KIND, name, content)
            active = artifacts.active(tx, KIND, name)
            if active is None or active.sha256 != sha:
                artifacts.activate(tx, KIND, name, sha, self.node)
            return sha

        sha = self.store.transact(write)
        with self._lock:
            self._by_sha[sha] = bundle
        return sha
