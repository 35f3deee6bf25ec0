"""The catalog's first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.Text(collation="C")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "organizations",
        sa.Column("organization_id", _ID, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name="organizations_pkey"),
    )
    _create_schedules()
    _create_resources()
    _create_event_types()
    _create_links()
    op.create_table(
        "request_keys",
        sa.Column("organization_id", _ID, nullable=False),
        sa.Column("method", _ID, nullable=False),
        sa.Column("request_id", UUID(as_uuid=False), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "method", "request_id", name="request_keys_pkey"
        ),
    )
    op.create_index(
        "request_keys_organization_id_create_time_idx",
        "request_keys",
        ["organization_id", "create_time"],
    )


def downgrade() -> None:
    for table in (
        "request_keys",
        "links",
        "event_types",
        "resources",
        "date_overrides",
        "schedules",
        "organizations",
    ):
        op.drop_table(table)


def _create_schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("organization_id", _ID, nullable=False),
        sa.Column("schedule_id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("windows", JSONB(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
        sa.Column("update_time", _TIME, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "schedule_id", name="schedules_pkey"),
    )
    op.create_index(
        "schedules_default_key",
        "schedules",
        ["organization_id"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "date_overrides",
        sa.Column("organization_id", _ID, nullable=False),
        sa.Column("schedule_id", _ID, nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("unavailable", sa.Boolean(), nullable=False),
        sa.Column("windows", JSONB(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "schedule_id", "date", name="date_overrides_pkey"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "schedule_id"],
            ["schedules.organization_id", "schedules.schedule_id"],
            name="date_overrides_organization_id_schedule_id_fkey",
            ondelete="CASCADE",
        ),
    )


def _create_resources() -> None:
    op.create_table(
        "resources",
        sa.Column("organization_id", _ID, nullable=False),
        sa.Column("resource_id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("pool", sa.Boolean(), nullable=False),
        sa.Column("standalone", sa.Boolean(), nullable=False),
        sa.Column("hold_policy", sa.Text(), nullable=False),
        sa.Column("metadata", JSONB(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("schedule_id", _ID, nullable=True),
        sa.Column("create_time", _TIME, nullable=False),
        sa.Column("update_time", _TIME, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("delete_time", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "resource_id", name="resources_pkey"),
        sa.ForeignKeyConstraint(
            ["organization_id", "schedule_id"],
            ["schedules.organization_id", "schedules.schedule_id"],
            name="resources_organization_id_schedule_id_fkey",
        ),
    )
    op.create_index(
        "resources_organization_id_schedule_id_idx",
        "resources",
        ["organization_id", "schedule_id"],
    )


def _create_event_types() -> None:
    op.create_table(
        "event_types",
        sa.Column("organization_id", _ID, nullable=False),
        sa.Column("event_type_id", _ID, nullable=False),
        sa.Column("slug", _ID, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("duration_options_minutes", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("flexible_minimum_minutes", sa.Integer(), nullable=True),
        sa.Column("flexible_maximum_minutes", sa.Integer(), nullable=True),
        sa.Column("flexible_step_minutes", sa.Integer(), nullable=True),
        sa.Column("slot_interval_minutes", sa.Integer(), nullable=True),
        sa.Column("schedule_id", _ID, nullable=True),
        sa.Column("buffer_before_minutes", sa.Integer(), nullable=False),
        sa.Column("buffer_after_minutes", sa.Integer(), nullable=False),
        sa.Column("minimum_notice_minutes", sa.Integer(), nullable=False),
        sa.Column("horizon_minutes", sa.Integer(), nullable=True),
        sa.Column("closed_hours_policy", sa.Text(), nullable=False),
        sa.Column("locations", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("time_zone_lock", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
        sa.Column("update_time", _TIME, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("delete_time", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "event_type_id", name="event_types_pkey"),
        sa.UniqueConstraint("organization_id", "slug", name="event_types_organization_id_slug_key"),
        sa.ForeignKeyConstraint(
            ["organization_id", "schedule_id"],
            ["schedules.organization_id", "schedules.schedule_id"],
            name="event_types_organization_id_schedule_id_fkey",
        ),
    )
    op.create_index(
        "event_types_organization_id_schedule_id_idx",
        "event_types",
        ["organization_id", "schedule_id"],
    )


def _create_links() -> None:
    op.create_table(
        "links",
        sa.Column("organization_id", _ID, nullable=False),
        sa.Column("event_type_id", _ID, nullable=False),
        sa.Column("resource_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "event_type_id", "resource_id", name="links_pkey"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "event_type_id"],
            ["event_types.organization_id", "event_types.event_type_id"],
            name="links_organization_id_event_type_id_fkey",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "resource_id"],
            ["resources.organization_id", "resources.resource_id"],
            name="links_organization_id_resource_id_fkey",
        ),
    )
    op.create_index(
        "links_organization_id_resource_id_event_type_id_idx",
        "links",
        ["organization_id", "resource_id", "event_type_id"],
    )
