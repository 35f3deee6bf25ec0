"""``holdfast bookings``: lists and shows bookings; ``holdfast history``: what happened to one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import date, datetime, time
from itertools import count
from typing import Final
from zoneinfo import ZoneInfo

import click

from holdfast.availability.v1.booking_event_pb2 import (
    BOOKING_STATE_CONFIRMED,
    BOOKING_STATE_PENDING,
    BOOKING_STATE_PROVISIONAL,
    BookingState,
    ListBookingHistoryRequest,
)
from holdfast.availability.v1.booking_pb2 import (
    BOOKING_KIND_BLOCK,
    BOOKING_KIND_BOOKING,
    Booking,
    GetBookingRequest,
    ListBookingsRequest,
)
from shared.client.cli import param
from shared.client.cli.booking_view import (
    STATES,
    block_columns,
    booking_columns,
    close_with_zone,
    history_columns,
    show,
    zone_of,
)
from shared.client.cli.clock import clock_of
from shared.client.cli.command import Command, Group
from shared.client.cli.record import record
from shared.client.cli.session import Session, with_session
from shared.client.value import to_timestamp

ACTIVE: Final = "active"
ANY: Final = "any"
_KINDS: Final = {"booking": BOOKING_KIND_BOOKING, "block": BOOKING_KIND_BLOCK}
# What still is to take place.
_ACTIVE_STATES: Final = frozenset(
    {BOOKING_STATE_CONFIRMED, BOOKING_STATE_PENDING, BOOKING_STATE_PROVISIONAL}
)


@click.group(cls=Group)
def bookings() -> None:
    """List and show bookings."""


@bookings.command(
    "list",
    examples=[
        "holdfast bookings list",
        "holdfast bookings list --resource studio-a --from 2027-03-01 --until 2027-04-01",
        "holdfast bookings list --state pending",
        "holdfast bookings list --booker band-7 --state any -o json",
    ],
)
@click.option("--resource", "resource_id", metavar="ID", default="", help="Only this resource's.")
@click.option("--booker", "booker_id", metavar="ID", default="", help="Only this booker's.")
@click.option("--event-type", "event_type_id", metavar="ID", default="", help="Only under this.")
@click.option(
    "--state", type=click.Choice((ACTIVE, *STATES, ANY)), default=ACTIVE, show_default=True,
    help="Only in this state; active ones are provisional, pending or confirmed.",
)  # fmt: skip
@click.option(
    "--kind", type=click.Choice(tuple(_KINDS)), default="booking", show_default=True,
    help="Blocks are no bookings: time that was taken out of use.",
)  # fmt: skip
@click.option("--from", "first", type=param.DATE, help="That start on this date or later.")
@click.option("--until", type=param.DATE, help="That start before this date.")
@param.zone_option("The clock of dates and times.  [default: the resource's or schedule's]")
@param.limit_option
@with_session
async def list_bookings(
    session: Session,
    resource_id: str,
    booker_id: str,
    event_type_id: str,
    state: str,
    kind: str,
    first: date | None,
    until: date | None,
    time_zone: ZoneInfo | None,
    limit: int | None,
) -> None:
    """List bookings by their start; without any filter, those that start from today on."""
    zone = time_zone or await clock_of(session.client, resource_id)
    if not (resource_id or booker_id or event_type_id or first or until):
        first = session.invocation.now().astimezone(zone).date()
    request = ListBookingsRequest(
        organization_id=session.organization,
        resource_id=resource_id,
        booker_id=booker_id,
        event_type_id=event_type_id,
        state=state_of(state),
        start_after=to_timestamp(_midnight(first, zone)) if first else None,
        start_before=to_timestamp(_midnight(until, zone)) if until else None,
        kind=_KINDS[kind],
    )
    found = await read(session, request, limit=limit, wanted=fits(state))
    if session.output.is_json:
        session.output.json([record(booking) for booking in found])
        return
    columns = block_columns if kind == "block" else booking_columns
    shown = columns(zone, with_state=state in {ACTIVE, ANY})
    session.output.table(shown, found, empty=f"No {kind}s.")
    if found:
        close_with_zone(session.output, zone)


@bookings.command(
    "show", examples=["holdfast bookings show BOOKING", "holdfast bookings show BOOKING -o json"]
)
@click.argument("booking_id", metavar="BOOKING")
@param.token_option
@param.zone_option("The clock of its times.  [default: the booker's, else the resource's]")
@with_session
async def show_booking(
    session: Session, booking_id: str, token: str, time_zone: ZoneInfo | None
) -> None:
    """Show one booking or block, and what happened to it."""
    answer = await session.client.call(
        session.client.bookings.GetBooking,
        GetBookingRequest(
            organization_id=session.organization, booking_id=booking_id, management_token=token
        ),
    )
    await show(session, answer.booking, time_zone, answer.history)


@click.command(
    cls=Command, examples=["holdfast history BOOKING", "holdfast history BOOKING -o json"]
)
@click.argument("booking_id", metavar="BOOKING")
@param.zone_option("The clock of its times.  [default: the booker's, else the resource's]")
@param.limit_option
@with_session
async def history(
    session: Session, booking_id: str, time_zone: ZoneInfo | None, limit: int | None
) -> None:
    """Show all that happened to a booking or block: when, by whom and why."""
    client = session.client
    request = ListBookingHistoryRequest(organization_id=session.organization, booking_id=booking_id)
    pages = client.rows(
        client.bookings.ListBookingHistory, request, lambda page: page.events, limit=limit
    )
    found = await session.collect(pages)
    if session.output.is_json:
        session.output.json([record(event) for event in found])
        return
    answer = await client.call(
        client.bookings.GetBooking,
        GetBookingRequest(organization_id=session.organization, booking_id=booking_id),
    )
    zone = await zone_of(session, answer.booking, time_zone)
    session.output.table(history_columns(zone), found, empty="No events.")
    close_with_zone(session.output, zone)


async def read(
    session: Session,
    request: ListBookingsRequest,
    *,
    limit: int | None,
    wanted: Callable[[Booking], bool],
) -> list[Booking]:
    """Returns the bookings of a list that are wanted, at most ``limit`` of them."""
    client = session.client

    async def rows() -> AsyncIterator[Booking]:
        numbers = count(1)
        async for booking in client.rows(
            client.bookings.ListBookings, request, lambda page: page.bookings
        ):
            if not wanted(booking):
                continue
            yield booking
            if next(numbers) == limit:
                return

    return await session.collect(rows())


def state_of(word: str) -> BookingState.ValueType:
    """Returns which state to ask the service for."""
    name = "UNSPECIFIED" if word in {ACTIVE, ANY} else word.upper()
    return BookingState.Value(f"BOOKING_STATE_{name}")


def fits(word: str) -> Callable[[Booking], bool]:
    """Returns what tells the bookings that are meant among those that the service lists."""
    return lambda booking: word != ACTIVE or booking.state in _ACTIVE_STATES


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
