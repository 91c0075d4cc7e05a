"""What polling needs: the keys of events without a certificate, and how many certificates were issued of late."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# Written out rather than imported: a revision must stay what it was when the code moves on.
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds the table and the index."""
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


def downgrade() -> None:
    """Removes them."""
    op.drop_index("ix_certificates_issued_at", "certificates")
    op.drop_table("event_keys")
