"""What is stored of one organization, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg.rows import namedtuple_row

from shared.slots import bitmap
from shared.slots.quantum import day_number

CONFIRMED, CANCELLED, PENDING, PROVISIONAL, DECLINED, EXPIRED, COMPLETED = range(1, 8)
OCCUPYING = frozenset({CONFIRMED, PENDING, PROVISIONAL, COMPLETED})
BLOCK = 2

DayKey = tuple[str, int]


class BookingRow(NamedTuple):
    """A row of bookings."""

    booking_id: str
    kind: int
    state: int
    revision: int
    sequence: int
    event_type_id: str
    start_time: datetime
    end_time: datetime


class ItemRow(NamedTuple):
    """A row of booking_items."""

    resource_id: str
    units: int
    first: int
    stop: int
    pool: bool


class EventRow(NamedTuple):
    """A row of booking_history."""

    event: str
    state: int
    actor: str
    created_at: datetime
    start_time: datetime
    end_time: datetime


class OutboxRow(NamedTuple):
    """A row of outbox."""

    feed: int
    ordinal: int
    kind: str
    booking_id: str
    revision: int
    payload: Mapping[str, Any]


class DayRow(NamedTuple):
    """A row of days; ``counts`` is None where the resource is counted by its bitmap alone."""

    busy: int
    version: int
    counts: Sequence[int] | None


@dataclass(slots=True)
class Tables:
    """Every table, by key."""

    bookings: dict[str, BookingRow]
    items: dict[str, list[ItemRow]]
    history: dict[str, dict[int, EventRow]]
    outbox: list[OutboxRow]
    days: dict[DayKey, DayRow]
    capacities: dict[str, int]
    keys: set[tuple[str, str]]
    feed: int
    trimmed: int


def read_tables(url: str, organization_id: str) -> Tables:
    """Reads an organization in one snapshot."""
    with psycopg.connect(url, row_factory=namedtuple_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

        def rows(statement: LiteralString) -> list[Any]:
            return connection.execute(statement, (organization_id,)).fetchall()

        items: dict[str, list[ItemRow]] = {}
        for row in rows(_ITEMS):
            items.setdefault(row.booking_id, []).append(ItemRow(*row[1:]))
        history: dict[str, dict[int, EventRow]] = {}
        for row in rows(_HISTORY):
            history.setdefault(row.booking_id, {})[row.revision] = EventRow(*row[2:])
        feeds = rows("select number, trimmed from feeds where organization_id = %s")
        return Tables(
            bookings={row.booking_id: BookingRow(*row) for row in rows(_BOOKINGS)},
            items=items,
            history=history,
            outbox=[OutboxRow(*row) for row in rows(_OUTBOX)],
            days={
                (row.resource_id, day_number(row.day)): DayRow(
                    bitmap.from_bits(row.busy), row.version, counts_of(row.taken)
                )
                for row in rows(_DAYS)
            },
            capacities={
                row.resource_id: row.units
                for row in rows(
                    "select resource_id, units from capacities where organization_id = %s"
                )
            },
            keys={
                (row.method, str(row.request_id))
                for row in rows(
                    "select method, request_id from request_keys where organization_id = %s"
                )
            },
            feed=feeds[0].number if feeds else 0,
            trimmed=feeds[0].trimmed if feeds else 0,
        )


def counts_of(planes: bytes | None) -> list[int] | None:
    """The count at each quantum of planes of 12 bytes, the low one first.

    Within a plane, quantum 0 is the highest bit of the first byte.
    """
    if not planes:
        return None
    found = [0] * 96
    for place in range(len(planes) // 12):
        plane = planes[12 * place : 12 * place + 12]
        for quantum in range(96):
            found[quantum] += (plane[quantum // 8] >> 7 - quantum % 8 & 1) << place
    return found


_BOOKINGS: LiteralString = """
select booking_id, kind, state, revision, sequence, event_type_id, start_time, end_time
from bookings where organization_id = %s
"""
_ITEMS: LiteralString = """
select booking_id, resource_id, units, first_quantum, stop_quantum, pool
from booking_items where organization_id = %s order by booking_id, ordinal
"""
_HISTORY: LiteralString = """
select booking_id, revision, event, state, actor, created_at, start_time, end_time
from booking_history where organization_id = %s order by booking_id, revision
"""
_OUTBOX: LiteralString = """
select feed, ordinal, kind, booking_id, revision, payload
from outbox where organization_id = %s order by feed, ordinal
"""
_DAYS: LiteralString = """
select resource_id, day, busy::text as busy, version, taken from days where organization_id = %s
"""
