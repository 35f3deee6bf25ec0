"""The tables. ``organization_id`` leads every key; migrations bring a database here.

No foreign keys: rows of one booking are written by one transaction, and a check per row would
cost more than the write.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import BIT, JSONB, UUID

metadata: Final = MetaData(naming_convention={"pk": "%(table_name)s_pkey"})

# Ids are ASCII; locks are taken and pages turned in byte order, whatever the database's own.
_ID: Final = Text(collation="C")
_TIME: Final = DateTime(timezone=True)


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _default(name: str, kind: Any, value: str) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=text(value))


def _key(name: str, kind: Any = _ID) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


# Leftmost bit: quantum 0. Nothing that updates touch is indexed and half a page stays free, so
# that every update finds room on its row's own page.
days: Final = Table(
    "days",
    metadata,
    _key("organization_id"),
    _key("resource_id"),
    _key("day", Date),
    _required("busy", BIT(96)),
    _required("version", BigInteger),  # the feed number of its last change; 0: never booked
    # Of pools: units taken at each quantum, as bit planes of 12 bytes, the low one first. Of
    # others empty: the bitmap is their counter.
    _default("taken", LargeBinary, "''"),
    postgresql_with={"fillfactor": 60},
)

# Of pools only; another resource has one unit. Claims share the row's lock.
capacities: Final = Table(
    "capacities",
    metadata,
    _key("organization_id"),
    _key("resource_id"),
    _required("units", Integer),
    _required("version", BigInteger),  # the feed number of its last change; 0: never set
)

bookings: Final = Table(
    "bookings",
    metadata,
    _key("organization_id"),
    _key("booking_id"),
    _required("state", SmallInteger),  # BookingState of the contract
    _required("revision", Integer),  # 0 at creation; rises with each event
    _required("event_type_id", _ID),
    _required("event_type_title", Text),
    _required("start_time", _TIME),
    _required("end_time", _TIME),
    _required("booker_id", _ID),
    _required("booker_name", Text),
    _required("booker_email", Text),
    _required("location", Text),
    _required("time_zone", Text),
    _required("cancel_reason", Text),
    _required("created_at", _TIME),
    _required("updated_at", _TIME),
    _default("kind", SmallInteger, "1"),  # BookingKind of the contract
    _default("sequence", Integer, "0"),
    _default("block_reason", Text, "''"),
    Column("due_at", _TIME),  # when the server ends it: provisional and pending ones
    _default("needs_confirmation", Boolean, "false"),
    _default("token_hash", LargeBinary, "''"),
    _default("token_version", Integer, "0"),
    postgresql_with={"fillfactor": 90},
)
Index(
    "bookings_by_start",
    bookings.c.organization_id,
    bookings.c.start_time,
    bookings.c.booking_id,
)
Index(
    "bookings_by_booker",
    bookings.c.organization_id,
    bookings.c.booker_id,
    bookings.c.start_time,
    bookings.c.booking_id,
)
Index(
    "bookings_by_event_type",
    bookings.c.organization_id,
    bookings.c.event_type_id,
    bookings.c.start_time,
    bookings.c.booking_id,
)
# Few bookings are cancelled: a list of them must not walk through all the others.
Index(
    "bookings_cancelled",
    bookings.c.organization_id,
    bookings.c.start_time,
    bookings.c.booking_id,
    postgresql_where=bookings.c.state == 2,  # noqa: PLR2004  # BOOKING_STATE_CANCELLED
)
Index("bookings_due", bookings.c.due_at, postgresql_where=bookings.c.due_at.is_not(None))
# As few are: blocks, those that wait for something, and those that ended without having been.
for _name, _rows in (
    ("bookings_blocks", "kind = 2"),
    ("bookings_open", "state in (3, 4)"),
    ("bookings_lapsed", "state in (5, 6)"),
):
    Index(
        _name,
        bookings.c.organization_id,
        bookings.c.start_time,
        bookings.c.booking_id,
        postgresql_where=text(_rows),
    )

# Quanta count from 1970-01-01T00:00Z. The start is the booking's: a list by resource needs it
# beside the resource, to page in its order without reading them all.
booking_items: Final = Table(
    "booking_items",
    metadata,
    _key("organization_id"),
    _key("booking_id"),
    _key("ordinal", SmallInteger),
    _required("resource_id", _ID),
    _required("units", Integer),
    _required("first_quantum", Integer),
    _required("stop_quantum", Integer),
    _required("start_time", _TIME),
    _default("pool", Boolean, "false"),  # whether its units are counted
)
Index(
    "booking_items_by_resource",
    booking_items.c.organization_id,
    booking_items.c.resource_id,
    booking_items.c.start_time,
    booking_items.c.booking_id,
)

booking_history: Final = Table(
    "booking_history",
    metadata,
    _key("organization_id"),
    _key("booking_id"),
    _key("revision", Integer),
    _required("event", Text),
    _required("state", SmallInteger),
    _required("actor", Text),  # as the caller says, while callers have no identity
    _required("reason", Text),
    _required("created_at", _TIME),
    _default("overridden", Boolean, "false"),
    Column("start_time", _TIME),  # after it; rows of before say nothing
    Column("end_time", _TIME),
)

# By the database's clock: a key must live its 24 hours whatever a service's clock says.
request_keys: Final = Table(
    "request_keys",
    metadata,
    _key("organization_id"),
    _key("method"),
    _key("request_id", UUID(as_uuid=False)),
    _required("content_hash", LargeBinary),
    _required("answer", LargeBinary),
    Column("created_at", _TIME, nullable=False, server_default=func.now()),
)
Index("request_keys_by_age", request_keys.c.created_at)

# One row an organization, written by every change: room for many versions on its page.
feeds: Final = Table(
    "feeds",
    metadata,
    _key("organization_id"),
    _required("number", BigInteger),
    _default("trimmed", BigInteger, "0"),  # the highest number whose events are gone
    postgresql_with={"fillfactor": 20},
)

# One number a transaction, an ordinal an event. What became of days stands in ordinal 0.
outbox: Final = Table(
    "outbox",
    metadata,
    _key("organization_id"),
    _key("feed", BigInteger),
    _key("ordinal", SmallInteger),
    _required("kind", Text),
    _required("booking_id", _ID),
    _required("payload", JSONB),
    _required("created_at", _TIME),
    _default("revision", Integer, "0"),  # of the booking, after the event
)
Index("outbox_by_age", outbox.c.created_at)
