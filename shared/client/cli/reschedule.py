"""``holdfast reschedule``: moves a booking."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import click

from holdfast.availability.v1.booking_pb2 import GetBookingRequest, RescheduleBookingRequest
from shared.client.cli import param
from shared.client.cli.booking_view import is_block, length_of, show
from shared.client.cli.choice import find_choice
from shared.client.cli.command import Command
from shared.client.cli.holding import tell_holders
from shared.client.cli.login import login
from shared.client.cli.session import Session, with_session
from shared.client.client import new_request_id
from shared.client.failure import HoldfastError
from shared.client.value import to_duration, to_timestamp


@click.command(
    cls=Command,
    examples=[
        "holdfast reschedule BOOKING 2027-03-20T09:00",
        "holdfast reschedule BOOKING 2027-03-20T15:00+01:00 --reason 'the train is late'",
    ],
)
@click.argument("booking_id", metavar="BOOKING")
@click.argument("start", metavar="TIME", type=param.MOMENT)
@click.option("--duration", type=param.LENGTH, help="How long from now on.  [default: as it is]")
@param.zone_option("The clock of TIME.  [default: the schedule's zone]")
@param.reason_option
@param.actor_option
@param.token_option
@param.session_option("The session that holds the new time, as in book.")
@param.override_option
@param.request_id_option
@with_session
async def reschedule(
    session: Session,
    booking_id: str,
    start: datetime,
    duration: timedelta | None,
    time_zone: ZoneInfo | None,
    reason: str,
    actor_id: str | None,
    token: str,
    secret: str | None,
    override: str,
    request_id: UUID | None,
) -> None:
    """Move a booking with all its resources; it keeps its id, token and state.

    TIME is read as book reads it. The new time may overlap the old one, and every rule is asked
    again. What is free for it: holdfast slots RESOURCE DATE --moving BOOKING.
    """
    client = session.client
    found = await client.call(
        client.bookings.GetBooking,
        GetBookingRequest(
            organization_id=session.organization, booking_id=booking_id, management_token=token
        ),
    )
    booking = found.booking
    if is_block(booking):
        raise click.UsageError(
            f"{booking_id} is a block, which cannot be moved: end it with"
            f" `{session.invocation.program} cancel` and make another"
        )
    choice = await find_choice(
        session,
        booking.items[0].resource_id,
        start,
        booking.event_type_id,
        duration or length_of(booking),
        time_zone,
    )
    request = RescheduleBookingRequest(
        organization_id=session.organization,
        request_id=str(request_id or new_request_id()),
        booking_id=booking_id,
        start_time=to_timestamp(choice.start),
        duration=to_duration(duration) if duration else None,
        reason=reason,
        actor_id=login() if actor_id is None else actor_id,
        management_token=token,
        override_reason=override,
    )
    try:
        answer = await client.reschedule(request, session=secret)
    except HoldfastError as error:
        await tell_holders(client, error, choice.zone, secret=secret)
        units = {item.resource_id: item.units for item in booking.items}
        choice.advise(error, session.invocation.program, units=units, moving=booking_id)
        raise
    await show(session, answer.booking, time_zone)
