"""Books and moves in the name of a session, whose own holds are then in nobody's way."""

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.availability.v1.booking_pb2 import (
    Booking,
    CreateBookingRequest,
    CreateBookingResponse,
    RescheduleBookingRequest,
    RescheduleBookingResponse,
)
from shared.client.value import from_timestamp
from shared.slots.quantum import Span, covering

if TYPE_CHECKING:  # the client is asked, not made
    from shared.client.client import Client


async def book(
    client: Client, request: CreateBookingRequest, session: str | None
) -> CreateBookingResponse:
    """As ``Client.book``."""
    _complete(client, request, session)
    # Before it is asked: a hold that it ends may hear of it before the answer is here.
    with _noted(client, request.session, _spans(request)):
        return await client.call(client.bookings.CreateBooking, request)


async def reschedule(
    client: Client, request: RescheduleBookingRequest, session: str | None
) -> RescheduleBookingResponse:
    """As ``Client.reschedule``."""
    _complete(client, request, session)
    answer = await client.call(client.bookings.RescheduleBooking, request)
    with _noted(client, request.session, _taken(answer.booking)):
        return answer


def _complete(
    client: Client,
    request: CreateBookingRequest | RescheduleBookingRequest,
    session: str | None,
) -> None:
    """Fills in what the client knows and the caller left out."""
    request.organization_id = request.organization_id or client.organization_id
    request.request_id = request.request_id or str(uuid.uuid4())
    if not request.session and (session or _has_held(client)):
        request.session = client.live.session(session)


def _noted(
    client: Client, session: str, taken: list[tuple[str, Span]]
) -> AbstractContextManager[None]:
    return client.live.booking(session, taken) if _has_held(client) else nullcontext()


def _has_held(client: Client) -> bool:
    """Whether the client may hold anything: one that only books loads nothing for it."""
    return "live" in vars(client)


def _spans(request: CreateBookingRequest) -> list[tuple[str, Span]]:
    """What a booking is about to take, without its buffers; nothing of what will be refused."""
    length = request.duration.ToTimedelta()
    if length <= timedelta(0):
        return []
    start = from_timestamp(request.start_time)
    return [(item.resource_id, covering(start, start + length)) for item in request.items]


def _taken(booking: Booking) -> list[tuple[str, Span]]:
    """What a booking takes."""
    return [
        (
            item.resource_id,
            covering(
                from_timestamp(item.occupancy_start_time), from_timestamp(item.occupancy_end_time)
            ),
        )
        for item in booking.items
    ]
