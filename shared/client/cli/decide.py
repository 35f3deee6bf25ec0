"""``holdfast confirm``, ``decline``, ``complete`` and ``cancel``: what becomes of a booking."""

from __future__ import annotations

from uuid import UUID

import click

from holdfast.availability.v1.booking_pb2 import (
    CancelBookingRequest,
    CompleteBookingRequest,
    ConfirmBookingRequest,
    DeclineBookingRequest,
)
from shared.client.cli import param
from shared.client.cli.booking_view import show
from shared.client.cli.command import Command
from shared.client.cli.login import login
from shared.client.cli.session import Session, with_session
from shared.client.client import new_request_id


@click.command(
    cls=Command,
    examples=["holdfast confirm BOOKING", "holdfast confirm BOOKING --actor ada --reason 'paid'"],
)
@click.argument("booking_id", metavar="BOOKING")
@param.reason_option
@param.actor_option
@param.request_id_option
@with_session
async def confirm(
    session: Session, booking_id: str, reason: str, actor_id: str | None, request_id: UUID | None
) -> None:
    """Accept a booking.

    A pending one becomes confirmed. A provisional one does too, unless its event type requires
    confirmation: then it becomes pending, and is confirmed by a second call.
    """
    answer = await session.client.call(
        session.client.bookings.ConfirmBooking,
        ConfirmBookingRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            booking_id=booking_id,
            reason=reason,
            actor_id=login() if actor_id is None else actor_id,
        ),
    )
    await show(session, answer.booking)


@click.command(
    cls=Command, examples=["holdfast decline BOOKING --reason 'closed for a private event'"]
)
@click.argument("booking_id", metavar="BOOKING")
@param.reason_option
@param.actor_option
@param.request_id_option
@with_session
async def decline(
    session: Session, booking_id: str, reason: str, actor_id: str | None, request_id: UUID | None
) -> None:
    """Turn a pending booking down: its time is free again."""
    answer = await session.client.call(
        session.client.bookings.DeclineBooking,
        DeclineBookingRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            booking_id=booking_id,
            reason=reason,
            actor_id=login() if actor_id is None else actor_id,
        ),
    )
    await show(session, answer.booking)


@click.command(cls=Command, examples=["holdfast complete BOOKING"])
@click.argument("booking_id", metavar="BOOKING")
@param.reason_option
@param.actor_option
@param.request_id_option
@with_session
async def complete(
    session: Session, booking_id: str, reason: str, actor_id: str | None, request_id: UUID | None
) -> None:
    """Say that a confirmed booking took place; from its start on."""
    answer = await session.client.call(
        session.client.bookings.CompleteBooking,
        CompleteBookingRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            booking_id=booking_id,
            reason=reason,
            actor_id=login() if actor_id is None else actor_id,
        ),
    )
    await show(session, answer.booking)


@click.command(
    cls=Command,
    examples=[
        "holdfast cancel BOOKING",
        "holdfast cancel BOOKING --reason 'the band is ill'",
    ],
)
@click.argument("booking_id", metavar="BOOKING")
@param.reason_option
@param.actor_option
@param.token_option
@param.request_id_option
@with_session
async def cancel(
    session: Session,
    booking_id: str,
    reason: str,
    actor_id: str | None,
    token: str,
    request_id: UUID | None,
) -> None:
    """Cancel a booking, or end a block: exactly its time is free again."""
    answer = await session.client.call(
        session.client.bookings.CancelBooking,
        CancelBookingRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            booking_id=booking_id,
            reason=reason,
            actor_id=login() if actor_id is None else actor_id,
            management_token=token,
        ),
    )
    await show(session, answer.booking)
