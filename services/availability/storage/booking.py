"""Reads bookings: one by id, or pages in the order of (start, id) along an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, LiteralString

from services.availability.app.event_port import BookingPage
from services.availability.app.port import BookingFilter, Cursor
from services.availability.domain.booking import OCCUPYING, Booking, BookingKind, BookingState
from services.availability.storage import row
from services.availability.storage.database import Database, Row
from shared.slots.quantum import Span, instant

# A page looks at no more rows than these, however few of them pass: a filter that nearly
# nothing passes costs further pages, not a statement that never ends.
_MOST_WALKED: Final = 5_000
# An occupancy lies around its booking's start: 31 days of booking and of each buffer.
_FARTHEST: Final = timedelta(days=63)

ONE: Final[LiteralString] = f"""
select {row.COLUMNS} from bookings b
where b.organization_id = %(org)s and b.booking_id = %(id)s
"""  # noqa: S608  # a LiteralString: no value is put in

# "offset 0", here and below, keeps PostgreSQL from walking bookings first and their items then.
OVERLAPPING: Final[LiteralString] = """
select o.booking_id
from booking_items o cross join lateral (
  select b.state from bookings b
  where b.organization_id = o.organization_id and b.booking_id = o.booking_id offset 0) b
where o.organization_id = %(org)s and o.resource_id = %(resource)s
  and o.start_time > %(from)s and o.start_time < %(until)s
  and o.first_quantum < %(stop)s and o.stop_quantum > %(first)s and b.state = any(%(states)s)
order by o.start_time, o.booking_id limit %(limit)s
"""


class PostgresBookings:
    """The ports ``BookingReader``, ``BookingPages`` and ``OverlapReader`` over PostgreSQL."""

    def __init__(self, database: Database, *, most_walked: int = _MOST_WALKED) -> None:
        """Starts.

        Args:
            database: Where they are.
            most_walked: Rows that one page looks at.
        """
        self._database = database
        self._most_walked = most_walked

    async def get(self, organization_id: str, booking_id: str) -> Booking | None:
        """As in the port."""
        rows = await self._database.fetch(ONE, {"org": organization_id, "id": booking_id})
        return row.booking(organization_id, rows[0]) if rows else None

    async def page(self, filters: BookingFilter, after: Cursor | None, size: int) -> BookingPage:
        """As in the port."""
        statement, parameters = page_query(filters, after, size + 1, self._most_walked)
        rows = await self._database.fetch(statement, parameters)
        fitting = [found for found in rows if found[1]]
        page = [row.booking(filters.organization_id, found[2:]) for found in fitting[:size]]
        if len(fitting) > size:
            return BookingPage(page, Cursor(page[-1].start, page[-1].booking_id))
        return BookingPage(page, self._stopped(rows))

    async def overlapping(
        self, organization_id: str, resource_id: str, span: Span, limit: int
    ) -> Sequence[str]:
        """As in the port."""
        rows = await self._database.fetch(
            OVERLAPPING,
            {
                "org": organization_id,
                "resource": resource_id,
                "from": instant(span.first) - _FARTHEST,
                "until": instant(span.stop) + _FARTHEST,
                "first": span.first,
                "stop": span.stop,
                "states": sorted(OCCUPYING),
                "limit": limit,
            },
        )
        return [booking_id for (booking_id,) in rows]

    def _stopped(self, rows: Sequence[Row]) -> Cursor | None:
        """Returns where the walk stopped, unless it came to the end."""
        if not rows or rows[-1][0] != self._most_walked:
            return None
        last = row.booking("", rows[-1][2:])
        return Cursor(last.start, last.booking_id)


@dataclass(slots=True)
class _Conditions:
    """Conditions, and the parameters that they name."""

    texts: list[LiteralString]
    parameters: dict[str, Any] = field(default_factory=dict)

    def add(self, text: LiteralString, name: str = "", value: object = None) -> None:
        self.texts.append(text)
        if name:
            self.parameters[name] = value

    def all(self) -> LiteralString:
        return " and ".join(self.texts) if self.texts else "true"


def page_query(
    filters: BookingFilter, after: Cursor | None, limit: int, most: int
) -> tuple[LiteralString, dict[str, Any]]:
    """Returns the statement of a page and its parameters.

    It walks one index in the order of the list, the one that leaves out most: blocks and what
    waits for something are few; then a resource's, a booker's, an event type's; what was
    cancelled or came to nothing; or all of a time. What the other filters leave out is skipped
    on the way, at most ``most`` rows. The last of so many is returned although it does not fit.

    The rows: its place on the way, whether it fits, the booking's columns.
    """
    driver, along = _driver(filters)
    along.add(f"{driver}.organization_id = %(org)s", "org", filters.organization_id)
    if filters.start_after is not None:
        along.add(f"{driver}.start_time >= %(from)s", "from", filters.start_after)
    if filters.start_before is not None:
        along.add(f"{driver}.start_time < %(until)s", "until", filters.start_before)
    if after is not None:
        along.add(f"({driver}.start_time, {driver}.booking_id) > (%(start)s, %(id)s)")
        along.parameters |= {"start": after.start, "id": after.booking_id}
    beside = _beside(filters, driver)
    parameters = along.parameters | beside.parameters | {"limit": limit, "most": most}
    return _page(driver, along.all(), beside.all()), parameters


# As text, not as parameters: only so does a plan use the indexes of the few.
_OPEN: Final = frozenset({BookingState.PENDING, BookingState.PROVISIONAL})
_LAPSED: Final = frozenset({BookingState.DECLINED, BookingState.EXPIRED})


def _driver(filters: BookingFilter) -> tuple[LiteralString, _Conditions]:
    """Returns what is walked, items or bookings, and which part of it."""
    along = _Conditions([])
    if filters.kind is BookingKind.BLOCK:
        along.add("b.kind = 2")
    elif filters.state in _OPEN:
        along.add("b.state in (3, 4)")
    elif filters.resource_id:
        along.add("o.resource_id = %(resource)s", "resource", filters.resource_id)
        return "o", along
    elif filters.booker_id:
        along.add("b.booker_id = %(booker)s", "booker", filters.booker_id)
    elif filters.event_type_id:
        along.add("b.event_type_id = %(event_type)s", "event_type", filters.event_type_id)
    elif filters.state is BookingState.CANCELLED:
        along.add("b.state = 2")
    elif filters.state in _LAPSED:
        along.add("b.state in (5, 6)")
    return "b", along


def _beside(filters: BookingFilter, driver: LiteralString) -> _Conditions:
    """Returns what a row that is walked must fulfil to be listed."""
    found = _Conditions(["b.kind = %(kind)s"], {"kind": int(filters.kind)})
    if filters.state is not None:
        found.add("b.state = %(state)s", "state", int(filters.state))
    if filters.booker_id:
        found.add("b.booker_id = %(booker)s", "booker", filters.booker_id)
    if filters.event_type_id:
        found.add("b.event_type_id = %(event_type)s", "event_type", filters.event_type_id)
    if filters.resource_id and driver == "b":
        # By the booking: by the resource, every booking that it ever had would be read.
        found.add(
            """coalesce((select true from (
    select i.resource_id from booking_items i
    where i.organization_id = b.organization_id and i.booking_id = b.booking_id offset 0) i
  where i.resource_id = %(resource)s limit 1), false)""",
            "resource",
            filters.resource_id,
        )
    return found


def _page(driver: LiteralString, along: LiteralString, beside: LiteralString) -> LiteralString:
    order: LiteralString = f"{driver}.start_time, {driver}.booking_id"
    source: LiteralString = "bookings b"
    beyond: LiteralString = ""
    if driver == "o":
        source = "booking_items o"
        beyond = """cross join lateral (
  select * from bookings b
  where b.organization_id = o.organization_id and b.booking_id = o.booking_id offset 0) b"""
    return f"""
select {driver}.number, f.fits, {row.COLUMNS}
from (
  select *, row_number() over (order by {order}) as number
  from (select * from {source} where {along} order by {order} limit %(most)s) {driver}
) {driver} {beyond}
cross join lateral (select {beside} as fits offset 0) f
where f.fits or {driver}.number = %(most)s
order by {order} limit %(limit)s
"""  # noqa: S608  # LiteralStrings: no value is put in
