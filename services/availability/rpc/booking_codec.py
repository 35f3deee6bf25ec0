"""BookingService's messages: decoded and checked, encoded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from holdfast.availability.v1 import booking_event_pb2 as event_pb
from holdfast.availability.v1 import booking_pb2 as pb
from services.availability.app.block import Closure
from services.availability.app.book import Made, Order, OrderedItem
from services.availability.app.reschedule import NewTime
from services.availability.domain.booking import (
    LONGEST_PROVISIONAL,
    SHORTEST_PROVISIONAL,
    Booker,
    Booking,
    BookingKind,
    BookingState,
    Note,
)
from services.availability.domain.management_token import FIRST_VERSION, ManagementTokens
from services.availability.domain.request_key import RequestKey
from services.availability.rpc.codec import SHORTEST, optional_zone, require_quarter_hour, units
from services.availability.rpc.request import (
    LONGEST_REASON,
    NO_CONTENT,
    note,
    override_note,
    request_key,
    session,
)
from shared.runtime.check import FieldCheck
from shared.runtime.wire import bytes_field
from shared.slots.quantum import SECONDS_PER_QUANTUM
from shared.slots.rule import MAX_BOOKING

_LONGEST_BOOKER_ID: Final = 128
_LONGEST_NAME: Final = 200
_LONGEST_EMAIL: Final = 254
_LONGEST_LOCATION: Final = 200
_LONGEST_TOKEN: Final = 128
_MOST_ITEMS: Final = 10
# A retry may come from another session, and is the same booking all the same.
_WITHOUT_SESSION: Final = (*NO_CONTENT, "session")
_BOOKING_FIELD: Final = pb.CreateBookingResponse.BOOKING_FIELD_NUMBER
_TOKEN_FIELD: Final = pb.CreateBookingResponse.MANAGEMENT_TOKEN_FIELD_NUMBER
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_PER_DAY: Final = 86_400
_NANOS_PER_MICRO: Final = 1_000


class Target(NamedTuple):
    """What a call about one booking asks for."""

    key: RequestKey
    booking_id: str
    note: Note
    token: str = ""


def order(request: pb.CreateBookingRequest) -> tuple[RequestKey, Order]:
    """Decodes CreateBooking.

    Raises:
        OffGrid: The start is not a quarter hour.
    """
    check = FieldCheck()
    key = request_key(check, request, "CreateBooking", leaving_out=_WITHOUT_SESSION)
    booking_id = check.optional_identifier("booking_id", request.booking_id)
    items = _items(check, request)
    event_type_id = check.identifier("event_type_id", request.event_type_id)
    start = check.instant("start_time", request, "start_time")
    duration = check.length("duration", request, "duration", minimum=SHORTEST, maximum=MAX_BOOKING)
    booker = _booker(check, request)
    check.text("location", request.location, maximum=_LONGEST_LOCATION)
    optional_zone(check, "time_zone", request.time_zone)
    provisional = None
    if request.HasField("provisional_duration"):
        provisional = check.length(
            "provisional_duration",
            request,
            "provisional_duration",
            minimum=SHORTEST_PROVISIONAL,
            maximum=LONGEST_PROVISIONAL,
        )
    noted = override_note(check, request, "", booker.booker_id)
    held_by = session(check, request)
    check.done()
    require_quarter_hour("start_time", start)
    return key, Order(
        organization_id=request.organization_id,
        event_type_id=event_type_id,
        items=items,
        booking_id=booking_id,
        start=start,
        duration=duration,
        booker=booker,
        location=request.location,
        time_zone=request.time_zone,
        provisional=provisional,
        note=noted,
        session=held_by,
    )


def closure(request: pb.CreateBlockRequest) -> tuple[RequestKey, Closure]:
    """Decodes CreateBlock.

    Raises:
        OffGrid: The range does not start on a quarter hour.
    """
    check = FieldCheck()
    key = request_key(check, request, "CreateBlock")
    booking_id = check.optional_identifier("booking_id", request.booking_id)
    resource_id = check.identifier("resource_id", request.resource_id)
    start = check.instant("range.start_time", request.range, "start_time")
    end = check.instant("range.end_time", request.range, "end_time")
    if not timedelta() < end - start <= MAX_BOOKING:
        check.fail("range", "must end after it starts, at most 31 days later")
    units(check, "units", request.units)
    noted = note(check, request)
    check.done()
    require_quarter_hour("range.start_time", start)
    return key, Closure(
        resource_id=resource_id,
        booking_id=booking_id,
        start=start,
        end=end,
        units=request.units,
        note=noted,
    )


def target(request: Any, method: str) -> Target:
    """Decodes ConfirmBooking, DeclineBooking and CompleteBooking."""
    check = FieldCheck()
    key = request_key(check, request, method)
    check.identifier("booking_id", request.booking_id)
    noted = note(check, request)
    check.done()
    return Target(key, request.booking_id, noted)


def cancellation(request: pb.CancelBookingRequest) -> Target:
    """Decodes CancelBooking."""
    check = FieldCheck()
    key = request_key(check, request, "CancelBooking")
    check.identifier("booking_id", request.booking_id)
    noted = note(check, request)
    token = management_token(check, request)
    check.done()
    return Target(key, request.booking_id, noted, token)


def new_time(request: pb.RescheduleBookingRequest) -> tuple[RequestKey, NewTime]:
    """Decodes RescheduleBooking.

    Raises:
        OffGrid: The start is not a quarter hour.
    """
    check = FieldCheck()
    key = request_key(check, request, "RescheduleBooking", leaving_out=_WITHOUT_SESSION)
    check.identifier("booking_id", request.booking_id)
    start = check.instant("start_time", request, "start_time")
    duration = None
    if request.HasField("duration"):
        duration = check.length(
            "duration", request, "duration", minimum=SHORTEST, maximum=MAX_BOOKING
        )
    check.text("reason", request.reason, maximum=LONGEST_REASON)
    noted = override_note(check, request, request.reason, "")
    token = management_token(check, request)
    held_by = session(check, request)
    check.done()
    require_quarter_hour("start_time", start)
    return key, NewTime(
        booking_id=request.booking_id,
        start=start,
        duration=duration,
        note=noted,
        token=token,
        session=held_by,
    )


def management_token(check: FieldCheck, request: Any) -> str:
    """A management token, as it was given; empty for none."""
    check.text("management_token", request.management_token, maximum=_LONGEST_TOKEN)
    return str(request.management_token)


def answer(booking: Booking) -> bytes:
    """Encodes the answer of every call that makes or changes a booking.

    They are alike: the booking is field 1.
    """
    return bytes_field(_BOOKING_FIELD, message(booking).SerializeToString())


def with_token(made: Made, key: RequestKey, tokens: ManagementTokens) -> bytes:
    """Returns the answer of CreateBooking with the booking's token, which is never stored."""
    token = made.token
    if token is None:
        booking_id = pb.CreateBookingResponse.FromString(made.answer).booking.booking_id
        token = tokens.issued(key.organization_id, booking_id, FIRST_VERSION)
    return made.answer + bytes_field(_TOKEN_FIELD, token.encode())


def _items(check: FieldCheck, request: pb.CreateBookingRequest) -> tuple[OrderedItem, ...]:
    if not 1 <= len(request.items) <= _MOST_ITEMS:
        check.fail("items", f"must have 1 to {_MOST_ITEMS} entries")
    items = tuple(
        OrderedItem(
            check.identifier(f"items[{index}].resource_id", item.resource_id),
            units(check, f"items[{index}].units", item.units),
        )
        for index, item in enumerate(request.items[:_MOST_ITEMS])
    )
    if len({item.resource_id for item in items}) != len(items):
        check.fail("items", "must not name a resource twice")
    return items


def _booker(check: FieldCheck, request: pb.CreateBookingRequest) -> Booker:
    booker = request.booker
    check.text("booker.booker_id", booker.booker_id, minimum=1, maximum=_LONGEST_BOOKER_ID)
    check.text("booker.name", booker.name, maximum=_LONGEST_NAME)
    check.text("booker.email", booker.email, maximum=_LONGEST_EMAIL)
    if booker.email and "@" not in booker.email[1:-1]:
        check.fail("booker.email", "must have an @ inside")
    return Booker(booker.booker_id, booker.name, booker.email)


def message(booking: Booking) -> pb.Booking:
    """Encodes one booking, or one block."""
    found = pb.Booking(
        booking_id=booking.booking_id,
        organization_id=booking.organization_id,
        event_type_id=booking.event_type_id,
        event_type_title=booking.event_type_title,
        start_time=stamp(booking.start),
        end_time=stamp(booking.end),
        location=booking.location,
        time_zone=booking.time_zone,
        state=event_pb.BookingState.ValueType(booking.state),
        cancel_reason=booking.cancel_reason,
        create_time=stamp(booking.created_at),
        update_time=stamp(booking.updated_at),
        kind=pb.BookingKind.ValueType(booking.kind),
        sequence=booking.sequence,
        revision=booking.revision,
        block_reason=booking.block_reason,
    )
    if booking.kind is BookingKind.BOOKING:
        booker = booking.booker
        found.booker.booker_id, found.booker.name = booker.booker_id, booker.name
        found.booker.email = booker.email
    if booking.state is BookingState.PROVISIONAL and booking.expires_at is not None:
        found.expire_time.CopyFrom(stamp(booking.expires_at))
    for item in booking.items:
        found.items.add(
            resource_id=item.resource_id,
            units=item.units,
            occupancy_start_time=Timestamp(seconds=item.occupancy.first * SECONDS_PER_QUANTUM),
            occupancy_end_time=Timestamp(seconds=item.occupancy.stop * SECONDS_PER_QUANTUM),
        )
    return found


def stamp(moment: datetime) -> Timestamp:
    """Encodes an instant."""
    since = moment - _EPOCH
    return Timestamp(
        seconds=since.days * _SECONDS_PER_DAY + since.seconds,
        nanos=since.microseconds * _NANOS_PER_MICRO,
    )
