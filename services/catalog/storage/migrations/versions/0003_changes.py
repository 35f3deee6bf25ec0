"""The log of changes, for those who follow the catalog."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entries", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "revision", name="changes_pkey"),
    )


def downgrade() -> None:
    op.drop_table("changes")
