"""Counters and capacities, every state of a booking, and what the outbox needs to be watched."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Every column has a default: the version before this one goes on writing meanwhile.
    op.add_column("days", _column("taken", sa.LargeBinary(), "''"))
    for column in (
        _column("kind", sa.SmallInteger(), "1"),
        _column("sequence", sa.Integer(), "0"),
        _column("block_reason", sa.Text(), "''"),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        _column("needs_confirmation", sa.Boolean(), "false"),
        _column("token_hash", sa.LargeBinary(), "''"),
        _column("token_version", sa.Integer(), "0"),
    ):
        op.add_column("bookings", column)
    op.add_column("booking_items", _column("pool", sa.Boolean(), "false"))
    op.add_column("booking_history", _column("overridden", sa.Boolean(), "false"))
    op.add_column("booking_history", sa.Column("start_time", sa.DateTime(timezone=True)))
    op.add_column("booking_history", sa.Column("end_time", sa.DateTime(timezone=True)))
    op.add_column("outbox", _column("revision", sa.Integer(), "0"))
    op.add_column("feeds", _column("trimmed", sa.BigInteger(), "0"))
    op.create_table(
        "capacities",
        _id("organization_id"),
        _id("resource_id"),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "resource_id", name="capacities_pkey"),
    )
    op.create_index("outbox_by_age", "outbox", ["created_at"])
    op.create_index(
        "bookings_due", "bookings", ["due_at"], postgresql_where=sa.text("due_at is not null")
    )
    for name, rows in _RARE.items():
        op.create_index(
            name,
            "bookings",
            ["organization_id", "start_time", "booking_id"],
            postgresql_where=sa.text(rows),
        )


def downgrade() -> None:
    for name in (*_RARE, "bookings_due"):
        op.drop_index(name, "bookings")
    op.drop_index("outbox_by_age", "outbox")
    op.drop_table("capacities")
    for table, columns in _ADDED.items():
        for column in columns:
            op.drop_column(table, column)


_RARE = {
    "bookings_blocks": "kind = 2",
    "bookings_open": "state in (3, 4)",
    "bookings_lapsed": "state in (5, 6)",
}

_ADDED = {
    "feeds": ["trimmed"],
    "outbox": ["revision"],
    "booking_history": ["end_time", "start_time", "overridden"],
    "booking_items": ["pool"],
    "bookings": [
        "token_version",
        "token_hash",
        "needs_confirmation",
        "due_at",
        "block_reason",
        "sequence",
        "kind",
    ],
    "days": ["taken"],
}


def _column(name: str, kind: Any, default: str) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, server_default=sa.text(default))


def _id(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False)
