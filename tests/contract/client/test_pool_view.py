"""Pools as viewers see them, and starts that the clock passes, through real services."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.availability.v1 import availability_pb2, booking_pb2
from shared.client.client import Client
from shared.client.hold import HoldState
from shared.client.value import to_duration, to_timestamp
from tests.contract.availability.world import FakeCatalog, length
from tests.contract.client.conftest import CountingClient, House
from tests.contract.client.world import (
    DAY,
    HOUR,
    NOON,
    PATIENCE_SECONDS,
    available,
    first,
    reserved,
    soon,
)

MIDNIGHT = datetime(2027, 3, 9, tzinfo=UTC)


@pytest.fixture
async def pool(fake_catalog: tuple[FakeCatalog, str], ann: CountingClient) -> str:
    """Three microphones."""
    fake_catalog[0].offer(
        ann.organization_id, "mic", resource={"pool": True}, duration_options=[length(HOUR)]
    )
    await ann.call(
        ann.availability.SetCapacity,
        availability_pb2.SetCapacityRequest(
            organization_id=ann.organization_id,
            request_id=str(uuid.uuid4()),
            resource_id="mic",
            units=3,
        ),
    )
    ann.made.clear()
    return "mic"


def request_of(start: datetime, resource_id: str, units: int) -> booking_pb2.CreateBookingRequest:
    return booking_pb2.CreateBookingRequest(
        items=[booking_pb2.BookingItem(resource_id=resource_id, units=units)],
        event_type_id="session",
        start_time=to_timestamp(start),
        duration=to_duration(HOUR),
        booker=booking_pb2.Booker(booker_id="ann"),
    )


async def test_a_pool_is_reserved_for_whom_too_little_is_left(
    ann: CountingClient, ben: CountingClient, pool: str
) -> None:
    async with (
        ann.day_view(pool, "session", DAY, HOUR) as one,
        ann.day_view(pool, "session", DAY, HOUR, units=2) as two,
        ben.hold(pool, NOON, HOUR, units=2) as hold,
    ):
        await soon(hold.settled())
        picture = await first(aiter(two), reserved)

        assert reserved(picture) == [NOON]
        assert picture.capacity == 3
        assert [held.units for held in picture.holds] == [2]
        assert reserved(await first(aiter(one), lambda p: p.holds)) == []


async def test_of_a_pool_booked_in_part_the_rest_is_counted(
    ann: CountingClient, ben: CountingClient, pool: str
) -> None:
    async with (
        ann.day_view(pool, "session", DAY, HOUR) as one,
        ann.day_view(pool, "session", DAY, HOUR, units=2) as two,
    ):
        await ben.book(request_of(NOON, pool, 2))

        await first(aiter(two), lambda p: NOON not in available(p))
        picture = await first(aiter(one), lambda p: any(d.units_taken for d in p.days.values()))
        assert NOON in available(picture)
        async with ben.hold(pool, NOON, HOUR) as hold:
            await soon(hold.settled())
            assert reserved(await first(aiter(one), reserved)) == [NOON]


async def test_holds_of_a_pool_queue_and_the_first_is_not_reserved_by_the_next(
    ann: CountingClient, ben: CountingClient, pool: str
) -> None:
    async with (
        ann.hold(pool, NOON, HOUR, units=2) as mine,
        ann.day_view(pool, "session", DAY, HOUR, units=2) as view,
    ):
        await soon(mine.settled())
        async with (
            ben.hold(pool, NOON, HOUR, units=2) as other,
            ben.day_view(pool, "session", DAY, HOUR, units=2) as behind,
        ):
            assert (await soon(other.settled())).state is HoldState.HELD
            picture = await first(aiter(view), lambda p: len(p.holds) == 2)

            assert (mine.units_ahead, other.units_ahead) == (0, 2)
            assert reserved(picture) == []
            assert reserved(await first(aiter(behind), lambda p: len(p.holds) == 2)) == [NOON]


async def test_a_hold_under_an_event_type_holds_its_buffers(
    ann: CountingClient, ben: CountingClient, fake_catalog: tuple[FakeCatalog, str]
) -> None:
    quarter = timedelta(minutes=15)
    fake_catalog[0].offer(
        ann.organization_id, "studio-a", "recording",
        duration_options=[length(HOUR)], buffer_before=length(2 * quarter),
        buffer_after=length(quarter),
    )  # fmt: skip
    async with ann.hold("studio-a", NOON, HOUR, event_type_id="recording") as hold:
        assert (await soon(hold.settled())).state is HoldState.HELD
        assert (hold.start, hold.length) == (NOON, HOUR)
        assert hold.occupancy_start == NOON - 2 * quarter
        assert hold.occupancy_end == NOON + HOUR + quarter
        async with ben.hold("studio-a", NOON + HOUR, HOUR) as other:
            assert (await soon(other.settled())).reason == "SLOT_HELD"
        async with ann.hold("studio-b", NOON, HOUR, event_type_id="no-such") as unknown:
            assert (await soon(unknown.settled())).reason == "NOT_FOUND"


async def test_the_clock_takes_starts_away_without_a_question(house: House) -> None:
    began = time.monotonic()

    def clock() -> datetime:
        return MIDNIGHT + timedelta(seconds=time.monotonic() - began - 1)

    async with (
        house.client(clock=clock) as client,
        client.day_view("studio-a", "session", DAY, HOUR) as view,
    ):
        assert available(view.picture)[0] == MIDNIGHT

        picture = await first(aiter(view), lambda p: MIDNIGHT not in available(p))

        assert len(picture.slots) == 23
        assert not picture.is_stale
        assert 1 <= time.monotonic() - began < PATIENCE_SECONDS
        assert client.made == ["GetDaySlots"]


async def test_a_clock_that_the_services_contradict_takes_nothing_away(house: House) -> None:
    async with (
        house.client(clock=lambda: NOON) as client,
        client.day_view("studio-a", "session", DAY, HOUR) as view,
    ):
        assert len(available(view.picture)) == 24


async def test_a_booking_ends_the_hold_that_it_was_for(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with ann.hold("studio-a", NOON, HOUR) as hold:
        await soon(hold.settled())
        booking = (await ann.book(request_of(NOON, "studio-a", 1))).booking
        # Whether a server has told of it by now or the block tells it, nothing was lost.
        async with ann.hold("studio-b", NOON, HOUR):
            await soon(hold.settled())

    assert hold.state is HoldState.LEFT
    moved = await ann.reschedule(
        booking_pb2.RescheduleBookingRequest(
            booking_id=booking.booking_id, start_time=to_timestamp(NOON + HOUR)
        )
    )
    assert moved.booking.sequence == 1


async def test_a_client_that_only_books_has_no_session(house: House) -> None:
    async with house.client() as client:
        request = request_of(NOON, "studio-a", 1)
        await client.book(request)

        assert request.session == ""
        assert request.request_id
        assert request.organization_id == house.organization_id
        named: Client = client
        other = request_of(NOON + HOUR, "studio-a", 1)
        await named.book(other, session="a-session-of-its-own-xx")
        assert other.session == "a-session-of-its-own-xx"
