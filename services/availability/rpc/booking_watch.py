"""WatchBookings's messages: decoded and checked, encoded once for all who watch."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from holdfast.availability.v1 import booking_pb2 as pb
from services.availability.app.watch_bookings import Beginning, Following
from services.availability.domain.booking import Booking
from services.availability.domain.booking_event import BookingEvent, EventPosition
from services.availability.rpc.booking_codec import message
from services.availability.rpc.booking_event_codec import event_message
from shared.runtime.call import Context
from shared.runtime.check import FieldCheck
from shared.runtime.failure import InvalidResumeToken
from shared.runtime.resume import ResumeTokens
from shared.runtime.watch import write
from shared.runtime.wire import bytes_field

_EVENT: Final = pb.WatchBookingsResponse.EVENT_FIELD_NUMBER
_BOOKING: Final = pb.WatchBookingsResponse.BOOKING_FIELD_NUMBER
_TOKEN: Final = pb.WatchBookingsResponse.RESUME_TOKEN_FIELD_NUMBER

# A second less than promised: the loop may be busy when the time has come.
_SIGN_SECONDS: Final = 4.0
_MOST_ORDINAL: Final = 2**15 - 1


class EventTokens:
    """The resume tokens of one organization, wherever the watch began that gave them."""

    def __init__(self, organization_id: str) -> None:
        self._tokens = ResumeTokens(
            pb.WatchBookingsRequest(organization_id=organization_id), scopes=2
        )

    def encode(self, position: EventPosition) -> bytes:
        """Returns the token of a position."""
        feed, ordinal, is_last, mark = position
        return self._tokens.encode([(feed, ordinal), (int(is_last), mark)])

    def decode(self, token: bytes) -> EventPosition:
        """Returns the position in a token.

        Raises:
            InvalidResumeToken: No watch of this organization gave it.
        """
        (feed, ordinal), (is_last, mark) = self._tokens.decode(token)
        if ordinal > _MOST_ORDINAL or is_last > 1:
            raise InvalidResumeToken
        return EventPosition(feed, ordinal, bool(is_last), mark)


class BookingsWatch(NamedTuple):
    """What WatchBookings asks for."""

    organization_id: str
    begin: EventPosition | Beginning
    tokens: EventTokens


def bookings_watch(request: pb.WatchBookingsRequest) -> BookingsWatch:
    """Decodes WatchBookings.

    Raises:
        InvalidResumeToken: No watch of this organization gave the token.
    """
    check = FieldCheck()
    organization_id = check.identifier("organization_id", request.organization_id)
    check.done()
    tokens = EventTokens(organization_id)
    begin: EventPosition | Beginning = Beginning.OLDEST if request.from_oldest else Beginning.NOW
    if request.resume_token:
        begin = tokens.decode(request.resume_token)
    return BookingsWatch(organization_id, begin, tokens)


async def serve_events(
    context: Context,
    following: Following,
    tokens: EventTokens,
    *,
    sign_seconds: float = _SIGN_SECONDS,
) -> None:
    """Writes every event, and signs of life while there are none, until the call ends.

    Args:
        context: Of the call; its messages are sent as the bytes they are.
        following: Where the watcher stands.
        tokens: Of its organization.
        sign_seconds: After how long without a message a sign of life is sent.

    Raises:
        ReaderTooSlow: The watcher took nothing for too long.
        TokenExpired: It is so slow that events were forgotten before they were told.
        StoreUnavailable: The store is lost.
    """
    now = asyncio.get_running_loop().time
    # At once: from here on the watcher knows that it misses nothing.
    await write(context, _signed(b"", tokens, following.position))
    sign_at = now() + sign_seconds
    while True:
        for entry in await following.next(sign_at - now()):
            if told := entry.encoded(_encoded):
                await write(context, _signed(told, tokens, entry.position))
                sign_at = now() + sign_seconds
        if now() >= sign_at:
            await write(context, _signed(b"", tokens, following.position))
            sign_at = now() + sign_seconds


def _signed(told: bytes, tokens: EventTokens, position: EventPosition) -> bytes:
    return told + bytes_field(_TOKEN, tokens.encode(position))


def _encoded(event: BookingEvent, booking: Booking) -> bytes:
    return bytes_field(_EVENT, event_message(event).SerializeToString()) + bytes_field(
        _BOOKING, message(booking).SerializeToString()
    )
