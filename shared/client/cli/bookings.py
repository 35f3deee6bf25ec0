"""``holdfast bookings``: lists, shows and cancels bookings."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import click

from holdfast.availability.v1.booking_event_pb2 import BookingState
from holdfast.availability.v1.booking_pb2 import (
    Booking,
    CancelBookingRequest,
    GetBookingRequest,
    ListBookingsRequest,
)
from shared.client.cli import param, text
from shared.client.cli.clock import clock_of
from shared.client.cli.command import Group
from shared.client.cli.output import Column, Output, Styled
from shared.client.cli.record import enum_word, record
from shared.client.cli.session import Session, with_session
from shared.client.client import new_request_id
from shared.client.value import from_timestamp, to_timestamp

_STATES: Final = ("confirmed", "cancelled", "any")
_WIDE: Final = 100


@click.group(cls=Group)
def bookings() -> None:
    """List, show and cancel bookings."""


@bookings.command(
    "list",
    examples=[
        "holdfast bookings list",
        "holdfast bookings list --resource studio-a --from 2027-03-01 --until 2027-04-01",
        "holdfast bookings list --booker band-7 --state any -o json",
    ],
)
@click.option("--resource", "resource_id", metavar="ID", default="", help="Only this resource's.")
@click.option("--booker", "booker_id", metavar="ID", default="", help="Only this booker's.")
@click.option("--event-type", "event_type_id", metavar="ID", default="", help="Only under this.")
@click.option("--state", type=click.Choice(_STATES), default="confirmed", show_default=True)
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
        state=_state(state),
        start_after=to_timestamp(_midnight(first, zone)) if first else None,
        start_before=to_timestamp(_midnight(until, zone)) if until else None,
    )
    client = session.client
    pages = client.rows(
        client.bookings.ListBookings, request, lambda page: page.bookings, limit=limit
    )
    found = await session.collect(pages)
    if session.output.is_json:
        session.output.json([record(booking) for booking in found])
        return
    session.output.table(_columns(zone, state), found, empty="No bookings.")
    if found and session.output.is_terminal:
        session.output.line(Styled(f"Times of {zone.key}.", "dim"))


@bookings.command("show", examples=["holdfast bookings show BOOKING"])
@click.argument("booking_id", metavar="BOOKING")
@param.zone_option("The clock of its times.  [default: the booker's, else the resource's]")
@with_session
async def show_booking(session: Session, booking_id: str, time_zone: ZoneInfo | None) -> None:
    """Show one booking."""
    answer = await session.client.call(
        session.client.bookings.GetBooking,
        GetBookingRequest(organization_id=session.organization, booking_id=booking_id),
    )
    await _show(session, answer.booking, time_zone)


@bookings.command(
    "cancel",
    examples=[
        "holdfast bookings cancel BOOKING",
        "holdfast bookings cancel BOOKING --reason 'the band is ill'",
    ],
)
@click.argument("booking_id", metavar="BOOKING")
@click.option("--reason", default="", help="Why, for its history.")
@param.request_id_option
@with_session
async def cancel_booking(
    session: Session, booking_id: str, reason: str, request_id: UUID | None
) -> None:
    """Cancel a booking: exactly its time is free again."""
    answer = await session.client.call(
        session.client.bookings.CancelBooking,
        CancelBookingRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            booking_id=booking_id,
            reason=reason,
        ),
    )
    await _show(session, answer.booking, None)


async def _show(session: Session, booking: Booking, wanted: ZoneInfo | None) -> None:
    if session.output.is_json:
        session.output.json(record(booking))
        return
    if wanted is None and booking.time_zone:
        wanted = param.zone_or_utc(booking.time_zone)
    resource_id = booking.items[0].resource_id if booking.items else ""
    zone = wanted or await clock_of(session.client, resource_id)
    _describe(session.output, booking, zone)


def _describe(output: Output, booking: Booking, zone: ZoneInfo) -> None:
    start, end = from_timestamp(booking.start_time), from_timestamp(booking.end_time)
    output.facts(
        [
            ("Booking", booking.booking_id),
            ("State", _state_word(booking)),
            ("Resource", ", ".join(item.resource_id for item in booking.items)),
            ("When", f"{text.span(start, end, zone)} ({zone.key})"),
            ("Length", text.length(end - start)),
            ("Takes", _occupancy(booking, zone)),
            ("Event type", f"{booking.event_type_title} ({booking.event_type_id})"),
            ("Booker", booking.booker.booker_id),
            ("Name", booking.booker.name),
            ("E-mail", booking.booker.email),
            ("Location", booking.location),
            ("Created", f"{text.moment(from_timestamp(booking.create_time), zone)}"),
            ("Reason", booking.cancel_reason),
        ]
    )


def _occupancy(booking: Booking, zone: ZoneInfo) -> str:
    """What the booking takes beyond its own time; empty where it is the same."""
    return "\n".join(
        text.span(
            from_timestamp(item.occupancy_start_time),
            from_timestamp(item.occupancy_end_time),
            zone,
        )
        for item in booking.items
        if item.HasField("occupancy_start_time")
        and (item.occupancy_start_time, item.occupancy_end_time)
        != (booking.start_time, booking.end_time)
    )


def _columns(zone: ZoneInfo, state: str) -> list[Column[Booking]]:
    columns = [
        Column[Booking]("START", lambda b: text.moment(from_timestamp(b.start_time), zone)),
        # With the state beside it, it would be too much for eighty columns.
        Column[Booking]("LENGTH", _length, from_width=_WIDE if state == "any" else 0),
        Column[Booking]("RESOURCE", lambda b: ", ".join(item.resource_id for item in b.items)),
        Column[Booking]("BOOKING", lambda b: b.booking_id),
        Column[Booking]("EVENT TYPE", lambda b: b.event_type_id, from_width=_WIDE),
        Column[Booking]("BOOKER", lambda b: b.booker.name or b.booker.booker_id, from_width=_WIDE),
    ]
    if state == "any":
        columns.insert(3, Column[Booking]("STATE", _state_word))
    return columns


def _length(booking: Booking) -> str:
    return text.length(from_timestamp(booking.end_time) - from_timestamp(booking.start_time))


def _state_word(booking: Booking) -> str:
    return enum_word(BookingState.DESCRIPTOR, booking.state)


def _state(word: str) -> BookingState.ValueType:
    name = "UNSPECIFIED" if word == "any" else word.upper()
    return BookingState.Value(f"BOOKING_STATE_{name}")


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
