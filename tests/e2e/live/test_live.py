"""What people see of one another, end to end through real processes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta

import pytest

from holdfast.availability.v1 import booking_pb2
from holdfast.presence.v1 import presence_pb2
from shared.client.client import Client
from shared.client.day_merge import SlotState
from shared.client.day_view import DayPicture, DayView
from shared.client.hold import HoldState
from shared.client.value import from_timestamp, to_date, to_duration, to_timestamp
from tests.e2e.live.conftest import Holding, House

DAY = date(2027, 3, 9)
HOUR = timedelta(hours=1)
ONE_O_CLOCK = datetime(2027, 3, 9, 12, tzinfo=UTC)  # 13:00 in Berlin
SESSIONS = {1: "session-1h", 2: "session", 5: "session-5h"}
A_SECOND = timedelta(seconds=1)
# The first answer, and two further heartbeats of at most five seconds each.
TWO_RENEWALS = timedelta(seconds=6)


def reserved(picture: DayPicture) -> list[datetime]:
    return [slot.start for slot in picture.slots if slot.state is SlotState.RESERVED]


def available(picture: DayPicture) -> list[datetime]:
    return [slot.start for slot in picture.slots if slot.state is SlotState.AVAILABLE]


def day_view(client: Client, resource_id: str, hours: int) -> DayView:
    return client.day_view(resource_id, SESSIONS[hours], DAY, hours * HOUR)


async def seen(view: DayView, fact: Callable[[DayPicture], object]) -> DayPicture:
    """The first picture of which the fact is true; the test's timeout ends a no."""
    async for picture in view:
        if fact(picture):
            return picture
    raise AssertionError


async def book(client: Client, resource_id: str, start: datetime) -> booking_pb2.Booking:
    request = booking_pb2.CreateBookingRequest(
        organization_id=client.organization_id,
        request_id=str(uuid.uuid4()),
        items=[booking_pb2.BookingItem(resource_id=resource_id)],
        event_type_id="session-1h",
        start_time=to_timestamp(start),
        duration=to_duration(HOUR),
        booker=booking_pb2.Booker(booker_id="ann"),
    )
    return (await client.call(client.bookings.CreateBooking, request)).booking


async def expiry(client: Client) -> datetime:
    """When the one hold of studio-a expires unless it is renewed."""
    request = presence_pb2.GetDatePresenceRequest(
        organization_id=client.organization_id, resource_ids=["studio-a"], dates=[to_date(DAY)]
    )
    (hold,) = (await client.call(client.presence.GetDatePresence, request)).holds
    return from_timestamp(hold.expire_time)


async def test_a_hold_reserves_every_start_that_needs_its_time_and_no_other(
    viewer: Client, holding: Holding
) -> None:
    async with day_view(viewer, "studio-a", 5) as view:
        before = available(view.picture)
        with holding("studio-a", ONE_O_CLOCK, 60) as holder:
            holder.wait_for("HELD")

            picture = await seen(view, reserved)

    touching = [s for s in before if s < ONE_O_CLOCK + HOUR and s + 5 * HOUR > ONE_O_CLOCK]
    assert len(touching) == 5
    assert reserved(picture) == touching
    assert available(picture) == [start for start in before if start not in touching]
    # In one list, by time.
    assert [slot.start for slot in picture.slots] == sorted(before)


async def test_a_heartbeat_asks_for_no_slots_and_tells_nobody(
    viewer: Client, holding: Holding, house: House
) -> None:
    async with day_view(viewer, "studio-a", 5) as view:
        with holding("studio-a", ONE_O_CLOCK, 60) as holder:
            first = holder.wait_for("HELD").expires_at
            await seen(view, reserved)
            queries = house.calls("availability", "GetDaySlots")
            told = 0
            following = viewer.watch_presence(["studio-a"], [DAY])

            async def count() -> None:
                nonlocal told
                async for _ in following:
                    told += 1

            counting = asyncio.create_task(count())
            while (await expiry(viewer)) < first + TWO_RENEWALS:  # noqa: ASYNC110  # no event
                await asyncio.sleep(0.2)
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)

            assert told == 1
            assert house.calls("availability", "GetDaySlots") == queries


async def test_one_studio_does_not_concern_the_other(viewer: Client, holding: Holding) -> None:
    async with (
        day_view(viewer, "studio-a", 1) as mine,
        day_view(viewer, "studio-b", 1) as other,
    ):
        untouched = other.picture
        with holding("studio-a", ONE_O_CLOCK, 60) as holder:
            holder.wait_for("HELD")
            await seen(mine, reserved)
            await book(viewer, "studio-a", ONE_O_CLOCK + 3 * HOUR)
            await seen(mine, lambda p: ONE_O_CLOCK + 3 * HOUR not in available(p))

            assert other.picture == untouched
        # The other one still hears of its own.
        await book(viewer, "studio-b", ONE_O_CLOCK)
        await seen(other, lambda p: ONE_O_CLOCK not in available(p))


async def test_a_view_changes_by_itself_within_a_second_of_a_leave(
    viewer: Client, holding: Holding
) -> None:
    async with day_view(viewer, "studio-a", 5) as view:
        with holding("studio-a", ONE_O_CLOCK, 60) as holder:
            holder.wait_for("HELD")
            await seen(view, reserved)

            holder.leave()
            picture = await seen(view, lambda p: not reserved(p))
            changed_at = datetime.now(UTC)
            left_at = holder.wait_for("LEFT").at

    assert len(available(picture)) == 10
    assert changed_at - left_at < A_SECOND


async def test_a_booking_and_its_cancellation_appear_by_themselves(
    viewer: Client, house: House, organization: str
) -> None:
    async with (
        Client(house.addresses, organization) as booker,
        day_view(viewer, "studio-a", 1) as view,
    ):
        booking = await book(booker, "studio-a", ONE_O_CLOCK)
        await asyncio.wait_for(seen(view, lambda p: ONE_O_CLOCK not in available(p)), 1)

        await booker.call(
            booker.bookings.CancelBooking,
            booking_pb2.CancelBookingRequest(
                organization_id=organization,
                request_id=str(uuid.uuid4()),
                booking_id=booking.booking_id,
            ),
        )
        await asyncio.wait_for(seen(view, lambda p: ONE_O_CLOCK in available(p)), 1)


async def test_ten_viewers_of_three_lengths_cost_three_computations_and_one_subscription(
    viewer: Client, holding: Holding, house: House
) -> None:
    queries = house.calls("availability", "GetDaySlots")
    async with AsyncExitStack() as stack:
        views = [
            await stack.enter_async_context(day_view(viewer, "studio-a", hours))
            for hours in (1, 2, 5, 1, 2, 5, 1, 2, 5, 1)
        ]
        with holding("studio-a", ONE_O_CLOCK, 60) as holder:
            holder.wait_for("HELD")
            pictures = await asyncio.gather(*(seen(view, reserved) for view in views))

        assert house.calls("availability", "GetDaySlots") == queries + 3
        assert house.open_streams("presence", "WatchPresence") == 1
        assert house.open_streams("availability", "WatchDays") == 1
        assert [len(reserved(picture)) for picture in pictures[:3]] == [1, 5, 5]


async def test_a_lost_hold_is_told_to_its_holder_within_six_seconds(
    viewer: Client, house: House, organization: str
) -> None:
    session = "a-session-of-two-programs"
    async with (
        viewer.hold("studio-a", ONE_O_CLOCK, HOUR, session=session) as left,
        viewer.hold("studio-b", ONE_O_CLOCK, HOUR, session=session) as kept,
    ):
        await asyncio.wait_for(asyncio.gather(left.settled(), kept.settled()), 5)
        async with Client(house.addresses, organization) as elsewhere:
            await elsewhere.call(
                elsewhere.presence.Leave,
                presence_pb2.LeaveRequest(
                    organization_id=organization, session=session, resource_id="studio-a"
                ),
            )
        found = await asyncio.wait_for(left.ended(), 6)

        assert (found.state, found.reason) == (HoldState.LOST, "LEFT")
        assert kept.state is HoldState.HELD


@pytest.mark.timeout(60)
async def test_a_killed_holder_keeps_its_time_for_ten_seconds_and_not_eleven(
    viewer: Client, holding: Holding
) -> None:
    async with day_view(viewer, "studio-a", 5) as view:
        with holding("studio-a", ONE_O_CLOCK, 60) as holder:
            holder.wait_for("HELD")
            await seen(view, reserved)
            holder.process.kill()
            holder.process.wait()
            # Ten seconds after its last heartbeat, by the store's clock: here, this machine's.
            expires_at = await expiry(viewer)

            overdue = await seen(view, lambda p: p.holds and p.holds[0].is_overdue)
            told_at = datetime.now(UTC)
            await seen(view, lambda p: not p.holds)
            gone_at = datetime.now(UTC)

    assert {slot.held_until for slot in overdue.slots if slot.state is SlotState.RESERVED} == {
        overdue.holds[0].expires_at
    }
    assert told_at < expires_at < gone_at <= expires_at + A_SECOND
