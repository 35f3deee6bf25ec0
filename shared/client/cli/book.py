"""``holdfast book``: makes a booking."""

from __future__ import annotations

import getpass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import click

from holdfast.availability.v1.booking_pb2 import Booker, Booking, BookingItem, CreateBookingRequest
from holdfast.catalog.v1.offering_pb2 import Offering
from shared.client.cli import param, text
from shared.client.cli.choice import find_choice
from shared.client.cli.command import Command
from shared.client.cli.output import Output, Styled
from shared.client.cli.record import record
from shared.client.cli.session import Session, with_session
from shared.client.client import new_request_id
from shared.client.failure import HoldfastError
from shared.client.value import from_timestamp, to_duration, to_timestamp


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
    choice = await find_choice(session, resource_id, start, event_type_id, duration, time_zone)
    request = CreateBookingRequest(
        organization_id=session.organization,
        request_id=str(request_id or new_request_id()),
        booking_id=booking_id,
        items=[BookingItem(resource_id=resource_id)],
        event_type_id=choice.offer.event_type_id,
        start_time=to_timestamp(choice.start),
        duration=to_duration(choice.offer.duration),
        booker=Booker(booker_id=booker or _login(), name=name, email=email),
        location=_place(location, choice.offering),
        time_zone=time_zone.key if time_zone else "",
    )
    try:
        answer = await session.client.call(session.client.bookings.CreateBooking, request)
    except HoldfastError as error:
        choice.advise(error, session.invocation.program)
        raise
    if session.output.is_json:
        session.output.json(record(answer.booking))
    else:
        _show(session.output, answer.booking, choice.zone, session.invocation.program)


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


def _show(output: Output, booking: Booking, zone: ZoneInfo, program: str) -> None:
    start, end = from_timestamp(booking.start_time), from_timestamp(booking.end_time)
    resources = ", ".join(item.resource_id for item in booking.items)
    output.line(
        Styled("Booked ", "bold green"), f"{resources} for {text.length(end - start)}: ",
        Styled(text.span(start, end, zone), "bold"), f" ({zone.key})",
    )  # fmt: skip
    output.line(f"Its id is {booking.booking_id}; to cancel it:")
    output.line(Styled(f"  {program} bookings cancel {booking.booking_id}", "cyan"))
