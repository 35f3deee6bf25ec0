"""BookingService's messages: decoded and checked, encoded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from holdfast.availability.v1 import booking_event_pb2 as event_pb
from holdfast.availability.v1 import booking_pb2 as pb
from services.availability.app.book import Order
from services.availability.app.port import BookingFilter, Cursor, RequestKey
from services.availability.domain.booking import Booker, Booking, BookingState
from services.availability.domain.offering import OfferingName
from services.availability.rpc.codec import SHORTEST, optional_zone, require_quarter_hour
from shared.runtime.check import FieldCheck
from shared.runtime.failure import InvalidFields, InvalidPageToken
from shared.runtime.page import decode_token, encode_token
from shared.runtime.replay import content_hash
from shared.slots.quantum import SECONDS_PER_QUANTUM, microseconds
from shared.slots.rule import MAX_BOOKING

_LONGEST_BOOKER_ID: Final = 128
_LONGEST_NAME: Final = 200
_LONGEST_EMAIL: Final = 254
_LONGEST_LOCATION: Final = 200
_LONGEST_REASON: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MICROS_PER_SECOND: Final = 1_000_000
_NANOS_PER_MICRO: Final = 1_000


class BookingName(NamedTuple):
    """One booking of an organization."""

    organization_id: str
    booking_id: str


class Cancellation(NamedTuple):
    """What CancelBooking asks for."""

    key: RequestKey
    booking_id: str
    reason: str


class Listing(NamedTuple):
    """What ListBookings asks for."""

    filters: BookingFilter
    after: Cursor | None
    size: int


def order(request: pb.CreateBookingRequest) -> tuple[RequestKey, Order]:
    """Decodes CreateBooking.

    Raises:
        OffGrid: The start is not a quarter hour.
    """
    check = FieldCheck()
    key = _key(check, request, "CreateBooking")
    booking_id = check.optional_identifier("booking_id", request.booking_id)
    resource_id = _only_resource(check, request)
    event_type_id = check.identifier("event_type_id", request.event_type_id)
    start = check.instant("start_time", request, "start_time")
    duration = check.length("duration", request, "duration", minimum=SHORTEST, maximum=MAX_BOOKING)
    booker = _booker(check, request)
    check.text("location", request.location, maximum=_LONGEST_LOCATION)
    optional_zone(check, "time_zone", request.time_zone)
    check.done()
    require_quarter_hour("start_time", start)
    return key, Order(
        name=OfferingName(request.organization_id, resource_id, event_type_id),
        booking_id=booking_id,
        start=start,
        duration=duration,
        booker=booker,
        location=request.location,
        time_zone=request.time_zone,
    )


def cancellation(request: pb.CancelBookingRequest) -> Cancellation:
    """Decodes CancelBooking."""
    check = FieldCheck()
    key = _key(check, request, "CancelBooking")
    check.identifier("booking_id", request.booking_id)
    check.text("reason", request.reason, maximum=_LONGEST_REASON)
    check.done()
    return Cancellation(key, request.booking_id, request.reason)


def booking_name(request: pb.GetBookingRequest) -> BookingName:
    """Decodes GetBooking."""
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    check.identifier("booking_id", request.booking_id)
    check.done()
    return BookingName(request.organization_id, request.booking_id)


def listing(request: pb.ListBookingsRequest) -> Listing:
    """Decodes ListBookings.

    Raises:
        InvalidPageToken: The page token is not one this list gave for these filters.
    """
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    check.optional_identifier("resource_id", request.resource_id)
    check.text("booker_id", request.booker_id, maximum=_LONGEST_BOOKER_ID)
    check.optional_identifier("event_type_id", request.event_type_id)
    state = check.enum("state", request.state, event_pb.BookingState, required=False)
    after = check.optional_instant("start_after", request, "start_after")
    before = check.optional_instant("start_before", request, "start_before")
    if after is not None and before is not None and after >= before:
        check.fail("start_before", "must be later than start_after")
    size = check.page_size(request.page_size)
    named = request.resource_id or request.booker_id or request.event_type_id or state
    if not named and after is None and before is None:
        check.fail("resource_id", "or another filter is required")
    check.done()
    filters = BookingFilter(
        organization_id=request.organization_id,
        resource_id=request.resource_id,
        booker_id=request.booker_id,
        event_type_id=request.event_type_id,
        state=BookingState(state) if state else None,
        start_after=after,
        start_before=before,
    )
    return Listing(filters, _cursor(request), size)


def create_answer(booking: Booking) -> bytes:
    """Encodes the answer of CreateBooking."""
    return pb.CreateBookingResponse(booking=_message(booking)).SerializeToString()


def cancel_answer(booking: Booking) -> bytes:
    """Encodes the answer of CancelBooking."""
    return pb.CancelBookingResponse(booking=_message(booking)).SerializeToString()


def get_response(booking: Booking) -> pb.GetBookingResponse:
    """Encodes GetBooking."""
    return pb.GetBookingResponse(booking=_message(booking))


def list_response(
    request: pb.ListBookingsRequest, bookings: Any, end: Cursor | None
) -> pb.ListBookingsResponse:
    """Encodes ListBookings."""
    token = ""
    if end is not None:
        token = encode_token(request, [str(microseconds(end.start)), end.booking_id])
    return pb.ListBookingsResponse(bookings=map(_message, bookings), next_page_token=token)


def _key(check: FieldCheck, request: Any, method: str) -> RequestKey:
    organization_id = check.identifier("organization_id", request.organization_id)
    request_id = check.request_id(request.request_id)
    return RequestKey(organization_id, method, request_id, content_hash(request))


def _only_resource(check: FieldCheck, request: pb.CreateBookingRequest) -> str:
    if len(request.items) != 1:
        check.fail("items", "must have exactly one entry")
        return ""
    (item,) = request.items
    if item.units not in {0, 1}:
        check.fail("items[0].units", "must be 1, or 0 for 1")
    return check.identifier("items[0].resource_id", item.resource_id)


def _booker(check: FieldCheck, request: pb.CreateBookingRequest) -> Booker:
    booker = request.booker
    check.text("booker.booker_id", booker.booker_id, minimum=1, maximum=_LONGEST_BOOKER_ID)
    check.text("booker.name", booker.name, maximum=_LONGEST_NAME)
    check.text("booker.email", booker.email, maximum=_LONGEST_EMAIL)
    if booker.email and "@" not in booker.email[1:-1]:
        check.fail("booker.email", "must have an @ inside")
    return Booker(booker.booker_id, booker.name, booker.email)


def _cursor(request: pb.ListBookingsRequest) -> Cursor | None:
    if not request.page_token:
        return None
    parts = decode_token(request.page_token, request)
    try:
        microseconds_text, booking_id = parts
        start = _EPOCH + int(microseconds_text) * _MICROSECOND
        check = FieldCheck()
        check.identifier("page_token", booking_id)
        check.done()
    except (ValueError, OverflowError, InvalidFields) as error:
        raise InvalidPageToken from error
    return Cursor(start, booking_id)


def _message(booking: Booking) -> pb.Booking:
    message = pb.Booking(
        booking_id=booking.booking_id,
        organization_id=booking.organization_id,
        event_type_id=booking.event_type_id,
        event_type_title=booking.event_type_title,
        start_time=_stamp(booking.start),
        end_time=_stamp(booking.end),
        booker=pb.Booker(
            booker_id=booking.booker.booker_id,
            name=booking.booker.name,
            email=booking.booker.email,
        ),
        location=booking.location,
        time_zone=booking.time_zone,
        state=event_pb.BookingState.ValueType(booking.state),
        cancel_reason=booking.cancel_reason,
        create_time=_stamp(booking.created_at),
        update_time=_stamp(booking.updated_at),
    )
    for item in booking.items:
        message.items.add(
            resource_id=item.resource_id,
            units=item.units,
            occupancy_start_time=Timestamp(seconds=item.occupancy.first * SECONDS_PER_QUANTUM),
            occupancy_end_time=Timestamp(seconds=item.occupancy.stop * SECONDS_PER_QUANTUM),
        )
    return message


def _stamp(moment: datetime) -> Timestamp:
    seconds, micros = divmod(microseconds(moment), _MICROS_PER_SECOND)
    return Timestamp(seconds=seconds, nanos=micros * _NANOS_PER_MICRO)
