"""Mappings, templates and assets by their hash, and which of them is in force on all nodes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from bridge.store import queue
from bridge.store.tables import active as active_table
from bridge.store.tables import artifacts
from bridge.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """One version of a mapping, a template or an asset."""

    sha256: str
    kind: str
    name: str
    bytes: bytes


@dataclass(frozen=True, slots=True)
class ActiveRow:
    """Which version is in force, and who put it there."""

    sha256: str
    by: str
    at: datetime


def put(tx: Transaction, kind: str, name: str, content: bytes) -> str:
    """Stores content once and returns its SHA-256 in hex; the first name it came under stays."""
    sha256 = hashlib.sha256(content).hexdigest()
    values = {"sha256": sha256, "kind": kind, "name": name, "bytes": content}
    queue.insert_new(tx, artifacts, values)
    return sha256


def get(tx: Transaction, sha: str) -> ArtifactRow | None:
    """Returns the content with this hash."""
    row = tx.connection.execute(select(artifacts).where(artifacts.c.sha256 == sha)).one_or_none()
    return None if row is None else ArtifactRow(row.sha256, row.kind, row.name, bytes(row.bytes))


def activate(tx: Transaction, kind: str, name: str, sha: str, by: str) -> None:
    """Puts a stored version in force."""
    values = {"kind": kind, "name": name, "sha256": sha, "by": by, "at": tx.now}
    queue.upsert(tx, active_table, ("kind", "name"), values)


def active(tx: Transaction, kind: str, name: str) -> ActiveRow | None:
    """Returns which version is in force."""
    found = select(active_table.c.sha256, active_table.c.by, active_table.c.at).where(
        active_table.c.kind == kind, active_table.c.name == name
    )
    row = tx.connection.execute(found).one_or_none()
    return None if row is None else ActiveRow(row.sha256, row.by, row.at)
