"""What polling needs: keys of events without a certificate, how many were issued of late, when a source was added."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# Written out rather than imported: a revision must stay what it was when the code moves on.
INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds them, and notes the events that are there: no poll shall bring in what was cancelled."""
    op.create_table(
        "event_keys",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("inbox_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["inbox_id"], ["inbox.id"], name=op.f("fk_event_keys_inbox_id")),
        sa.PrimaryKeyConstraint("source", "test", "key", name=op.f("pk_event_keys")),
    )
    op.create_index("ix_event_keys_inbox_id", "event_keys", ["inbox_id"])
    op.create_index("ix_certificates_issued_at", "certificates", ["issued_at"])
    op.add_column("sources", sa.Column("added_at", INSTANT, nullable=True))
    _note_events(op.get_bind())


def downgrade() -> None:
    """Removes them."""
    op.drop_column("sources", "added_at")
    op.drop_index("ix_certificates_issued_at", "certificates")
    op.drop_table("event_keys")


def _note_events(connection: sa.Connection) -> None:
    # Those with a completion are known by its keys, and what was ignored at the door is no completion.
    found = connection.execute(
        sa.text(
            "SELECT id, source, test, COALESCE(record, payload) FROM inbox WHERE completion_id IS NULL "
            "AND payload IS NOT NULL AND state NOT IN ('ignored', 'done') ORDER BY id"
        )
    )
    add = sa.text("INSERT INTO event_keys (source, test, key, inbox_id) VALUES (:source, :test, :key, :inbox_id)")
    noted: set[tuple[str, bool, str]] = set()
    for number, source, test, written in found.all():
        for key in _keys(json.loads(written)):
            one = (source, bool(test), key)
            if one not in noted:
                noted.add(one)
                values = {"source": source, "test": bool(test), "key": key, "inbox_id": number}
                connection.execute(add, values)


def _keys(event: dict[str, object]) -> Iterator[str]:
    keys, subject, course, at = (event.get(name) for name in ("keys", "subject", "course", "occurred_at"))
    yield from (_stored(one) for one in (keys if isinstance(keys, list) else []) if isinstance(one, str))
    if isinstance(subject, str) and isinstance(course, str) and isinstance(at, str):
        yield _stored(f"\x1f{subject}\x1f{course}\x1f{datetime.fromisoformat(at).date().isoformat()}")


def _stored(text: str) -> str:
    text = text.replace("\0", "\ufffd")
    if len(text.encode("utf-8")) <= 512:
        return text
    return f"{text[:64]}…sha256:{hashlib.sha256(text.encode('utf-8')).hexdigest()}"
