"""What bookings do to holds, and holds to bookings, through real services that ask one another."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.availability.v1 import availability_pb2, booking_pb2
from holdfast.common.v1.time_pb2 import Interval
from shared.client.failure import HoldfastError
from shared.client.hold import Hold, HoldState
from shared.client.value import to_duration, to_timestamp
from tests.contract.availability.world import FakeCatalog, length
from tests.contract.client.conftest import (
    CountingClient,
    House,
    ServeAvailability,
    ServePresence,
)
from tests.contract.client.proxy import proxied
from tests.contract.client.test_holds import live
from tests.contract.client.world import DAY, HOUR, NOON, available, cancel, first, reserved, soon


@pytest.fixture
async def house(
    serve_presence: ServePresence, serve_availability: ServeAvailability, organization_id: str
) -> AsyncIterator[House]:
    """With an administrator, and time enough for the check on a busy machine."""
    async with (
        serve_presence() as holds,
        serve_availability(
            presence_address=holds, administration=True, hold_check_milliseconds=1000
        ) as days,
    ):
        yield House(holds, days, organization_id)


def request_of(
    start: datetime, resource_id: str = "studio-a", units: int = 1
) -> booking_pb2.CreateBookingRequest:
    return booking_pb2.CreateBookingRequest(
        items=[booking_pb2.BookingItem(resource_id=resource_id, units=units)],
        event_type_id="session",
        start_time=to_timestamp(start),
        duration=to_duration(HOUR),
        booker=booking_pb2.Booker(booker_id="ann"),
    )


async def held(hold: Hold) -> Hold:
    assert (await soon(hold.settled())).state is HoldState.HELD
    return hold


async def test_what_another_holds_is_refused_and_what_one_holds_is_booked(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with ann.hold("studio-a", NOON, HOUR) as hold:
        await held(hold)
        with pytest.raises(HoldfastError) as caught:
            await ben.book(request_of(NOON))
        booking = (await ann.book(request_of(NOON))).booking

        # Told by the stream, within a heartbeat; it was not lost.
        found = await soon(hold.ended())

    assert caught.value.reason == "SLOT_HELD"
    assert caught.value.metadata["quanta.2027-03-09"] == "48,49,50,51"
    assert (found.state, found.reason) == (HoldState.LEFT, "BOOKED")
    async with ben.hold("studio-a", NOON + HOUR, HOUR) as other:
        await held(other)
        move = booking_pb2.RescheduleBookingRequest(
            booking_id=booking.booking_id, start_time=to_timestamp(NOON + HOUR)
        )
        with pytest.raises(HoldfastError, match="SLOT_HELD"):
            await ann.reschedule(move)


async def test_a_hold_that_its_session_has_booked_elsewhere_is_lost_to_it(
    house: House, ann: CountingClient
) -> None:
    session = "a-session-of-two-programs"
    async with ann.hold("studio-a", NOON, HOUR, session=session) as hold, house.client() as other:
        await held(hold)
        await other.book(request_of(NOON), session=session)

        found = await soon(hold.ended())

    assert (found.state, found.reason) == (HoldState.LOST, "BOOKED")


async def test_time_taken_out_of_use_ends_its_hold_with_the_reason(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with ann.hold("studio-a", NOON, HOUR) as hold:
        await held(hold)
        await ben.call(
            ben.bookings.CreateBlock,
            booking_pb2.CreateBlockRequest(
                organization_id=ben.organization_id,
                request_id=str(uuid.uuid4()),
                resource_id="studio-a",
                range=Interval(start_time=to_timestamp(NOON), end_time=to_timestamp(NOON + HOUR)),
            ),
        )
        found = await soon(hold.ended())

    assert (found.state, found.reason) == (HoldState.LOST, "BLOCKED")


async def test_a_bundle_that_is_booked_has_done_its_work(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with ann.hold_all(["studio-a", "studio-b"], NOON, HOUR) as bundle:
        assert (await soon(bundle.settled())).state is HoldState.HELD
        request = request_of(NOON)
        request.items.add(resource_id="studio-b")
        with pytest.raises(HoldfastError, match="SLOT_HELD"):
            await ben.book(booking_pb2.CreateBookingRequest(**{
                field.name: value for field, value in request.ListFields()
            }))  # fmt: skip
        await ann.book(request)

        found = await soon(bundle.ended())

    assert (found.state, found.reason) == (HoldState.LEFT, "BOOKED")


async def test_reserved_is_what_a_booking_is_refused_for(
    house: House, ann: CountingClient, fake_catalog: tuple[FakeCatalog, str]
) -> None:
    """Of a pool with units booked here and there, and holds of several sessions."""
    chance = random.Random(3)
    fake_catalog[0].offer(
        ann.organization_id, "mic", resource={"pool": True},
        duration_options=[length(HOUR)], slot_interval=length(timedelta(minutes=15)),
    )  # fmt: skip
    await ann.call(
        ann.availability.SetCapacity,
        availability_pb2.SetCapacityRequest(
            organization_id=ann.organization_id,
            request_id=str(uuid.uuid4()),
            resource_id="mic",
            units=4,
        ),
    )
    quarters = [datetime(2027, 3, 9, 8, tzinfo=UTC) + n * timedelta(minutes=15) for n in range(24)]
    for _ in range(6):
        await ann.book(request_of(chance.choice(quarters), "mic"), session="the-booker-of-it-all-1")
    async with (
        house.client() as ben,
        house.client() as eve,
        ann.day_view("mic", "session", DAY, HOUR, units=2) as view,
        AsyncExitStack() as stack,
    ):
        for number in range(6):
            holding = (ben, eve)[number % 2].hold(
                "mic",
                chance.choice(quarters),
                HOUR,
                units=chance.randint(1, 2),
                hold_id=str(number),
            )
            await held(await stack.enter_async_context(holding))
        picture = await first(aiter(view), lambda p: len(p.holds) == 6)

        assert reserved(picture)
        assert available(picture)
        # Each is asked for alone: what is booked is given back before the next.
        near = {slot.start for slot in picture.slots} & {*quarters}
        for start in sorted(near | {*reserved(picture)}):
            assert await refusal_of(ann, start) == (
                "SLOT_HELD" if start in reserved(picture) else ""
            )

        mine = ann.hold("mic", reserved(picture)[0], HOUR, units=2)
        await held(await stack.enter_async_context(mine))
        behind = await first(aiter(view), lambda p: len(p.holds) == 7)
        # Those it is in the queue behind stay in its way.
        assert reserved(behind)[0] == reserved(picture)[0]
        assert await refusal_of(ann, reserved(behind)[0]) == "SLOT_HELD"


async def refusal_of(client: CountingClient, start: datetime) -> str:
    """Why a booking of two is refused; empty when it is not, and then it is cancelled."""
    try:
        booked = await client.book(request_of(start, "mic", 2))
    except HoldfastError as error:
        return error.reason
    await cancel(client, booked.booking.booking_id)
    return ""


async def test_what_was_booked_while_the_network_was_away_is_not_taken_again(
    house: House, ben: CountingClient
) -> None:
    session = "a-session-of-two-programs"
    async with (
        proxied(house.presence) as network,
        house.client(places={"presence": network.address}) as away,
        away.hold("studio-a", NOON, HOUR, session=session) as hold,
    ):
        await held(hold)
        network.shut()
        booking = (await ben.book(request_of(NOON), session=session)).booking
        # The time is free again before the holder is heard: it must not hold it by mistake.
        await cancel(ben, booking.booking_id)
        network.is_open = True

        found = await soon(hold.ended())

        assert (found.state, found.reason) == (HoldState.LOST, "BOOKED")
        assert await live(ben) == []
