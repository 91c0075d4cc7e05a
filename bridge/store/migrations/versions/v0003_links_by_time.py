"""What a certificate renews is told by the time of its completion, so it is stored no more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Drops the link that followed the order of arrival."""
    with op.batch_alter_table("certificates") as certificates:
        certificates.drop_constraint("fk_certificates_renews", type_="foreignkey")
        certificates.drop_column("renews")


def downgrade() -> None:
    """Brings the column back, empty."""
    with op.batch_alter_table("certificates") as certificates:
        certificates.add_column(sa.Column("renews", sa.Text(), nullable=True))
        certificates.create_foreign_key("fk_certificates_renews", "certificates", ["renews"], ["id"])
