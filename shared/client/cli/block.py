"""``holdfast block`` and ``holdfast blocks``: time that is out of use."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import click

from holdfast.availability.v1.booking_pb2 import (
    BOOKING_KIND_BLOCK,
    Booking,
    CreateBlockRequest,
    ListBookingsRequest,
)
from holdfast.common.v1.time_pb2 import Interval
from shared.client.cli import param
from shared.client.cli.booking_view import block_columns, close_with_zone, items, span_of
from shared.client.cli.bookings import ACTIVE, ANY, fits, read, state_of
from shared.client.cli.choice import instant, instant_of
from shared.client.cli.clock import clock_of
from shared.client.cli.command import Command
from shared.client.cli.login import login
from shared.client.cli.output import Output, Styled
from shared.client.cli.record import record
from shared.client.cli.session import Session, with_session
from shared.client.client import new_request_id
from shared.client.value import from_timestamp, to_timestamp

_LONGEST: Final = timedelta(days=31)
_LIST: Final = "list"


@click.command(
    cls=Command,
    examples=[
        "holdfast block studio-a 2027-03-22T08:00 4h --reason 'the piano is tuned'",
        "holdfast block keyboard-fp88 2027-03-22T00:00 --until 2027-03-25 --reason repair",
    ],
)
@click.argument("resource_id", metavar="RESOURCE")
@click.argument("start", metavar="TIME", type=param.MOMENT)
@click.argument("duration", metavar="[DURATION]", type=param.LENGTH, required=False)
@click.option("--until", type=param.WHEN, help="Its end instead: a time, or a date's beginning.")
@param.units_option("How many units.  [default: all]")
@click.option("--reason", default="", help="Why.")
@param.actor_option
@param.zone_option("The clock of the times.  [default: the resource's zone]")
@click.option("--id", "block_id", default="", help="The block's id.  [default: generated]")
@param.request_id_option
@with_session
async def block(
    session: Session,
    resource_id: str,
    start: datetime,
    duration: timedelta | None,
    until: date | None,
    units: int,
    reason: str,
    actor_id: str | None,
    time_zone: ZoneInfo | None,
    block_id: str,
    request_id: UUID | None,
) -> None:
    """Take time of a resource out of use, whatever its opening hours, for at most 31 days.

    It is refused while bookings are in its way, and says which. `holdfast cancel` ends it. An
    administrators' call: the server must allow it.
    """
    if (duration is None) == (until is None):
        raise click.UsageError("say either how long (2h) or --until when")
    zone = time_zone or await clock_of(session.client, resource_id)
    session.invocation.shown_zone = zone.key
    first = instant(session.output, start, zone)
    last = first + duration if duration is not None else None
    if until is not None:
        last = instant_of(session.output, until, zone)
    assert last is not None  # one of the two was given
    answer = await session.client.call(
        session.client.bookings.CreateBlock,
        CreateBlockRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            booking_id=block_id,
            resource_id=resource_id,
            range=Interval(start_time=to_timestamp(first), end_time=to_timestamp(last)),
            units=units,
            reason=reason,
            actor_id=login() if actor_id is None else actor_id,
        ),
    )
    if session.output.is_json:
        session.output.json(record(answer.booking))
    else:
        _show(session.output, answer.booking, zone, session.invocation.program)


@click.command(
    cls=Command,
    examples=[
        "holdfast blocks",
        "holdfast blocks studio-a",
        "holdfast blocks studio-a --from 2027-03-01 --state any -o json",
    ],
)
@click.argument("resource_id", metavar="[RESOURCE]", default="")
@click.option("--from", "first", type=param.DATE, help="That end after this date's beginning.")
@click.option("--until", type=param.DATE, help="That start before this date.")
@click.option(
    "--state", type=click.Choice((ACTIVE, "cancelled", ANY)), default=ACTIVE, show_default=True,
    help="Ended ones are cancelled.",
)  # fmt: skip
@param.zone_option("The clock of dates and times.  [default: the resource's or schedule's]")
@param.limit_option
@with_session
async def blocks(
    session: Session,
    resource_id: str,
    first: date | None,
    until: date | None,
    state: str,
    time_zone: ZoneInfo | None,
    limit: int | None,
) -> None:
    """List what is out of use, by its start; without dates, what is not over yet."""
    if resource_id == _LIST:  # as of the commands that have several verbs
        raise click.UsageError("blocks has no verbs: say `blocks`, or `blocks RESOURCE`")
    zone = time_zone or await clock_of(session.client, resource_id)
    since = instant_of(session.output, first, zone) if first else session.invocation.now()
    request = ListBookingsRequest(
        organization_id=session.organization,
        resource_id=resource_id,
        state=state_of(state),
        # One that began within the longest length may still go on.
        start_after=to_timestamp(since - _LONGEST),
        start_before=to_timestamp(instant_of(session.output, until, zone)) if until else None,
        kind=BOOKING_KIND_BLOCK,
    )
    is_meant = fits(state)
    found = await read(
        session,
        request,
        limit=limit,
        wanted=lambda each: is_meant(each) and from_timestamp(each.end_time) > since,
    )
    if session.output.is_json:
        session.output.json([record(each) for each in found])
        return
    columns = block_columns(zone, with_state=state == ANY)
    session.output.table(columns, found, empty="No blocks.")
    if found:
        close_with_zone(session.output, zone)


def _show(output: Output, made: Booking, zone: ZoneInfo, program: str) -> None:
    output.line(
        Styled("Out of use ", "bold yellow"), f"{items(made)}: ",
        Styled(span_of(made, zone), "bold"), f" ({zone.key})",
    )  # fmt: skip
    output.line(f"Its id is {made.booking_id}; to end it:")
    output.line(Styled(f"  {program} cancel {made.booking_id}", "cyan"))
