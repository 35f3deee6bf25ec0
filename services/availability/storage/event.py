"""Reads what happened to bookings: of one booking, or of all in the order of commits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Final, LiteralString

from services.availability.domain.booking import Booking, BookingState, Event
from services.availability.domain.booking_event import (
    BookingEvent,
    EventPage,
    EventPosition,
    LoggedEvent,
)
from services.availability.storage import row
from services.availability.storage.database import Database, Row
from shared.slots.quantum import microseconds

_MARK_BITS: Final = 63

# Rows that an older version wrote have no times: the booking's, which it never moved.
_EVENT: Final[LiteralString] = """
  h.booking_id, h.revision, h.event, h.state, h.actor, h.reason, h.created_at,
  coalesce(h.start_time, b.start_time), coalesce(h.end_time, b.end_time), h.overridden
"""
_EVENT_COLUMNS: Final = 10

# Up to the booking's revision: what came later would belong to another answer.
NEWEST_OF_BOOKING: Final[LiteralString] = f"""
select {_EVENT}
from (select %(start)s::timestamptz as start_time, %(end)s::timestamptz as end_time) b
cross join (
  select * from booking_history
  where organization_id = %(org)s and booking_id = %(id)s and revision <= %(revision)s
  order by revision desc limit %(limit)s
) h
order by h.revision
"""  # noqa: S608  # LiteralStrings, here and below: no value is put in

OF_BOOKING: Final[LiteralString] = f"""
select {_EVENT}
from (
  select start_time, end_time from bookings
  where organization_id = %(org)s and booking_id = %(id)s offset 0
) b
left join lateral (
  select * from booking_history
  where organization_id = %(org)s and booking_id = %(id)s and revision > %(revision)s
  order by revision limit %(limit)s
) h on true
order by h.revision
"""  # noqa: S608

# One moment: the organization's numbers, what stands at the position, and what follows it.
# The history has what the outbox leaves out. An older version named no revision: its first
# event of that kind is the one.
AFTER: Final[LiteralString] = f"""
select coalesce(f.number, 0), coalesce(f.trimmed, 0),
  p.kind, p.booking_id, p.revision, p.created_at,
  o.feed, o.ordinal, o.kind, o.booking_id, o.revision, o.created_at,
  {_EVENT}, {row.COLUMNS}
from (select 1) one
left join feeds f on f.organization_id = %(org)s
left join outbox p on p.organization_id = %(org)s and p.feed = %(feed)s::bigint
  and p.ordinal = %(ordinal)s::smallint
left join lateral (
  select * from outbox
  where organization_id = %(org)s and (feed, ordinal) > (%(feed)s::bigint, %(ordinal)s::smallint)
  order by feed, ordinal limit %(limit)s
) o on true
left join lateral (
  select * from booking_history
  where organization_id = %(org)s and booking_id = o.booking_id and revision >= o.revision
    and event = o.kind
  order by revision limit 1
) h on true
left join lateral (
  select * from bookings
  where organization_id = %(org)s and booking_id = o.booking_id offset 0
) b on true
order by o.feed, o.ordinal
"""  # noqa: S608
_MARKED: Final = slice(2, 6)
_PLACE: Final = slice(6, 8)
_OWN_MARK: Final = slice(8, 12)
_HAPPENED: Final = slice(12, 12 + _EVENT_COLUMNS)
_BOOKING: Final = slice(12 + _EVENT_COLUMNS, None)

OLDEST: Final[LiteralString] = "select trimmed from feeds where organization_id = %(org)s"

NEWEST: Final[LiteralString] = """
select f.number, o.ordinal, o.kind, o.booking_id, o.revision, o.created_at
from feeds f
left join lateral (
  select * from outbox where organization_id = f.organization_id and feed = f.number
  order by ordinal desc limit 1
) o on true
where f.organization_id = %(org)s
"""

NUMBERS: Final[LiteralString] = """
select organization_id, number from feeds where organization_id = any(%(orgs)s::text[])
"""


class PostgresHistory:
    """The port ``HistoryReader`` over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, booking: Booking, limit: int) -> Sequence[BookingEvent]:
        """As in the port."""
        parameters = {
            "org": booking.organization_id,
            "id": booking.booking_id,
            "revision": booking.revision,
            "start": booking.start,
            "end": booking.end,
            "limit": limit,
        }
        return list(map(_event, await self._database.fetch(NEWEST_OF_BOOKING, parameters)))

    async def after(
        self, organization_id: str, booking_id: str, revision: int, limit: int
    ) -> Sequence[BookingEvent] | None:
        """As in the port."""
        parameters = {
            "org": organization_id,
            "id": booking_id,
            "revision": revision,
            "limit": limit,
        }
        rows = await self._database.fetch(OF_BOOKING, parameters)
        return [_event(found) for found in rows if found[0] is not None] if rows else None


class PostgresEvents:
    """The port ``EventReader`` over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def after(self, organization_id: str, position: EventPosition, limit: int) -> EventPage:
        """As in the port."""
        parameters = {
            "org": organization_id,
            "feed": position.feed,
            "ordinal": position.ordinal,
            # One more: whether the last one ends its transaction shows by what follows it.
            "limit": limit + 1,
        }
        rows = await self._database.fetch(AFTER, parameters)
        number, trimmed = rows[0][:2]
        mark = _mark(*rows[0][_MARKED])
        logged = [found for found in rows if found[6] is not None]
        following = [found[6] for found in logged[1:]] + [0]
        entries = [
            _logged(organization_id, found, is_last=feed != found[6])
            for found, feed in zip(logged[:limit], following, strict=False)
        ]
        return EventPage(number, trimmed, mark, entries)

    async def oldest(self, organization_id: str) -> EventPosition:
        """As in the port."""
        rows = await self._database.fetch(OLDEST, {"org": organization_id})
        return EventPosition(rows[0][0] if rows else 0)

    async def newest(self, organization_id: str) -> EventPosition:
        """As in the port."""
        rows = await self._database.fetch(NEWEST, {"org": organization_id})
        if not rows:
            return EventPosition(0)
        number, ordinal, *marked = rows[0]
        return EventPosition(number, ordinal or 0, mark=_mark(*marked))

    async def numbers(self, organization_ids: Collection[str]) -> Mapping[str, int]:
        """As in the port."""
        rows = await self._database.fetch(NUMBERS, {"orgs": list(organization_ids)})
        return dict(rows)


def _logged(organization_id: str, columns: Row, *, is_last: bool) -> LoggedEvent:
    feed, ordinal = columns[_PLACE]
    position = EventPosition(feed, ordinal, is_last, _mark(*columns[_OWN_MARK]))
    happened = columns[_HAPPENED]
    if happened[0] is None:
        return LoggedEvent(position)
    booking = row.booking(organization_id, columns[_BOOKING])
    return LoggedEvent(position, _event(happened), booking)


def _event(columns: Row) -> BookingEvent:
    booking_id, revision, event, state, actor, reason, happened_at, start, end, overridden = columns
    return BookingEvent(
        booking_id=booking_id,
        revision=revision,
        event=Event(event),
        state=BookingState(state),
        actor=actor,
        reason=reason,
        happened_at=happened_at,
        start=start,
        end=end,
        is_override=overridden,
    )


def _mark(
    kind: str | None, booking_id: str | None, revision: int | None, created_at: datetime | None
) -> int:
    """Returns a number that no other event has which ever stands in this one's place."""
    if kind is None or created_at is None:
        return 0
    text = f"{kind}\0{booking_id}\0{revision}\0{microseconds(created_at)}"
    digest = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
    return digest >> (64 - _MARK_BITS) or 1
