"""Day bitmaps, bookings, request keys, feeds and the outbox."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    # A statement that lost a race undoes itself by casting false to this type.
    op.execute("create domain must_hold as boolean constraint lost_race check (value)")
    _create_days()
    _create_bookings()
    _create_booking_items()
    _create_booking_history()
    _create_request_keys()
    _create_feed()


def downgrade() -> None:
    for table in (
        "outbox",
        "feeds",
        "request_keys",
        "booking_history",
        "booking_items",
        "bookings",
        "days",
    ):
        op.drop_table(table)
    op.execute("drop domain must_hold")


def _id(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False)


def _time(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, **options)


def _number(name: str, kind: Any = sa.Integer) -> sa.Column[Any]:
    return sa.Column(name, kind(), autoincrement=False, nullable=False)


def _create_days() -> None:
    op.create_table(
        "days",
        _id("organization_id"),
        _id("resource_id"),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("busy", postgresql.BIT(96), nullable=False),
        _number("version", sa.BigInteger),
        sa.PrimaryKeyConstraint("organization_id", "resource_id", "day", name="days_pkey"),
        postgresql_with={"fillfactor": 60},
    )


def _create_bookings() -> None:
    op.create_table(
        "bookings",
        _id("organization_id"),
        _id("booking_id"),
        _number("state", sa.SmallInteger),
        _number("revision"),
        _id("event_type_id"),
        _text("event_type_title"),
        _time("start_time"),
        _time("end_time"),
        _id("booker_id"),
        _text("booker_name"),
        _text("booker_email"),
        _text("location"),
        _text("time_zone"),
        _text("cancel_reason"),
        _time("created_at"),
        _time("updated_at"),
        postgresql_with={"fillfactor": 90},
    )
    order = ["start_time", "booking_id"]
    op.create_index("bookings_by_start", "bookings", ["organization_id", *order])
    op.create_index("bookings_by_booker", "bookings", ["organization_id", "booker_id", *order])
    op.create_index(
        "bookings_by_event_type", "bookings", ["organization_id", "event_type_id", *order]
    )
    op.create_index(
        "bookings_cancelled",
        "bookings",
        ["organization_id", *order],
        postgresql_where=sa.text("state = 2"),
    )
    # After the others: while nothing is known of sizes, the newest index is preferred among
    # equals, and by id this is the one.
    op.create_primary_key("bookings_pkey", "bookings", ["organization_id", "booking_id"])


def _create_booking_items() -> None:
    op.create_table(
        "booking_items",
        _id("organization_id"),
        _id("booking_id"),
        _number("ordinal", sa.SmallInteger),
        _id("resource_id"),
        _number("units"),
        _number("first_quantum"),
        _number("stop_quantum"),
        _time("start_time"),
    )
    columns = ["organization_id", "resource_id", "start_time", "booking_id"]
    op.create_index("booking_items_by_resource", "booking_items", columns)
    # As above.
    op.create_primary_key(
        "booking_items_pkey", "booking_items", ["organization_id", "booking_id", "ordinal"]
    )


def _create_booking_history() -> None:
    op.create_table(
        "booking_history",
        _id("organization_id"),
        _id("booking_id"),
        _number("revision"),
        _text("event"),
        _number("state", sa.SmallInteger),
        _text("actor"),
        _text("reason"),
        _time("created_at"),
        sa.PrimaryKeyConstraint(
            "organization_id", "booking_id", "revision", name="booking_history_pkey"
        ),
    )


def _create_request_keys() -> None:
    op.create_table(
        "request_keys",
        _id("organization_id"),
        _id("method"),
        sa.Column("request_id", postgresql.UUID(as_uuid=False), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        _time("created_at", server_default=sa.func.now()),
        sa.PrimaryKeyConstraint(
            "organization_id", "method", "request_id", name="request_keys_pkey"
        ),
    )
    op.create_index("request_keys_by_age", "request_keys", ["created_at"])


def _create_feed() -> None:
    op.create_table(
        "feeds",
        _id("organization_id"),
        _number("number", sa.BigInteger),
        sa.PrimaryKeyConstraint("organization_id", name="feeds_pkey"),
        postgresql_with={"fillfactor": 20},
    )
    op.create_table(
        "outbox",
        _id("organization_id"),
        _number("feed", sa.BigInteger),
        _number("ordinal", sa.SmallInteger),
        _text("kind"),
        _id("booking_id"),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("organization_id", "feed", "ordinal", name="outbox_pkey"),
    )
