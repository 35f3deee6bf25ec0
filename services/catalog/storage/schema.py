"""The tables. ``organization_id`` leads every key; migrations bring a database here."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata: Final = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
    }
)

# Ids are ASCII and page in byte order, whatever the database's own collation.
_ID: Final = Text(collation="C")
_TIME: Final = DateTime(timezone=True)


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _id(name: str) -> Column[Any]:
    return Column(name, _ID, primary_key=True)


def _organization() -> Column[Any]:
    return _id("organization_id")


def _history() -> list[Column[Any]]:
    return [
        _required("create_time", _TIME),
        _required("update_time", _TIME),
        _required("revision", BigInteger),
    ]


# One row an organization: whoever locks it changes that catalog alone. It exists from the first
# change on.
organizations: Final = Table(
    "organizations", metadata, _organization(), _required("revision", BigInteger)
)

# Windows are read and replaced whole and never searched: one JSON value, [[day, start, end], …]
# in minutes, costs one row to read where a table of them would cost up to 672.
schedules: Final = Table(
    "schedules",
    metadata,
    _organization(),
    _id("schedule_id"),
    _required("name", Text),
    _required("time_zone", Text),
    _required("windows", JSONB),
    _required("is_default", Boolean),
    *_history(),
)
Index(
    "schedules_default_key",
    schedules.c.organization_id,
    unique=True,
    postgresql_where=schedules.c.is_default,
)

# As above: [[start, end], …].
date_overrides: Final = Table(
    "date_overrides",
    metadata,
    _organization(),
    _id("schedule_id"),
    Column("date", Date, primary_key=True),
    _required("unavailable", Boolean),
    _required("windows", JSONB),
    _required("note", Text),
    ForeignKeyConstraint(
        ["organization_id", "schedule_id"],
        ["schedules.organization_id", "schedules.schedule_id"],
        ondelete="CASCADE",
    ),
)


def _schedule_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["organization_id", "schedule_id"],
        ["schedules.organization_id", "schedules.schedule_id"],
    )


resources: Final = Table(
    "resources",
    metadata,
    _organization(),
    _id("resource_id"),
    _required("name", Text),
    _required("type", Text),
    _required("description", Text),
    _required("time_zone", Text),
    _required("pool", Boolean),
    _required("standalone", Boolean),
    _required("hold_policy", Text),
    _required("metadata", JSONB),
    _required("active", Boolean),
    Column("schedule_id", _ID),
    *_history(),
    Column("delete_time", _TIME),
    _schedule_key(),
)
Index(None, resources.c.organization_id, resources.c.schedule_id)

event_types: Final = Table(
    "event_types",
    metadata,
    _organization(),
    _id("event_type_id"),
    _required("slug", _ID),
    _required("title", Text),
    _required("description", Text),
    _required("duration_options_minutes", ARRAY(Integer)),
    Column("flexible_minimum_minutes", Integer),
    Column("flexible_maximum_minutes", Integer),
    Column("flexible_step_minutes", Integer),
    Column("slot_interval_minutes", Integer),
    Column("schedule_id", _ID),
    _required("buffer_before_minutes", Integer),
    _required("buffer_after_minutes", Integer),
    _required("minimum_notice_minutes", Integer),
    Column("horizon_minutes", Integer),
    _required("closed_hours_policy", Text),
    _required("locations", ARRAY(Text)),
    _required("time_zone_lock", Text),
    _required("active", Boolean),
    *_history(),
    Column("delete_time", _TIME),
    # A release that does not know it yet adds rows without it.
    Column("requires_confirmation", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("organization_id", "slug"),
    _schedule_key(),
)
Index(None, event_types.c.organization_id, event_types.c.schedule_id)

links: Final = Table(
    "links",
    metadata,
    _organization(),
    _id("event_type_id"),
    _id("resource_id"),
    ForeignKeyConstraint(
        ["organization_id", "event_type_id"],
        ["event_types.organization_id", "event_types.event_type_id"],
    ),
    ForeignKeyConstraint(
        ["organization_id", "resource_id"],
        ["resources.organization_id", "resources.resource_id"],
    ),
)
Index(None, links.c.organization_id, links.c.resource_id, links.c.event_type_id)

# What each change changed: [[kind, key, second], …], the names of entries, one row a revision.
changes: Final = Table(
    "changes",
    metadata,
    _organization(),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    _required("entries", JSONB),
)

request_keys: Final = Table(
    "request_keys",
    metadata,
    _organization(),
    Column("method", _ID, primary_key=True),
    Column("request_id", UUID(as_uuid=False), primary_key=True),
    _required("content", LargeBinary),
    _required("answer", LargeBinary),
    _required("create_time", _TIME),
)
Index(None, request_keys.c.organization_id, request_keys.c.create_time)
