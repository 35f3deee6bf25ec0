"""ListBookings's messages: decoded and checked, encoded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from holdfast.availability.v1 import booking_event_pb2 as event_pb
from holdfast.availability.v1 import booking_pb2 as pb
from services.availability.app.event_port import BookingPage
from services.availability.app.port import BookingFilter, Cursor
from services.availability.domain.booking import BookingKind, BookingState
from services.availability.rpc.booking_codec import message
from shared.runtime.check import FieldCheck
from shared.runtime.failure import InvalidFields, InvalidPageToken
from shared.runtime.page import decode_token, encode_token
from shared.slots.quantum import microseconds

_LONGEST_BOOKER_ID: Final = 128
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Listing(NamedTuple):
    """What ListBookings asks for."""

    filters: BookingFilter
    after: Cursor | None
    size: int


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
    kind = check.enum("kind", request.kind, pb.BookingKind, required=False)
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
        kind=BookingKind(kind) if kind else BookingKind.BOOKING,
        start_after=after,
        start_before=before,
    )
    return Listing(filters, _cursor(request), size)


def list_response(request: pb.ListBookingsRequest, page: BookingPage) -> pb.ListBookingsResponse:
    """Encodes ListBookings."""
    token = ""
    if page.end is not None:
        token = encode_token(request, [str(microseconds(page.end.start)), page.end.booking_id])
    return pb.ListBookingsResponse(bookings=map(message, page.bookings), next_page_token=token)


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
