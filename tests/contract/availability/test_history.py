"""GetBooking and ListBookingHistory: what happened to a booking, and who may read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from holdfast.availability.v1 import booking_pb2
from holdfast.availability.v1.booking_event_pb2 import (
    BOOKING_EVENT_KIND_CANCELLED,
    BOOKING_EVENT_KIND_CREATED,
    BOOKING_EVENT_KIND_RESCHEDULED,
    BOOKING_STATE_CANCELLED,
    BOOKING_STATE_CONFIRMED,
    BOOKING_STATE_DECLINED,
    BOOKING_STATE_EXPIRED,
    BookingEvent,
    ListBookingHistoryRequest,
)
from shared.runtime.page import encode_token
from tests.contract.availability.conftest import Serve
from tests.contract.availability.events import change
from tests.contract.availability.world import HOUR, NOW, Caller, FakeCatalog, stamp
from tests.integration.availability.database import rows

NINE = datetime(2027, 3, 8, 9, tzinfo=UTC)


@pytest.fixture
def booker(caller: Caller, catalog: FakeCatalog) -> Caller:
    """Whoever may book a studio."""
    catalog.offer(caller.organization_id)
    return caller


def asked(caller: Caller, booking_id: str, **fields: Any) -> booking_pb2.GetBookingRequest:
    return booking_pb2.GetBookingRequest(
        organization_id=caller.organization_id, booking_id=booking_id, **fields
    )


def pages(caller: Caller, booking_id: str, **fields: Any) -> ListBookingHistoryRequest:
    return ListBookingHistoryRequest(
        organization_id=caller.organization_id, booking_id=booking_id, **fields
    )


async def history(caller: Caller, booking_id: str, size: int) -> Sequence[BookingEvent]:
    """Every page of a history."""
    found: list[BookingEvent] = []
    token = ""
    while True:
        request = pages(caller, booking_id, page_size=size, page_token=token)
        answer = await caller.send("ListBookingHistory", request)
        assert len(answer.events) <= size
        found += answer.events
        token = answer.next_page_token
        if not token:
            return found


async def moved(caller: Caller, booking_id: str, times: int) -> None:
    """Moves a booking to and fro."""
    for turn in range(times):
        start = NINE + (turn + 1) % 2 * HOUR
        await change(caller, "RescheduleBooking", booking_id, start_time=stamp(start))


async def test_a_booking_comes_with_what_happened_to_it(booker: Caller) -> None:
    await booker.book(NINE, booking_id="b")
    await moved(booker, "b", 1)
    await booker.cancel("b", reason="ill", actor_id="desk")

    answer = await booker.send("GetBooking", asked(booker, "b"))

    created, rescheduled, cancelled = answer.history
    assert [event.revision for event in answer.history] == [0, 1, 2]
    assert created.kind == BOOKING_EVENT_KIND_CREATED
    assert created.state == rescheduled.state == BOOKING_STATE_CONFIRMED
    assert (created.start_time, created.end_time) == (stamp(NINE), stamp(NINE + HOUR))
    assert rescheduled.kind == BOOKING_EVENT_KIND_RESCHEDULED
    assert rescheduled.start_time == stamp(NINE + HOUR)
    assert (cancelled.kind, cancelled.state) == (
        BOOKING_EVENT_KIND_CANCELLED,
        BOOKING_STATE_CANCELLED,
    )
    assert (cancelled.actor_id, cancelled.reason) == ("desk", "ill")
    assert all(event.event_time == stamp(NOW) for event in answer.history)
    assert answer.booking.revision == 2
    assert await history(booker, "b", 10) == list(answer.history)


async def test_of_a_long_history_the_newest_hundred_come_along(booker: Caller) -> None:
    await booker.book(NINE, booking_id="b")
    await moved(booker, "b", 104)

    answer = await booker.send("GetBooking", asked(booker, "b"))

    assert [event.revision for event in answer.history] == list(range(5, 105))
    whole = await history(booker, "b", 1_000)
    assert [event.revision for event in whole] == list(range(105))
    assert whole[5:] == list(answer.history)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
async def test_pages_of_a_history_follow_each_other(booker: Caller, size: int) -> None:
    await booker.book(NINE, booking_id="b")
    await moved(booker, "b", 6)

    found = await history(booker, "b", size)

    assert [event.revision for event in found] == list(range(7))


async def test_a_history_of_nobody_is_not_found(booker: Caller) -> None:
    await booker.book(NINE, booking_id="b")

    for request in (pages(booker, "c"), pages(booker.elsewhere(), "b")):
        refusal = await booker.refusal_of("ListBookingHistory", request)

        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
        assert refusal.metadata == {"kind": "booking", "id": request.booking_id}


async def test_a_token_of_one_history_is_no_token_of_another(booker: Caller) -> None:
    for number in range(2):
        await booker.book(NINE + number * HOUR, booking_id=f"b{number}")
    await booker.cancel("b0")
    answer = await booker.send("ListBookingHistory", pages(booker, "b0", page_size=1))

    refusal = await booker.refusal_of(
        "ListBookingHistory", pages(booker, "b1", page_token=answer.next_page_token)
    )

    assert refusal.reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize("cursor", [[], ["x"], ["-1"], ["9" * 30], ["9" * 5_000], ["1", "2"]])
async def test_a_forged_token_is_refused(booker: Caller, cursor: list[str]) -> None:
    await booker.book(NINE, booking_id="b")
    request = pages(booker, "b")
    request.page_token = encode_token(request, cursor)

    refusal = await booker.refusal_of("ListBookingHistory", request)

    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_PAGE_TOKEN",
    )


async def test_rows_of_before_tell_the_bookings_times(
    booker: Caller, availability_url: str
) -> None:
    await booker.book(NINE, booking_id="b")
    rows(
        availability_url,
        "update booking_history set start_time = null, end_time = null where organization_id = %s",
        booker.organization_id,
    )

    answer = await booker.send("GetBooking", asked(booker, "b"))

    (event,) = answer.history
    assert (event.start_time, event.end_time) == (stamp(NINE), stamp(NINE + HOUR))
    assert await history(booker, "b", 5) == [event]


async def test_a_management_token_reads_its_own_booking_and_no_other(booker: Caller) -> None:
    answers = [
        await booker.send("CreateBooking", booker.order(NINE + n * HOUR, booking_id=f"b{n}"))
        for n in range(2)
    ]
    own, other = (answer.management_token for answer in answers)

    got = await booker.send("GetBooking", asked(booker, "b0", management_token=own))

    assert got.booking == answers[0].booking
    for wrong in (other, own[:-1], own + "A", "ä" * 43, "x" * 128):
        request = asked(booker, "b0", management_token=wrong)
        refusal = await booker.refusal_of("GetBooking", request)
        nobody = await booker.refusal_of("GetBooking", asked(booker, "x", management_token=own))
        assert refusal.code is grpc.StatusCode.NOT_FOUND
        # Whether there is such a booking does not show.
        assert refusal.message.replace("b0", "x") == nobody.message


async def test_what_ends_by_itself_is_told_so_at_once(
    booker: Caller, catalog: FakeCatalog, serve: Serve, shared_catalog: tuple[FakeCatalog, str]
) -> None:
    catalog.offer(booker.organization_id, event_type_id="asked", requires_confirmation=True)
    await booker.book(NINE, booking_id="cart", provisional_duration={"seconds": 60})
    await booker.book(NINE + HOUR, booking_id="wish", event_type_id="asked")

    # Later servers: what nobody confirmed has expired, what nobody decided is declined.
    for present, booking_id, state in (
        (NOW + timedelta(seconds=60), "cart", BOOKING_STATE_EXPIRED),
        (NINE + HOUR, "wish", BOOKING_STATE_DECLINED),
    ):
        async with serve(shared_catalog[1], present=present) as later:
            answer = await later.send("GetBooking", asked(booker, booking_id))
        assert answer.booking.state == state
        assert not answer.booking.HasField("expire_time")
