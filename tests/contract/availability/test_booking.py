"""CreateBooking, GetBooking and CancelBooking: what they write, answer and free."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta

import grpc
import pytest

from holdfast.availability.v1 import booking_event_pb2, booking_pb2
from tests.contract.availability.world import (
    HOUR,
    NOW,
    Caller,
    FakeCatalog,
    length,
    read_refusal,
)
from tests.integration.availability.database import dump, rows

MONDAY = date(2027, 3, 8)
TUESDAY = date(2027, 3, 9)
WEDNESDAY = date(2027, 3, 10)
LONG = timedelta(hours=44)
NINE = datetime(2027, 3, 8, 9, tzinfo=UTC)


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def offer_long(catalog: FakeCatalog, caller: Caller) -> None:
    catalog.offer(
        caller.organization_id,
        duration_options=[length(HOUR), length(LONG)],
        slot_interval=length(HOUR),
    )


async def test_a_booking_over_days_takes_and_a_cancellation_frees_exactly_its_quanta(
    caller: Caller, catalog: FakeCatalog
) -> None:
    offer_long(catalog, caller)
    await caller.book(at(MONDAY, 13))
    await caller.book(at(WEDNESDAY, 10))
    neighbours = {MONDAY: [*range(52, 56)], TUESDAY: [], WEDNESDAY: [*range(40, 44)]}

    booking = await caller.book(at(MONDAY, 14), LONG)
    taken = await caller.busy(MONDAY, WEDNESDAY)
    await caller.cancel(booking.booking_id)

    assert taken == {
        MONDAY: [*range(52, 96)],
        TUESDAY: [*range(96)],
        WEDNESDAY: [*range(44)],
    }
    assert await caller.busy(MONDAY, WEDNESDAY) == neighbours


async def test_a_conflict_on_the_last_day_writes_nothing_at_all(
    caller: Caller, catalog: FakeCatalog, availability_url: str
) -> None:
    offer_long(catalog, caller)
    await caller.book(at(WEDNESDAY, 9))
    before = dump(availability_url, caller.organization_id)

    refusal = await caller.refused_book(at(MONDAY, 14), LONG)

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "SLOT_UNAVAILABLE"
    assert refusal.metadata == {"resource_id": "studio-a", "quanta.2027-03-10": "36,37,38,39"}
    assert dump(availability_url, caller.organization_id) == before


async def test_a_refusal_over_many_taken_days_still_fits_an_answer(
    caller: Caller, catalog: FakeCatalog
) -> None:
    month = timedelta(days=31)
    catalog.offer(caller.organization_id, duration_options=[length(month)])
    await caller.book(at(MONDAY, 0), month)

    refusal = await caller.refused_book(at(MONDAY, 0), month)

    assert refusal.reason == "SLOT_UNAVAILABLE"
    told = sorted(key for key in refusal.metadata if key.startswith("quanta."))
    assert told[0] == "quanta.2027-03-08"
    assert len(told) + int(refusal.metadata["more_dates"]) == 31


async def test_buffers_are_taken_and_two_bookings_buffers_add_up(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(
        caller.organization_id,
        slot_interval=length(timedelta(minutes=15)),
        buffer_before=length(timedelta(minutes=15)),
        buffer_after=length(timedelta(minutes=20)),
    )

    booking = await caller.book(NINE)

    occupancy = booking.items[0]
    assert occupancy.occupancy_start_time.ToDatetime(UTC) == NINE - timedelta(minutes=15)
    assert occupancy.occupancy_end_time.ToDatetime(UTC) == NINE + timedelta(minutes=90)
    assert (await caller.refused_book(NINE + timedelta(minutes=90))).reason == "SLOT_UNAVAILABLE"
    await caller.book(NINE + timedelta(minutes=105))


async def test_a_booking_is_answered_as_it_is_stored(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id, title="Große Probe", locations=["Room 1", "Room 2"])
    booker = booking_pb2.Booker(booker_id="b 1", name="Ann Ä.", email="ann@example.com")

    booking = await caller.book(
        NINE, booking_id="first", booker=booker, location="Room 2", time_zone="Asia/Kathmandu"
    )

    request = booking_pb2.GetBookingRequest(
        organization_id=caller.organization_id, booking_id="first"
    )
    assert (await caller.send("GetBooking", request)).booking == booking
    assert booking.booker == booker
    assert booking.event_type_title == "Große Probe"
    assert booking.location == "Room 2"
    assert booking.time_zone == "Asia/Kathmandu"
    assert booking.state == booking_event_pb2.BOOKING_STATE_CONFIRMED
    assert booking.start_time.ToDatetime(UTC) == NINE
    assert booking.end_time.ToDatetime(UTC) == NINE + HOUR
    assert booking.create_time.ToDatetime(UTC) == NOW
    assert booking.items[0].units == 1


async def test_an_id_is_generated_as_a_uuid_of_version_7(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)

    booking = await caller.book(NINE)

    assert uuid.UUID(booking.booking_id).version == 7


async def test_a_taken_id_is_refused_and_nothing_is_written(
    caller: Caller, catalog: FakeCatalog, availability_url: str
) -> None:
    catalog.offer(caller.organization_id)
    await caller.book(NINE, booking_id="mine")
    before = dump(availability_url, caller.organization_id)

    refusal = await caller.refused_book(NINE + timedelta(days=3), booking_id="mine")

    assert refusal.code is grpc.StatusCode.ALREADY_EXISTS
    assert refusal.reason == "ID_TAKEN"
    assert refusal.metadata == {"kind": "booking", "id": "mine"}
    assert dump(availability_url, caller.organization_id) == before


async def test_organizations_never_meet(caller: Caller, catalog: FakeCatalog) -> None:
    other = caller.elsewhere()
    catalog.offer(caller.organization_id)
    catalog.offer(other.organization_id)
    booking = await caller.book(NINE, booking_id="same")

    await other.book(NINE, booking_id="same")

    assert (
        await caller.cancel(booking.booking_id)
    ).state == booking_event_pb2.BOOKING_STATE_CANCELLED
    assert await other.busy(MONDAY, MONDAY) == {MONDAY: [36, 37, 38, 39]}


async def test_a_replay_is_answered_alike_though_it_is_too_late_by_now(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id, minimum_notice=length(HOUR))
    request = caller.order(NOW + HOUR)
    first = await caller.send("CreateBooking", request)
    await caller.cancel(first.booking.booking_id)
    catalog.offer(caller.organization_id, minimum_notice=length(2 * HOUR), active=False)

    again = await caller.send("CreateBooking", request)

    assert again == first


async def test_a_request_id_with_other_content_is_refused(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    request = caller.order(NINE)
    await caller.send("CreateBooking", request)
    request.start_time.seconds += 3600

    refusal = await caller.refusal_of("CreateBooking", request)

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "REQUEST_ID_REUSED"


async def test_a_request_id_is_one_methods_own(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id)
    request = caller.order(NINE)
    booking = (await caller.send("CreateBooking", request)).booking

    cancelled = await caller.cancel(booking.booking_id, request_id=request.request_id)

    assert cancelled.state == booking_event_pb2.BOOKING_STATE_CANCELLED


async def test_a_refused_request_id_is_free_for_another_try(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    rival = await caller.book(NINE)
    request = caller.order(NINE)
    refusal = await caller.refusal_of("CreateBooking", request)
    await caller.cancel(rival.booking_id)

    answer = await caller.send("CreateBooking", request)

    assert refusal.reason == "SLOT_UNAVAILABLE"
    assert answer.booking.state == booking_event_pb2.BOOKING_STATE_CONFIRMED


async def test_a_cancellation_is_written_with_its_reason_and_its_history(
    caller: Caller, catalog: FakeCatalog, availability_url: str
) -> None:
    catalog.offer(caller.organization_id)
    booking = await caller.book(NINE, booking_id="mine")

    cancelled = await caller.cancel("mine", reason="Rained off")

    expected = booking_pb2.Booking()
    expected.CopyFrom(booking)
    expected.state = booking_event_pb2.BOOKING_STATE_CANCELLED
    expected.cancel_reason = "Rained off"
    expected.update_time.FromDatetime(NOW)
    expected.revision = 1
    assert cancelled == expected
    history = rows(
        availability_url,
        "select revision, event, state, reason from booking_history"
        " where organization_id = %s order by revision",
        caller.organization_id,
    )
    assert history == [(0, "created", 1, ""), (1, "cancelled", 2, "Rained off")]


async def test_each_write_has_the_next_feed_number_in_outbox_and_days(
    caller: Caller, catalog: FakeCatalog, availability_url: str
) -> None:
    catalog.offer(caller.organization_id)
    booking = await caller.book(NINE)
    await caller.book(NINE + timedelta(days=1))

    await caller.cancel(booking.booking_id)

    organization = caller.organization_id
    assert rows(
        availability_url,
        "select feed, kind, payload -> 'days' from outbox where organization_id = %s order by 1",
        organization,
    ) == [
        (1, "created", [["studio-a", "2027-03-08", "0" * 36 + "1111" + "0" * 56]]),
        (2, "created", [["studio-a", "2027-03-09", "0" * 36 + "1111" + "0" * 56]]),
        (3, "cancelled", [["studio-a", "2027-03-08", "0" * 96]]),
    ]
    assert rows(
        availability_url,
        "select day, version from days where organization_id = %s order by day",
        organization,
    ) == [(MONDAY, 3), (TUESDAY, 2)]


async def test_cancelling_twice_frees_nothing_of_a_later_booking(
    caller: Caller, catalog: FakeCatalog, availability_url: str
) -> None:
    catalog.offer(caller.organization_id)
    first = await caller.book(NINE)
    await caller.cancel(first.booking_id)
    await caller.book(NINE)
    before = dump(availability_url, caller.organization_id)

    refusal = await caller.refusal_of("CancelBooking", caller.cancellation(first.booking_id))

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "INVALID_STATE"
    assert refusal.metadata == {"state": "CANCELLED"}
    assert dump(availability_url, caller.organization_id) == before


async def test_a_repeated_cancellation_is_answered_alike_and_changes_nothing(
    caller: Caller, catalog: FakeCatalog, availability_url: str
) -> None:
    catalog.offer(caller.organization_id)
    booking = await caller.book(NINE)
    request = caller.cancellation(booking.booking_id, reason="once")
    first = await caller.send("CancelBooking", request)
    await caller.book(NINE)
    before = dump(availability_url, caller.organization_id)

    again = await caller.send("CancelBooking", request)

    assert again == first
    assert dump(availability_url, caller.organization_id) == before


@pytest.mark.parametrize("method", ["GetBooking", "CancelBooking"])
async def test_an_unknown_booking_is_not_found(
    caller: Caller, catalog: FakeCatalog, method: str
) -> None:
    other = caller.elsewhere()
    catalog.offer(other.organization_id)
    await other.book(NINE, booking_id="theirs")
    request = (
        caller.cancellation("theirs")
        if method == "CancelBooking"
        else booking_pb2.GetBookingRequest(
            organization_id=caller.organization_id, booking_id="theirs"
        )
    )

    refusal = await caller.refusal_of(method, request)

    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert refusal.reason == "NOT_FOUND"
    assert refusal.metadata == {"kind": "booking", "id": "theirs"}


async def test_a_call_that_is_cancelled_is_done_wholly_or_not_at_all(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    requests = [caller.order(NINE + index * HOUR) for index in range(40)]
    calls = [caller.bookings.CreateBooking(request) for request in requests]
    for call in calls[::2]:
        call.cancel()

    for call in calls[1::2]:
        await call
    outcomes = []
    for request in requests[::2]:
        try:
            outcomes.append(await caller.send("CreateBooking", request))
        except grpc.aio.AioRpcError as error:
            outcomes.append(read_refusal(error))

    assert all(isinstance(found, booking_pb2.CreateBookingResponse) for found in outcomes)
    found = await caller.verification()
    assert (found.difference_count, found.bookings_checked) == (0, 40)
