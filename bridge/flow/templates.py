"""The certificate templates in force: read from their folder, kept by content, so that old versions render the same."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from bridge.core.models import Certificate
from bridge.issuing.job import RenderJob, Status
from bridge.issuing.template import TemplateBundle, load_template
from bridge.store import artifacts
from bridge.store.engine import Store, Transaction

KIND = "template"


@dataclass
class Templates:
    """Hands out templates by name (the version in force) and by hash (any version ever used)."""

    store: Store
    folder: Path | None
    node: str
    _by_sha: dict[str, TemplateBundle] = field(default_factory=dict)
    _active: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def version(self, name: str) -> str:
        """Returns the hash of the version in force. Raises ConfigError naming what is wrong with the template."""
        with self._lock:
            if name not in self._active:
                self._put_in_force(name)
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

    def _put_in_force(self, name: str) -> None:
        bundle = load_template(name, self.folder)
        content = bundle.pack()

        def write(tx: Transaction) -> str:
            sha = artifacts.put(tx, KIND, name, content)
            active = artifacts.active(tx, KIND, name)
            if active is None or active.sha256 != sha:
                artifacts.activate(tx, KIND, name, sha, self.node)
            return sha

        sha = self.store.transact(write)
        self._by_sha[sha] = bundle
        self._active[name] = sha
