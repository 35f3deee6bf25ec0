"""Iterates over what happens to an organization's bookings, event by event."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.client.failure import HoldfastError
from shared.client.watch_event import WatchKind

if TYPE_CHECKING:  # only shapes
    from holdfast.availability.v1.booking_event_pb2 import BookingEvent
    from holdfast.availability.v1.booking_pb2 import (
        Booking,
        WatchBookingsRequest,
        WatchBookingsResponse,
    )
    from shared.client.follow import Following


@dataclass(frozen=True, slots=True)
class BookingsEvent:
    """One thing that a watch of bookings tells.

    Attributes:
        kind: CHANGES: something happened to a booking. LIVE: availability is heard, and nothing
            happened up to the token. STALE: it is not heard.
        resume_token: Goes on after this one; to be kept once the event is dealt with.
        event: CHANGES: what happened. It may be told again after a resume: its booking's id and
            revision name it.
        booking: CHANGES: the booking, perhaps newer than the event.
        failure: STALE: why availability is not heard.
    """

    kind: WatchKind
    resume_token: bytes
    event: BookingEvent | None = None
    booking: Booking | None = None
    failure: HoldfastError | None = None


async def booking_events(
    following: Following[WatchBookingsRequest, WatchBookingsResponse], token: bytes
) -> AsyncIterator[BookingsEvent]:
    """Yields every event in the order of commits; signs of life only where they tell something.

    Args:
        following: The watch; one that is never begun anew, so that nothing is missed silently.
        token: After which event it begins; empty where the watch chooses.

    Raises:
        HoldfastError: Refused (TOKEN_EXPIRED: what followed the token is no longer kept), or
            availability was not reached at the start.
    """
    is_heard = False
    async with aclosing(following.messages()) as messages:
        async for message in messages:
            was_heard = is_heard
            is_heard = not isinstance(message, HoldfastError)
            if isinstance(message, HoldfastError):
                if was_heard:
                    yield BookingsEvent(WatchKind.STALE, token, failure=message)
                continue
            is_newer, token = message.resume_token != token, message.resume_token
            if message.HasField("event"):
                yield BookingsEvent(WatchKind.CHANGES, token, message.event, message.booking)
            elif is_newer or not was_heard:
                yield BookingsEvent(WatchKind.LIVE, token)
