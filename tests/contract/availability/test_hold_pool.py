"""Who holds a unit of a pool can book it, however many others have just booked theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.contract.availability.engine import HALF_DAY, NINE, at, items, move, state_of
from tests.contract.availability.holding import HoldScene, hold_scene
from tests.contract.availability.world import HOUR, FakeCatalog, Refusal
from tests.contract.presence.client import new_session
from tests.stores import ValkeyServer


@pytest.fixture(scope="module")
async def shared_scene(
    availability_url: str, shared_catalog: tuple[FakeCatalog, str], valkey_server: ValkeyServer
) -> AsyncIterator[HoldScene]:
    async with hold_scene(availability_url, shared_catalog, valkey_server.url) as scene:
        yield scene


@pytest.fixture
def scene(shared_scene: HoldScene) -> HoldScene:
    return shared_scene.elsewhere()


async def test_who_booked_a_moment_ago_is_not_in_the_way_of_the_next(scene: HoldScene) -> None:
    await scene.offer_pool("mics", 2)
    first, second = await scene.hold("mics"), await scene.hold("mics")

    await scene.caller.book(NINE, items=items("mics"), session=first)
    booking = await scene.caller.book(NINE, items=items("mics"), session=second)

    assert state_of(booking) == "CONFIRMED"


async def test_all_who_hold_a_pool_book_it_one_after_the_other(scene: HoldScene) -> None:
    await scene.offer_pool("mics", 10)
    sessions = [await scene.hold("mics") for _ in range(10)]

    # The last in line first have all others before them, the first in line none.
    for session in [*sessions[5:], *sessions[:5]]:
        await scene.caller.book(NINE, items=items("mics"), session=session)


@pytest.mark.parametrize("units", [10, 60])
async def test_all_who_hold_a_pool_book_it_at_once(scene: HoldScene, units: int) -> None:
    await scene.offer_pool("mics", units)
    sessions = [await scene.hold("mics") for _ in range(units)]

    booked = await asyncio.gather(
        *(scene.caller.book(NINE, items=items("mics"), session=session) for session in sessions)
    )

    assert {state_of(booking) for booking in booked} == {"CONFIRMED"}


async def test_who_holds_nothing_gets_past_none_of_them(scene: HoldScene) -> None:
    await scene.offer_pool("mics", 20)
    sessions = [await scene.hold("mics") for _ in range(20)]
    # All but the last few leave units free, which others hold.
    for begin in range(0, 15, 5):
        booking = (
            scene.caller.book(NINE, items=items("mics"), session=session)
            for session in sessions[begin : begin + 5]
        )
        intruding = (
            scene.caller.refused_book(NINE, items=items("mics"), session=new_session())
            for _ in range(20)
        )
        _, refusals = await asyncio.gather(asyncio.gather(*booking), asyncio.gather(*intruding))
        assert {refusal.reason for refusal in refusals} == {"SLOT_HELD"}


async def test_what_is_held_still_is_told_though_others_have_just_booked(scene: HoldScene) -> None:
    await scene.offer_pool("mics", 3)
    first = await scene.hold("mics")
    await scene.hold("mics")
    await scene.hold("mics")

    await scene.caller.book(NINE, items=items("mics"), session=first)
    refusal = await scene.caller.refused_book(NINE, items=items("mics"))

    assert _is_held(refusal, "36,37,38,39")


async def test_a_move_within_a_pool_asks_once_more_too(scene: HoldScene) -> None:
    await scene.offer_pool("mics", 2, flexible_duration=HALF_DAY)
    booking = await scene.caller.book(NINE, items=items("mics"))
    holds = [await scene.hold("mics", start=at(10)) for _ in range(2)]

    await scene.caller.book(at(10), HOUR, items=items("mics"), session=holds[0])
    moved = await move(scene.caller, booking.booking_id, at(9, 30), session=holds[1])

    assert moved.sequence == 1


def _is_held(refusal: Refusal, quanta: str) -> bool:
    told = dict(refusal.metadata)
    return (refusal.reason, told["quanta.2027-03-08"]) == ("SLOT_HELD", quanta)
