"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Written out rather than imported: a revision must stay what it was when the code moves on.
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
DAY = sa.Date().with_variant(sa.Text(), "sqlite")
DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    """Creates every table; parents first."""
    _artifacts()
    _attempts()
    _completions()
    _history()
    _leases()
    _requests()
    _sources()
    _active()
    _certificates()
    _completion_keys()
    _inbox()
    _outbox()
    _versions()
    _files()


def downgrade() -> None:
    """Removes every table; children first."""
    for table in (
        "files",
        "versions",
        "outbox",
        "inbox",
        "completion_keys",
        "certificates",
        "active",
        "sources",
        "requests",
        "leases",
        "history",
        "completions",
        "attempts",
        "artifacts",
    ):
        op.drop_table(table)


def _artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_artifacts"),
    )


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", ROW_ID, nullable=False, autoincrement=True),
        sa.Column("inbox_id", ROW_ID, nullable=True),
        sa.Column("outbox_id", ROW_ID, nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("request", sa.Text(), nullable=True),
        sa.Column("response", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_attempts_inbox_id", "attempts", ["inbox_id"])
    op.create_index("ix_attempts_outbox_id", "attempts", ["outbox_id"])


def _completions() -> None:
    op.create_table(
        "completions",
        sa.Column("id", ROW_ID, nullable=False, autoincrement=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("course", sa.Text(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("completed_at", INSTANT, nullable=True),
        sa.Column("completed_on", DAY, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_completions"),
        sa.UniqueConstraint(
            "source", "test", "subject", "course", "cycle", name="uq_completions_source_test_subject_course_cycle"
        ),
        sqlite_autoincrement=True,
    )


def _history() -> None:
    op.create_table(
        "history",
        sa.Column("id", ROW_ID, nullable=False, autoincrement=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("certificate_id", sa.Text(), nullable=True),
        sa.Column("inbox_id", ROW_ID, nullable=True),
        sa.Column("outbox_id", ROW_ID, nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_history_certificate_id", "history", ["certificate_id"])
    op.create_index("ix_history_inbox_id", "history", ["inbox_id"])


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def _requests() -> None:
    op.create_table(
        "requests",
        sa.Column("id", ROW_ID, nullable=False, autoincrement=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("body_sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_requests"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_requests_source_outcome_received_at", "requests", ["source", "outcome", "received_at"])


def _sources() -> None:
    op.create_table(
        "sources",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("connector", sa.Text(), nullable=True),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("paused_until", INSTANT, nullable=True),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("last_request_at", INSTANT, nullable=True),
        sa.Column("last_event_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_sources"),
    )


def _active() -> None:
    op.create_table(
        "active",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_active"),
        sa.ForeignKeyConstraint(["sha256"], ["artifacts.sha256"], name="fk_active_sha256"),
    )


def _certificates() -> None:
    op.create_table(
        "certificates",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("completion_id", ROW_ID, nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("issued_at", INSTANT, nullable=True),
        sa.Column("issued_on", DAY, nullable=False),
        sa.Column("expires_on", DAY, nullable=True),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("recipient_key", sa.Text(), nullable=True),
        sa.Column("renews", sa.Text(), nullable=True),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.Column("revoke_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_certificates"),
        sa.UniqueConstraint("completion_id", name="uq_certificates_completion_id"),
        sa.ForeignKeyConstraint(["completion_id"], ["completions.id"], name="fk_certificates_completion_id"),
        sa.ForeignKeyConstraint(["renews"], ["certificates.id"], name="fk_certificates_renews"),
    )
    op.create_index("ix_certificates_recipient_key", "certificates", ["recipient_key"])


def _completion_keys() -> None:
    op.create_table(
        "completion_keys",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("completion_id", ROW_ID, nullable=False),
        sa.PrimaryKeyConstraint("source", "test", "key", name="pk_completion_keys"),
        sa.ForeignKeyConstraint(["completion_id"], ["completions.id"], name="fk_completion_keys_completion_id"),
    )
    op.create_index("ix_completion_keys_completion_id", "completion_keys", ["completion_id"])


def _inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", ROW_ID, nullable=False, autoincrement=True),
        sa.Column("request_id", ROW_ID, nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("body_sha256", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("occurred_at", INSTANT, nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("record", sa.Text(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=True),
        sa.Column("lease_token", sa.Text(), nullable=True),
        sa.Column("leased_by", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("completion", sa.Text(), nullable=True),
        sa.Column("overrides", sa.Text(), nullable=False),
        sa.Column("completion_id", ROW_ID, nullable=True),
        sa.Column("mapping_sha", sa.Text(), nullable=True),
        sa.Column("batch_id", sa.Text(), nullable=True),
        sa.Column("row_key", sa.Text(), nullable=True),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_inbox"),
        sa.UniqueConstraint("source", "test", "event_id", "revision", name="uq_inbox_source_test_event_id_revision"),
        sa.ForeignKeyConstraint(["completion_id"], ["completions.id"], name="fk_inbox_completion_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_inbox_completion_id", "inbox", ["completion_id"])
    op.create_index("ix_inbox_due_at", "inbox", ["source", "due_at"], sqlite_where=DUE, postgresql_where=DUE)
    op.create_index("ix_inbox_source_state", "inbox", ["source", "state"])


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", ROW_ID, nullable=False, autoincrement=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("certificate_id", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("dedupe_key", sa.Text(), nullable=False),
        sa.Column("after_id", ROW_ID, nullable=True),
        sa.Column("lock_key", sa.Text(), nullable=True),
        sa.Column("memo", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=True),
        sa.Column("lease_token", sa.Text(), nullable=True),
        sa.Column("leased_by", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("dedupe_key", name="uq_outbox_dedupe_key"),
        sa.ForeignKeyConstraint(["after_id"], ["outbox.id"], name="fk_outbox_after_id"),
        sa.ForeignKeyConstraint(["certificate_id"], ["certificates.id"], name="fk_outbox_certificate_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_after_id", "outbox", ["after_id"])
    op.create_index("ix_outbox_certificate_id", "outbox", ["certificate_id"])
    op.create_index("ix_outbox_due_at", "outbox", ["destination", "due_at"], sqlite_where=DUE, postgresql_where=DUE)
    op.create_index("ix_outbox_lock_key", "outbox", ["lock_key"])


def _versions() -> None:
    op.create_table(
        "versions",
        sa.Column("certificate_id", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("template_sha", sa.Text(), nullable=False),
        sa.Column("mapping_sha", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("status_list", sa.Integer(), nullable=True),
        sa.Column("status_index", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("certificate_id", "n", name="pk_versions"),
        sa.ForeignKeyConstraint(["certificate_id"], ["certificates.id"], name="fk_versions_certificate_id"),
    )


def _files() -> None:
    op.create_table(
        "files",
        sa.Column("certificate_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("certificate_id", "version", "kind", name="pk_files"),
        sa.ForeignKeyConstraint(
            ["certificate_id", "version"],
            ["versions.certificate_id", "versions.n"],
            name="fk_files_certificate_id_version",
        ),
    )
