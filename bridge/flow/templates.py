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
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def version(self, name: str) -> str:
        """Returns the hash of the version in force; a broken edit never replaces a working one.

        Raises ConfigError naming what is wrong with a template that never worked.
        """
        with self._lock:
            if name not in self._active:
                self._active[name] = self._newest(name)
            return self._active[name]

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
            if problems := self.check(bundle):
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
        self._by_sha[sha] = bundle
        return sha
