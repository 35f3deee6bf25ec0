"""BookingService's reads of one booking: decoded and checked, encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from holdfast.availability.v1 import booking_event_pb2 as event_pb
from holdfast.availability.v1 import booking_pb2 as pb
from services.availability.domain.booking import Booking, Event
from services.availability.domain.booking_event import BookingEvent
from services.availability.rpc.booking_codec import message, stamp
from shared.runtime.check import FieldCheck
from shared.runtime.failure import InvalidPageToken
from shared.runtime.page import decode_token, encode_token

_LONGEST_TOKEN: Final = 128
_MOST_REVISION: Final = 2**31 - 1

_KINDS: Final[Mapping[Event, event_pb.BookingEventKind.ValueType]] = MappingProxyType(
    {event: event_pb.BookingEventKind.Value(f"BOOKING_EVENT_KIND_{event.name}") for event in Event}
)


class BookingQuery(NamedTuple):
    """What GetBooking asks for."""

    organization_id: str
    booking_id: str
    token: str


class HistoryQuery(NamedTuple):
    """What ListBookingHistory asks for; -1 is before the first event."""

    organization_id: str
    booking_id: str
    after: int
    size: int


def booking_query(request: pb.GetBookingRequest) -> BookingQuery:
    """Decodes GetBooking."""
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    check.identifier("booking_id", request.booking_id)
    check.text("management_token", request.management_token, maximum=_LONGEST_TOKEN)
    check.done()
    return BookingQuery(request.organization_id, request.booking_id, request.management_token)


def get_response(booking: Booking, history: Sequence[BookingEvent]) -> pb.GetBookingResponse:
    """Encodes GetBooking."""
    return pb.GetBookingResponse(booking=message(booking), history=map(event_message, history))


def history_query(request: event_pb.ListBookingHistoryRequest) -> HistoryQuery:
    """Decodes ListBookingHistory.

    Raises:
        InvalidPageToken: The page token is not one that this list gave for this booking.
    """
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    check.identifier("booking_id", request.booking_id)
    size = check.page_size(request.page_size)
    check.done()
    return HistoryQuery(request.organization_id, request.booking_id, _revision(request), size)


def history_response(
    request: event_pb.ListBookingHistoryRequest, events: Sequence[BookingEvent], end: int | None
) -> event_pb.ListBookingHistoryResponse:
    """Encodes ListBookingHistory."""
    token = "" if end is None else encode_token(request, [str(end)])
    return event_pb.ListBookingHistoryResponse(
        events=map(event_message, events), next_page_token=token
    )


def event_message(event: BookingEvent) -> event_pb.BookingEvent:
    """Encodes one event."""
    return event_pb.BookingEvent(
        booking_id=event.booking_id,
        revision=event.revision,
        kind=_KINDS[event.event],
        state=event_pb.BookingState.ValueType(event.state),
        actor_id=event.actor,
        reason=event.reason,
        event_time=stamp(event.happened_at),
        start_time=stamp(event.start),
        end_time=stamp(event.end),
        overridden=event.is_override,
    )


def _revision(request: event_pb.ListBookingHistoryRequest) -> int:
    if not request.page_token:
        return -1
    try:
        (text,) = decode_token(request.page_token, request)
        found = int(text)
    except ValueError as error:
        raise InvalidPageToken from error
    if not 0 <= found <= _MOST_REVISION:
        raise InvalidPageToken
    return found
