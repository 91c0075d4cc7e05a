"""The tables of certbridge; migrations/ creates them and a test holds the two equal."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)

from bridge.store.types import CivilDate, Instant, JsonText, KeyText, PlainText, RowId

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _id() -> Column[int]:
    return Column("id", RowId, primary_key=True, autoincrement=True)


def _queue() -> list[Column[Any]]:
    """Returns the columns every table of work has."""
    return [
        Column("state", PlainText, nullable=False),
        Column("due_at", Instant),  # the next try, or the end of the lease; none: nobody will take it
        Column("lease_token", PlainText),
        Column("leased_by", PlainText),
        Column("attempts", Integer, nullable=False),
        Column("code", PlainText),
        Column("reason", PlainText),
    ]


def _due_index(table: Table, lane: str) -> Index:
    """Work is looked for lane by lane (a source, a destination), so that a full one costs the others nothing."""
    due_at = table.c.due_at
    waits = due_at.is_not(None)
    return Index(f"ix_{table.name}_due_at", table.c[lane], due_at, sqlite_where=waits, postgresql_where=waits)


sources = Table(
    "sources",
    metadata,
    Column("name", KeyText, primary_key=True),
    Column("connector", PlainText),
    Column("since", Instant, nullable=False),
    Column("cursor", JsonText, nullable=False),
    Column("paused_until", Instant),
    Column("pause_reason", PlainText),
    Column("last_request_at", Instant),
    Column("last_event_at", Instant),
    Column("added_at", Instant),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("sha256", PlainText, primary_key=True),
    Column("kind", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
)

active = Table(
    "active",
    metadata,
    Column("kind", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    Column("sha256", PlainText, ForeignKey("artifacts.sha256"), nullable=False),
    Column("by", PlainText, nullable=False),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("kind", "name"),
)

requests = Table(
    "requests",
    metadata,
    _id(),
    Column("source", KeyText, nullable=False),
    Column("entry", PlainText, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("method", PlainText, nullable=False),
    Column("target", PlainText, nullable=False),
    Column("headers", JsonText, nullable=False),
    Column("body", LargeBinary),
    Column("body_sha256", PlainText, nullable=False),
    Column("size", Integer, nullable=False),
    Column("peer", PlainText, nullable=False),
    Column("outcome", PlainText, nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("status", Integer, nullable=False),
    Index("ix_requests_source_outcome_received_at", "source", "outcome", "received_at"),
    sqlite_autoincrement=True,
)

completions = Table(
    "completions",
    metadata,
    _id(),
    Column("source", KeyText, nullable=False),
    Column("test", Boolean, nullable=False),
    Column("subject", KeyText, nullable=False),
    Column("course", KeyText, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("completed_at", Instant),
    Column("completed_on", CivilDate, nullable=False),
    UniqueConstraint("source", "test", "subject", "course", "cycle"),
    sqlite_autoincrement=True,
)

completion_keys = Table(
    "completion_keys",
    metadata,
    Column("source", KeyText, nullable=False),
    Column("test", Boolean, nullable=False),
    Column("key", KeyText, nullable=False),
    Column("completion_id", RowId, ForeignKey("completions.id"), nullable=False),
    PrimaryKeyConstraint("source", "test", "key"),
    Index("ix_completion_keys_completion_id", "completion_id"),
)

inbox = Table(
    "inbox",
    metadata,
    _id(),
    # No foreign key: requests are forgotten sooner than events.
    Column("request_id", RowId),
    Column("source", KeyText, nullable=False),
    Column("test", Boolean, nullable=False),
    Column("event_id", KeyText, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body_sha256", PlainText, nullable=False),
    Column("event_type", PlainText, nullable=False),
    Column("occurred_at", Instant),
    Column("payload", JsonText),
    Column("record", JsonText),
    Column("stage", PlainText, nullable=False),
    *_queue(),
    Column("completion", JsonText),
    Column("overrides", JsonText, nullable=False),
    Column("completion_id", RowId, ForeignKey("completions.id")),
    Column("mapping_sha", PlainText),
    Column("batch_id", PlainText),
    Column("row_key", PlainText),
    Column("deliveries", Integer, nullable=False),
    UniqueConstraint("source", "test", "event_id", "revision"),
    Index("ix_inbox_completion_id", "completion_id"),
    Index("ix_inbox_source_state", "source", "state"),
    sqlite_autoincrement=True,
)
_due_index(inbox, "source")

event_keys = Table(
    "event_keys",
    metadata,
    Column("source", KeyText, nullable=False),
    Column("test", Boolean, nullable=False),
    Column("key", KeyText, nullable=False),
    Column("inbox_id", RowId, ForeignKey("inbox.id"), nullable=False),
    PrimaryKeyConstraint("source", "test", "key"),
    Index("ix_event_keys_inbox_id", "inbox_id"),
)

certificates = Table(
    "certificates",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("completion_id", RowId, ForeignKey("completions.id"), nullable=False, unique=True),
    Column("test", Boolean, nullable=False),
    Column("issuer", PlainText, nullable=False),
    Column("state", PlainText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("issued_at", Instant),
    Column("issued_on", CivilDate, nullable=False),
    Column("expires_on", CivilDate),
    Column("zone", PlainText, nullable=False),
    Column("locale", PlainText, nullable=False),
    Column("visibility", PlainText, nullable=False),
    Column("recipient_key", PlainText),
    Column("revoked_at", Instant),
    Column("revoke_reason", PlainText),
    Index("ix_certificates_recipient_key", "recipient_key"),
    Index("ix_certificates_issued_at", "issued_at"),
)

versions = Table(
    "versions",
    metadata,
    Column("certificate_id", PlainText, ForeignKey("certificates.id"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("data", JsonText, nullable=False),
    Column("template_sha", PlainText, nullable=False),
    Column("mapping_sha", PlainText, nullable=False),
    Column("key_id", PlainText),
    Column("status_list", Integer),
    Column("status_index", Integer),
    Column("reason", PlainText, nullable=False),
    Column("by", PlainText, nullable=False),
    PrimaryKeyConstraint("certificate_id", "n"),
)

files = Table(
    "files",
    metadata,
    Column("certificate_id", PlainText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", PlainText, nullable=False),
    Column("media_type", PlainText, nullable=False),
    Column("sha256", PlainText, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    PrimaryKeyConstraint("certificate_id", "version", "kind"),
    ForeignKeyConstraint(["certificate_id", "version"], ["versions.certificate_id", "versions.n"]),
)

outbox = Table(
    "outbox",
    metadata,
    _id(),
    Column("kind", PlainText, nullable=False),
    Column("destination", KeyText, nullable=False),
    Column("step", KeyText, nullable=False),
    Column("test", Boolean, nullable=False),
    Column("certificate_id", PlainText, ForeignKey("certificates.id")),
    Column("version", Integer),
    Column("target", JsonText, nullable=False),
    Column("payload", JsonText),
    Column("dedupe_key", KeyText, nullable=False, unique=True),
    Column("after_id", RowId, ForeignKey("outbox.id")),
    Column("lock_key", KeyText),
    Column("memo", JsonText, nullable=False),
    Column("receipt", JsonText),
    *_queue(),
    Index("ix_outbox_certificate_id", "certificate_id"),
    Index("ix_outbox_after_id", "after_id"),
    Index("ix_outbox_lock_key", "lock_key"),
    sqlite_autoincrement=True,
)
_due_index(outbox, "destination")

attempts = Table(
    "attempts",
    metadata,
    _id(),
    Column("inbox_id", RowId),
    Column("outbox_id", RowId),
    Column("n", Integer, nullable=False),
    Column("node", PlainText, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant, nullable=False),
    Column("outcome", PlainText, nullable=False),
    Column("code", PlainText),
    Column("reason", PlainText),
    Column("request", JsonText),
    Column("response", JsonText),
    Index("ix_attempts_inbox_id", "inbox_id"),
    Index("ix_attempts_outbox_id", "outbox_id"),
    sqlite_autoincrement=True,
)

history = Table(
    "history",
    metadata,
    _id(),
    Column("at", Instant, nullable=False),
    Column("kind", PlainText, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("test", Boolean, nullable=False),
    # No foreign keys: the audit trail outlives what it speaks of.
    Column("certificate_id", PlainText),
    Column("inbox_id", RowId),
    Column("outbox_id", RowId),
    Column("data", JsonText, nullable=False),
    Index("ix_history_certificate_id", "certificate_id"),
    Index("ix_history_inbox_id", "inbox_id"),
    sqlite_autoincrement=True,
)

leases = Table(
    "leases",
    metadata,
    Column("name", PlainText, primary_key=True),
    Column("holder", PlainText, nullable=False),
    Column("token", PlainText, nullable=False),
    Column("until", Instant, nullable=False),
)
