"""What others hold refuses a booking: the same rule by which a viewer sees it as reserved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import grpc
import pytest

from holdfast.catalog.v1 import resource_pb2
from tests.contract.availability.engine import (
    HALF_DAY,
    MONDAY,
    NINE,
    QUARTER,
    at,
    clean,
    items,
    move,
    moving,
    state_of,
)
from tests.contract.availability.holding import HoldScene, hold_scene
from tests.contract.availability.world import HOUR, FakeCatalog, Refusal, length
from tests.contract.presence.client import new_session
from tests.stores import ValkeyServer

PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


@pytest.fixture(scope="module")
async def shared_scene(
    availability_url: str, shared_catalog: tuple[FakeCatalog, str], valkey_server: ValkeyServer
) -> AsyncIterator[HoldScene]:
    async with hold_scene(availability_url, shared_catalog, valkey_server.url) as scene:
        yield scene


@pytest.fixture
def scene(shared_scene: HoldScene) -> HoldScene:
    return shared_scene.elsewhere()


def is_held(refusal: Refusal, resource_id: str, **quanta: str) -> bool:
    named = {f"quanta.{day.replace('_', '-')}": found for day, found in quanta.items()}
    return (refusal.code, refusal.reason, dict(refusal.metadata)) == (
        PRECONDITION,
        "SLOT_HELD",
        {"resource_id": resource_id} | named,
    )


async def test_another_s_hold_refuses_and_tells_the_quanta(scene: HoldScene) -> None:
    await scene.hold(start=at(9, 30))

    refusal = await scene.caller.refused_book(NINE)

    assert is_held(refusal, "studio-a", **{"2027_03_08": "38,39"})
    await clean(scene.caller)
    await scene.caller.book(at(10, 30))


async def test_the_quanta_of_each_date_are_told(scene: HoldScene) -> None:
    await scene.hold(start=at(23))
    await scene.hold(start=at(0, days=1), length=QUARTER)

    refusal = await scene.caller.refused_book(at(23, 30))

    assert is_held(refusal, "studio-a", **{"2027_03_08": "94,95", "2027_03_09": "0"})


async def test_one_s_own_session_passes_and_no_other_one(scene: HoldScene) -> None:
    session = await scene.hold()

    other = await scene.caller.refused_book(NINE, session=new_session())
    booking = await scene.caller.book(NINE, session=session)

    assert other.reason == "SLOT_HELD"
    assert state_of(booking) == "CONFIRMED"


async def test_buffers_are_part_of_the_time(scene: HoldScene) -> None:
    scene.offer(buffer_before=length(QUARTER), buffer_after=length(QUARTER))
    await scene.hold(start=at(10), length=QUARTER)

    refusal = await scene.caller.refused_book(NINE)

    assert is_held(refusal, "studio-a", **{"2027_03_08": "40"})
    await scene.caller.book(at(8, 45))


async def test_of_a_pool_units_are_counted(scene: HoldScene) -> None:
    await scene.offer_pool("mics", 3)
    await scene.hold("mics", units=2)

    refused = await scene.caller.refused_book(NINE, items=items(mics=2))
    await scene.caller.book(NINE, items=items(mics=1))
    full = await scene.caller.refused_book(NINE, items=items(mics=1))

    assert is_held(refused, "mics", **{"2027_03_08": "36,37,38,39"})
    assert full.reason == "SLOT_HELD"


async def test_free_units_of_a_pool_are_those_of_each_quarter_hour(scene: HoldScene) -> None:
    await scene.offer_pool("mics", 2, flexible_duration=HALF_DAY)
    await scene.caller.book(NINE, items=items("mics"))
    await scene.hold("mics", start=at(10))

    # One unit is free from nine on, and one of two is held from ten on.
    await scene.caller.book(NINE, 2 * HOUR, items=items("mics"))
    refusal = await scene.caller.refused_book(at(9, 45), HOUR, items=items("mics"))

    assert is_held(refusal, "mics", **{"2027_03_08": "40,41,42"})


async def test_of_a_pool_who_holds_it_is_kept_back_by_earlier_holds_only(scene: HoldScene) -> None:
    await scene.offer_pool("mics", 2)
    first, second, third = [await scene.hold("mics") for _ in range(3)]

    late = await scene.caller.refused_book(NINE, items=items("mics"), session=third)
    nobody = await scene.caller.refused_book(NINE, items=items("mics"))
    await scene.caller.book(NINE, items=items("mics"), session=second)
    await scene.caller.book(NINE, items=items("mics"), session=first)

    assert [late.reason, nobody.reason] == ["SLOT_HELD", "SLOT_HELD"]


async def test_a_hold_that_is_advice_refuses_nothing(scene: HoldScene) -> None:
    scene.offer("garden")
    scene.holdable.know("garden", hold_policy=resource_pb2.HOLD_POLICY_ADVISORY)
    await scene.hold("garden")
    await scene.hold("garden")

    await scene.caller.book(NINE, items=items("garden"))


async def test_a_bundle_is_refused_for_the_item_that_is_held(scene: HoldScene) -> None:
    scene.offer("camera")
    session = await scene.hold()
    await scene.hold("camera", start=at(9, 45))

    refusal = await scene.caller.refused_book(
        NINE, items=items("studio-a", "camera"), session=session
    )

    assert is_held(refusal, "camera", **{"2027_03_08": "39"})
    assert await scene.caller.busy(MONDAY, MONDAY) == {MONDAY: []}


async def test_held_is_told_before_taken_and_after_every_other_rule(scene: HoldScene) -> None:
    await scene.caller.book(NINE)
    await scene.hold()
    scene.offer(minimum_notice=length(timedelta(days=8)))

    soon = await scene.caller.refused_book(NINE)
    scene.offer()
    held = await scene.caller.refused_book(NINE)
    taken = await scene.caller.refused_book(at(8, 30), session=new_session())

    assert [soon.reason, held.reason, taken.reason] == ["TOO_SOON", "SLOT_HELD", "SLOT_HELD"]


async def test_what_is_taken_and_not_held_is_taken(scene: HoldScene) -> None:
    await scene.caller.book(NINE)
    await scene.hold(start=at(10))

    assert (await scene.caller.refused_book(at(8, 30))).reason == "SLOT_UNAVAILABLE"


async def test_a_replay_gets_the_first_answer_whatever_is_held_by_then(scene: HoldScene) -> None:
    order = scene.caller.order(NINE)
    first = await scene.caller.send("CreateBooking", order)
    await scene.hold()

    again = await scene.caller.send("CreateBooking", order)

    assert again == first


async def test_a_replay_may_come_from_another_session(scene: HoldScene) -> None:
    order = scene.caller.order(NINE, session=new_session())
    first = await scene.caller.send("CreateBooking", order)
    order.session = new_session()

    assert await scene.caller.send("CreateBooking", order) == first


async def test_a_session_that_presence_would_not_take_is_refused(scene: HoldScene) -> None:
    booking = await scene.caller.book(NINE)

    refusal = await scene.caller.refused_book(at(12), session="too short")
    moved = moving(scene.caller, booking.booking_id, at(13), session="ümlaut" * 10)
    other = await scene.caller.refusal_of("RescheduleBooking", moved)

    assert [(r.reason, r.fields) for r in (refusal, other)] == [("INVALID_FIELD", ["session"])] * 2
    assert "too short" not in refusal.message


async def test_an_override_is_kept_back_by_holds_like_any_booking(scene: HoldScene) -> None:
    await scene.hold()

    refusal = await scene.caller.refused_book(NINE, override_reason="the director wants it")

    assert refusal.reason == "SLOT_HELD"


class TestMoving:
    """RescheduleBooking asks about the time that it newly takes."""

    async def test_held_new_time_refuses_and_the_booking_stays(self, scene: HoldScene) -> None:
        booking = await scene.caller.book(NINE)
        session = await scene.hold(start=at(12))

        refusal = await scene.caller.refusal_of(
            "RescheduleBooking", moving(scene.caller, booking.booking_id, at(12, 30))
        )
        moved = await move(scene.caller, booking.booking_id, at(12), session=session)

        assert is_held(refusal, "studio-a", **{"2027_03_08": "50,51"})
        assert moved.sequence == 1
        await clean(scene.caller)

    async def test_time_that_it_has_already_cannot_be_held_from_it(self, scene: HoldScene) -> None:
        booking = await scene.caller.book(NINE)
        await scene.hold(length=HOUR)
        await scene.hold(start=at(10), length=QUARTER)

        later = moving(scene.caller, booking.booking_id, at(9, 15))
        refusal = await scene.caller.refusal_of("RescheduleBooking", later)
        moved = await move(scene.caller, booking.booking_id, at(8, 45))

        assert is_held(refusal, "studio-a", **{"2027_03_08": "40"})
        assert moved.sequence == 1

    async def test_a_shorter_booking_asks_nothing(self, scene: HoldScene) -> None:
        scene.offer(flexible_duration=HALF_DAY)
        booking = await scene.caller.book(NINE, 2 * HOUR)
        await scene.hold(length=2 * HOUR)

        moved = await move(scene.caller, booking.booking_id, at(9, 30), duration=length(HOUR))

        assert moved.sequence == 1

    async def test_a_replay_gets_the_first_answer(self, scene: HoldScene) -> None:
        booking = await scene.caller.book(NINE)
        request = moving(scene.caller, booking.booking_id, at(12))
        first = await scene.caller.send("RescheduleBooking", request)
        await move(scene.caller, booking.booking_id, NINE)
        await scene.hold(start=at(12))
        request.session = new_session()

        assert await scene.caller.send("RescheduleBooking", request) == first
