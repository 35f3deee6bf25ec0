"""Event types whose bookings somebody must confirm."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With a default: the release before this one goes on adding rows.
    op.add_column(
        "event_types",
        sa.Column("requires_confirmation", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_column("event_types", "requires_confirmation")
