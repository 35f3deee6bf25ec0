"""``holdfast book``: makes a booking."""

from __future__ import annotations

import getpass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import click
import grpc

from holdfast.availability.v1.booking_pb2 import Booker, Booking, BookingItem, CreateBookingRequest
from holdfast.catalog.v1.offering_pb2 import GetOfferingRequest, Offering
from shared.client.cli import param, text
from shared.client.cli.command import Command
from shared.client.cli.offer import Offer, find_offer
from shared.client.cli.output import Output, Styled
from shared.client.cli.record import record
from shared.client.cli.session import Session, with_session
from shared.client.cli.wall import WallTimeSkipped, resolve
from shared.client.client import new_request_id
from shared.client.failure import HoldfastError
from shared.client.value import from_timestamp, to_duration, to_timestamp

# Refusals after which another start may do.
_ANOTHER_START: Final = frozenset(
    {"NOT_OFFERED_START", "OUTSIDE_SCHEDULE", "SLOT_HELD", "SLOT_UNAVAILABLE"}
)


@click.command(
    cls=Command,
    examples=[
        "holdfast book studio-a 2027-03-09T10:00 --duration 60",
        "holdfast book studio-a 2027-03-09T14:00+01:00 --duration 2h --email ada@example.org",
        "holdfast book keyboard-fp88 2027-03-09T09:00 --duration 1d --booker band-7 -o json",
    ],
)
@click.argument("resource_id", metavar="RESOURCE")
@click.argument("start", metavar="TIME", type=param.MOMENT)
@param.duration_option
@param.event_type_option
@click.option("--booker", metavar="ID", help="Your id of who books.  [default: your login name]")
@click.option("--name", default="", help="Who books, for people.")
@click.option("--email", default="", help="Where messages to them go.")
@click.option("--location", help="Where, when the event type names several locations.")
@param.zone_option("The booker's zone, and the clock of TIME.  [default: the schedule's zone]")
@click.option("--id", "booking_id", default="", help="The booking's id.  [default: generated]")
@param.request_id_option
@with_session
async def book(
    session: Session,
    resource_id: str,
    start: datetime,
    duration: timedelta | None,
    event_type_id: str | None,
    booker: str | None,
    name: str,
    email: str,
    location: str | None,
    time_zone: ZoneInfo | None,
    booking_id: str,
    request_id: UUID | None,
) -> None:
    """Book a resource.

    TIME is read by the clock of the resource's schedule, like the times that slots lists, unless
    it ends in Z or an offset (2027-03-09T10:00+01:00) or --time-zone names another clock.
    """
    offer = await find_offer(session, resource_id, event_type_id, duration)
    offering = await _offering(session, resource_id, offer)
    zone = _clock(session.output, offering, time_zone)
    session.invocation.shown_zone = zone.key
    request = CreateBookingRequest(
        organization_id=session.organization,
        request_id=str(request_id or new_request_id()),
        booking_id=booking_id,
        items=[BookingItem(resource_id=resource_id)],
        event_type_id=offer.event_type_id,
        start_time=to_timestamp(_instant(session.output, start, zone)),
        duration=to_duration(offer.duration),
        booker=Booker(booker_id=booker or _login(), name=name, email=email),
        location=_place(location, offering),
        time_zone=time_zone.key if time_zone else "",
    )
    try:
        answer = await session.client.call(session.client.bookings.CreateBooking, request)
    except HoldfastError as error:
        _advise(error, request, zone, session.invocation.program)
        raise
    if session.output.is_json:
        session.output.json(record(answer.booking))
    else:
        _show(session.output, answer.booking, zone, session.invocation.program)


async def _offering(session: Session, resource_id: str, offer: Offer) -> Offering:
    answer = await session.client.call(
        session.client.catalog.GetOffering,
        GetOfferingRequest(
            organization_id=session.organization,
            resource_id=resource_id,
            event_type_id=offer.event_type_id,
        ),
    )
    return answer.offering


def _clock(output: Output, offering: Offering, wanted: ZoneInfo | None) -> ZoneInfo:
    """By which clock the start is read: the one by which slots shows it."""
    locked = offering.event_type.time_zone_lock
    if locked and wanted and wanted.key != locked:
        output.remark(f"{offering.event_type.event_type_id} is always read in {locked}")
    if locked:
        return param.zone_or_utc(locked)
    if wanted:
        return wanted
    return param.zone_or_utc(offering.schedule.time_zone or offering.resource.time_zone)


def _instant(output: Output, start: datetime, zone: ZoneInfo) -> datetime:
    """The instant that is meant.

    Raises:
        HoldfastError: No clock of the zone ever shows this time.
    """
    try:
        found = resolve(start, zone)
    except WallTimeSkipped as error:
        raise HoldfastError(
            grpc.StatusCode.INVALID_ARGUMENT, "WALL_TIME_SKIPPED", str(error)
        ) from error
    if found.later is not None:
        output.remark(
            f"{start:%H:%M} happens twice that day in {zone.key}: the earlier one is taken,"
            f" {text.iso(found.instant)}; the later one is {text.iso(found.later)}"
        )
    return found.instant


def _place(wanted: str | None, offering: Offering) -> str:
    """The location: what was asked for, else the only one there is.

    Raises:
        click.UsageError: There are several.
    """
    known = list(offering.event_type.locations)
    if wanted is not None or not known:
        return wanted or ""
    if len(known) > 1:
        raise click.UsageError(f"--location is needed, one of: {', '.join(known)}")
    return known[0]


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return "somebody"


def _advise(
    error: HoldfastError, request: CreateBookingRequest, zone: ZoneInfo, program: str
) -> None:
    """Adds the command that shows what would do instead."""
    if error.reason in _ANOTHER_START:
        day = from_timestamp(request.start_time).astimezone(zone).date()
        minutes = request.duration.ToTimedelta() // timedelta(minutes=1)
        error.add_note("see what is free:")
        error.add_note(
            f"  {program} slots {request.items[0].resource_id} {day}"
            f" --duration {minutes} --event-type {request.event_type_id}"
        )


def _show(output: Output, booking: Booking, zone: ZoneInfo, program: str) -> None:
    start, end = from_timestamp(booking.start_time), from_timestamp(booking.end_time)
    resources = ", ".join(item.resource_id for item in booking.items)
    output.line(
        Styled("Booked ", "bold green"), f"{resources} for {text.length(end - start)}: ",
        Styled(text.span(start, end, zone), "bold"), f" ({zone.key})",
    )  # fmt: skip
    output.line(f"Its id is {booking.booking_id}; to cancel it:")
    output.line(Styled(f"  {program} bookings cancel {booking.booking_id}", "cyan"))
