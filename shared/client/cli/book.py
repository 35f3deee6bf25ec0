"""``holdfast book``: makes a booking."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import click

from holdfast.availability.v1.booking_event_pb2 import (
    BOOKING_STATE_PENDING,
    BOOKING_STATE_PROVISIONAL,
)
from holdfast.availability.v1.booking_pb2 import (
    Booker,
    Booking,
    BookingItem,
    CreateBookingRequest,
    CreateBookingResponse,
)
from holdfast.catalog.v1.offering_pb2 import Offering
from shared.client.cli import param, text
from shared.client.cli.booking_view import items, length_of, span_of
from shared.client.cli.choice import find_choice
from shared.client.cli.command import Command
from shared.client.cli.holding import tell_holders
from shared.client.cli.login import login
from shared.client.cli.output import Output, Styled
from shared.client.cli.parse import Item
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
        "holdfast book studio-b 2027-03-09T10:00 --duration 60 --with microphone:3",
        "holdfast book studio-b 2027-03-09T15:00 --duration 60 --provisional 15m",
        "holdfast book keyboard-fp88 2027-03-09T09:00 --duration 1d --booker band-7 -o json",
    ],
)
@click.argument("resource_id", metavar="RESOURCE")
@click.argument("start", metavar="TIME", type=param.MOMENT)
@param.duration_option
@param.event_type_option
@param.units_option("How many units of RESOURCE.  [default: 1]")
@param.with_option("Another resource, all or none of them; repeatable.")
@click.option("--booker", metavar="ID", help="Your id of who books.  [default: your login name]")
@click.option("--name", default="", help="Who books, for people.")
@click.option("--email", default="", help="Where messages to them go.")
@click.option("--location", help="Where, when the event type names several locations.")
@param.zone_option("The booker's zone, and the clock of TIME.  [default: the schedule's zone]")
@click.option(
    "--provisional", type=param.LENGTH,
    help="Expires unless it is confirmed within this time: 1m to 24h.",
)  # fmt: skip
@param.session_option("The session that holds it: its own holds are not in the way.")
@param.override_option
@click.option("--actor", "actor_id", default="", help="Who does it.  [default: the booker]")
@click.option("--id", "booking_id", default="", help="The booking's id.  [default: generated]")
@param.request_id_option
@with_session
async def book(
    session: Session,
    resource_id: str,
    start: datetime,
    duration: timedelta | None,
    event_type_id: str | None,
    units: int,
    others: tuple[Item, ...],
    booker: str | None,
    name: str,
    email: str,
    location: str | None,
    time_zone: ZoneInfo | None,
    provisional: timedelta | None,
    secret: str | None,
    override: str,
    actor_id: str,
    booking_id: str,
    request_id: UUID | None,
) -> None:
    """Book a resource, or several at once: all of them or none.

    TIME is read by the clock of the resource's schedule, like the times that slots lists, unless
    it ends in Z or an offset (2027-03-09T10:00+01:00) or --time-zone names another clock.

    The management token that is printed lets whoever has it see, move and cancel this one booking:
    pass it on to the booker.

    What others hold is refused; what `holdfast hold` holds is booked with the session it prints.
    """
    wanted = [Item(resource_id, units or 1), *others]
    choice = await find_choice(
        session,
        resource_id,
        start,
        event_type_id,
        duration,
        time_zone,
        others=[each.resource_id for each in others],
    )
    request = CreateBookingRequest(
        organization_id=session.organization,
        request_id=str(request_id or new_request_id()),
        booking_id=booking_id,
        items=[BookingItem(resource_id=each.resource_id, units=each.units) for each in wanted],
        event_type_id=choice.offer.event_type_id,
        start_time=to_timestamp(choice.start),
        duration=to_duration(choice.offer.duration),
        booker=Booker(booker_id=booker or login(), name=name, email=email),
        location=_place(location, choice.offering),
        time_zone=time_zone.key if time_zone else "",
        provisional_duration=to_duration(provisional) if provisional is not None else None,
        override_reason=override,
        actor_id=actor_id,
    )
    try:
        answer = await session.client.book(request, session=secret)
    except HoldfastError as error:
        await tell_holders(session.client, error, choice.zone, secret=secret)
        choice.advise(error, session.invocation.program, units=dict(wanted))
        raise
    if session.output.is_json:
        token = answer.management_token
        session.output.json(record(answer.booking) | {"management_token": token})
    else:
        _show(session.output, answer, choice.zone, session.invocation.program)


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


def _show(output: Output, answer: CreateBookingResponse, zone: ZoneInfo, program: str) -> None:
    booking = answer.booking
    output.line(
        Styled(f"{_verb(booking)} ", "bold green"),
        f"{items(booking)} for {text.length(length_of(booking))}: ",
        Styled(span_of(booking, zone), "bold"), f" ({zone.key})",
    )  # fmt: skip
    if booking.state == BOOKING_STATE_PROVISIONAL:
        until = text.moment(from_timestamp(booking.expire_time), zone)
        output.line(f"It expires at {until} unless it is confirmed:")
        output.line(Styled(f"  {program} confirm {booking.booking_id}", "cyan"))
    if booking.state == BOOKING_STATE_PENDING:
        output.line("It waits for somebody to accept it, until its start at most:")
        output.line(Styled(f"  {program} confirm {booking.booking_id}", "cyan"))
    output.line(f"Its id is {booking.booking_id}; to cancel it:")
    output.line(Styled(f"  {program} cancel {booking.booking_id}", "cyan"))
    output.line("Whoever has its management token may see, move and cancel it (--token):")
    output.line(Styled(f"  {answer.management_token}", "cyan"))


def _verb(booking: Booking) -> str:
    if booking.state == BOOKING_STATE_PROVISIONAL:
        return "Booked for now"
    return "Asked for" if booking.state == BOOKING_STATE_PENDING else "Booked"
