"""What a resource or an event type has ahead, shown before it is deleted or switched off."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

import click

from holdfast.availability.v1.booking_pb2 import Booking, ListBookingsRequest
from shared.client.cli import text
from shared.client.cli.booking_view import items
from shared.client.cli.bookings import ACTIVE, fits, read
from shared.client.cli.clock import clock_of
from shared.client.cli.exit_code import ExitCode
from shared.client.cli.holding import count_holders, who
from shared.client.cli.report import message_of
from shared.client.cli.session import Session
from shared.client.failure import HoldfastError
from shared.client.value import from_timestamp, to_timestamp

_LONGEST_BOOKING: Final = timedelta(days=31)
_SHOWN: Final = 10


async def may_delete(
    session: Session, noun: str, name: str, *, resource_id: str = "", event_type_id: str = ""
) -> bool:
    """Shows whom it concerns, then asks whether to delete; the answer no is said.

    Raises:
        click.UsageError: Nobody is there to answer.
    """
    refuse_without_terminal("delete")
    await _tell(session, resource_id, event_type_id)
    return ask(session, f"Delete {noun} {name}? Its bookings stay, and undelete restores it.")


async def may_deactivate(
    session: Session, noun: str, name: str, *, resource_id: str = "", event_type_id: str = ""
) -> bool:
    """Shows whom it concerns, then asks whether to switch it off; the answer no is said.

    Raises:
        click.UsageError: Nobody is there to answer.
    """
    refuse_without_terminal("switch it off")
    await _tell(session, resource_id, event_type_id)
    return ask(session, f"Switch {noun} {name} off? Bookings stay; activate undoes it.")


async def _tell(session: Session, resource_id: str, event_type_id: str) -> None:
    """Shows the bookings ahead, and how many are choosing right now."""
    note = session.output.note
    request = ListBookingsRequest(
        organization_id=session.organization,
        resource_id=resource_id,
        event_type_id=event_type_id,
        # One that began within the longest length may still go on.
        start_after=to_timestamp(session.invocation.now() - _LONGEST_BOOKING),
    )
    try:
        ahead = await _ahead(session, request)
    except HoldfastError as error:
        note(f"Its upcoming bookings cannot be read: {message_of(error, session.invocation)}")
    else:
        zone = await clock_of(session.client, resource_id)
        for line in describe(ahead, zone):
            note(line)
    try:
        counted = await count_holders(
            session.client, resource_id=resource_id, event_type_id=event_type_id
        )
    except HoldfastError as error:
        note(f"Who holds it cannot be read: {message_of(error, session.invocation)}")
    else:
        note(who(counted))


def describe(ahead: list[Booking], zone: ZoneInfo) -> list[str]:
    """Writes what lies ahead, the first of it in detail."""
    if not ahead:
        return ["It has no upcoming booking."]
    lines = [f"It has {text.count(len(ahead), 'upcoming booking')}:"]
    for booking in ahead[:_SHOWN]:
        start, end = from_timestamp(booking.start_time), from_timestamp(booking.end_time)
        who = booking.booker.name or booking.booker.booker_id
        lines.append(f"  {text.span(start, end, zone)} ({zone.key})  {items(booking)}  {who}")
    if len(ahead) > _SHOWN:
        lines.append(f"  and {len(ahead) - _SHOWN:,} more")
    return lines


def ask(session: Session, question: str) -> bool:
    """Asks, the default being no; the answer no is said."""
    agreed = click.confirm(text.clean(question), err=True)
    if not agreed:
        session.output.note("Nothing was changed.")
    return agreed


def refuse_without_terminal(verb: str) -> None:
    """Ends a command that would ask where nobody answers.

    Raises:
        click.UsageError: Standard input is no terminal.
    """
    if not sys.stdin.isatty():
        raise click.UsageError(f"this asks before it would {verb}: say --yes where nobody answers")


NOT_AGREED: Final = ExitCode.REFUSED


async def _ahead(session: Session, request: ListBookingsRequest) -> list[Booking]:
    now = session.invocation.now()
    is_active = fits(ACTIVE)
    return await read(
        session,
        request,
        limit=None,
        wanted=lambda booking: is_active(booking) and from_timestamp(booking.end_time) > now,
    )
