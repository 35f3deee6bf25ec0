"""Reads bookings: one by id, or pages in the order of (start, id) along an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, LiteralString

from services.availability.app.port import BookingFilter, Cursor
from services.availability.domain.booking import Booking, BookingState
from services.availability.storage import row
from services.availability.storage.database import Database

ONE: Final[LiteralString] = f"""
select {row.COLUMNS} from bookings b
where b.organization_id = %(org)s and b.booking_id = %(id)s
"""  # noqa: S608  # a LiteralString: no value is put in


class PostgresBookings:
    """The port ``BookingReader`` over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, organization_id: str, booking_id: str) -> Booking | None:
        """As in the port."""
        rows = await self._database.fetch(ONE, {"org": organization_id, "id": booking_id})
        return row.booking(organization_id, rows[0]) if rows else None

    async def page(
        self, filters: BookingFilter, after: Cursor | None, limit: int
    ) -> Sequence[Booking]:
        """As in the port."""
        statement, parameters = page_query(filters, after, limit)
        rows = await self._database.fetch(statement, parameters)
        return [row.booking(filters.organization_id, columns) for columns in rows]


def page_query(
    filters: BookingFilter, after: Cursor | None, limit: int
) -> tuple[LiteralString, dict[str, Any]]:
    """Returns the statement of a page and its parameters.

    A list by resource walks the items' index, which has the booking's start beside the
    resource; every other one walks an index of the bookings that begins with one of its
    filters. What the filters leave out is skipped on the way.
    """
    parameters: dict[str, Any] = {"org": filters.organization_id, "limit": limit}
    driver: LiteralString = "o" if filters.resource_id else "b"
    along: list[LiteralString] = [f"{driver}.organization_id = %(org)s"]
    beside: list[LiteralString] = []

    def narrow(to: list[LiteralString], condition: LiteralString, name: str, value: object) -> None:
        if value:
            to.append(condition)
            parameters[name] = value

    narrow(along, "o.resource_id = %(resource)s", "resource", filters.resource_id)
    narrow(beside, "b.booker_id = %(booker)s", "booker", filters.booker_id)
    narrow(beside, "b.event_type_id = %(event_type)s", "event_type", filters.event_type_id)
    narrow(along, f"{driver}.start_time >= %(from)s", "from", filters.start_after)
    narrow(along, f"{driver}.start_time < %(until)s", "until", filters.start_before)
    if filters.state is not None:
        beside.append(_STATES[filters.state])
    if after is not None:
        along.append(f"({driver}.start_time, {driver}.booking_id) > (%(start)s, %(id)s)")
        parameters |= {"start": after.start, "id": after.booking_id}
    return _page(driver, along, beside), parameters


def _page(
    driver: LiteralString, along: Sequence[LiteralString], beside: Sequence[LiteralString]
) -> LiteralString:
    source: LiteralString = "bookings b"
    conditions = [*along, *beside]
    if driver == "o":
        # "offset 0" keeps PostgreSQL from walking the bookings first and their items then.
        own = " and ".join(["b.organization_id = o.organization_id", *beside])
        source = f"""booking_items o cross join lateral (
  select * from bookings b where b.booking_id = o.booking_id and {own} offset 0) b"""  # noqa: S608  # as below
        conditions = [*along]
    return f"""
select {row.COLUMNS} from {source} where {" and ".join(conditions)}
order by {driver}.start_time, {driver}.booking_id limit %(limit)s
"""  # noqa: S608  # LiteralStrings: no value is put in


# As text, not as a parameter: only so does a plan use the index of the cancelled.
_STATES: Final[dict[BookingState, LiteralString]] = {
    BookingState.CONFIRMED: "b.state = 1",
    BookingState.CANCELLED: "b.state = 2",
}
