"""What a booking ends: its booker's hold, others' exclusive ones, and none acquired later."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
import redis.asyncio

from holdfast.catalog.v1.resource_pb2 import HOLD_POLICY_ADVISORY
from holdfast.presence.v1 import hold_check_pb2, holder_pb2
from tests.contract.presence.catalog import Catalog
from tests.contract.presence.client import (
    HOUR,
    START,
    Client,
    moment,
    new_session,
    quanta,
    refusal,
    store_now,
    until,
)
from tests.contract.presence.conftest import Serve

BLOCKED = holder_pb2.HOLD_END_REASON_BLOCKED
SECOND = timedelta(seconds=1)


async def test_a_booking_ends_its_bookers_hold_and_says_so(client: Client) -> None:
    session = new_session()
    await client.heartbeat(session)
    watch = client.watch()
    await watch.told()

    assert await client.settle(quanta(), session=session) == 1

    assert await watch.told() == ["CHANGES", "studio-a BOOKED"]
    assert await client.spans() == []


async def test_a_booking_ends_others_holds_of_an_exclusive_resource(client: Client) -> None:
    inside, beside = new_session(), new_session()
    await client.heartbeat(inside, start=START + HOUR / 2)
    await client.heartbeat(beside, start=START + 2 * HOUR)

    assert await client.settle(quanta(length=2 * HOUR)) == 1

    assert await client.spans() == ["studio-a 16:00-17:00"]


@pytest.mark.parametrize("facts", [{"pool": True}, {"hold_policy": HOLD_POLICY_ADVISORY}], ids=str)
async def test_on_a_pool_and_under_advice_others_stay(
    client: Client, catalog: Catalog, facts: dict[str, int]
) -> None:
    catalog.know("studio-a", **facts)
    session, other = new_session(), new_session()
    await client.heartbeat(session)
    await client.heartbeat(other, start=START + HOUR / 2)

    assert await client.settle(quanta(length=2 * HOUR), session=session) == 1

    assert await client.spans() == ["studio-a 14:30-15:30"]


async def test_time_taken_out_of_use_ends_every_hold_as_blocked(client: Client) -> None:
    await client.heartbeat(new_session())
    watch = client.watch()
    await watch.told()

    assert await client.settle(quanta(), reason=BLOCKED) == 1

    assert await watch.told() == ["CHANGES", "studio-a BLOCKED"]


async def test_a_hold_acquired_after_the_commit_stays(
    client: Client, store: redis.asyncio.Redis
) -> None:
    booker, other = new_session(), new_session()
    await client.heartbeat(booker)
    committed = await store_now(store)
    await client.leave(booker)
    await client.heartbeat(other)
    watch = client.watch()
    await watch.told()

    assert await client.settle(quanta(), session=booker, commit_time=committed) == 0

    assert await client.spans() == ["studio-a 14:00-15:00"]
    assert await client.settle(quanta(), session=booker) == 1


async def test_the_bookers_own_hold_acquired_after_the_commit_stays(
    client: Client, store: redis.asyncio.Redis
) -> None:
    booker = new_session()
    committed = await store_now(store)
    await client.heartbeat(booker)

    assert await client.settle(quanta(), session=booker, commit_time=committed) == 0

    assert await client.spans() == ["studio-a 14:00-15:00"]


async def test_a_renewal_after_the_commit_does_not_save_a_hold(
    client: Client, store: redis.asyncio.Redis
) -> None:
    session = new_session()
    await client.heartbeat(session)
    committed = await store_now(store)
    await client.heartbeat(session)

    assert await client.settle(quanta(), commit_time=committed) == 1


async def test_a_swap_after_the_commit_is_an_acquisition(
    client: Client, store: redis.asyncio.Redis
) -> None:
    session = new_session()
    await client.heartbeat(session)
    committed = await store_now(store)
    await client.heartbeat(session, length=2 * HOUR)

    assert await client.settle(quanta(), commit_time=committed) == 0


@pytest.mark.parametrize("terms", [{}, {"renew": True}], ids=str)
async def test_a_heartbeat_in_flight_learns_that_the_time_is_booked(
    client: Client, terms: dict[str, Any]
) -> None:
    session = new_session()
    await client.heartbeat(session)
    await client.settle(quanta())

    refused = await refusal(client.heartbeat(session, **terms))

    assert (refused.code, refused.reason, refused.metadata) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "HOLD_ENDED",
        {"end_reason": "BOOKED"},
    )
    assert await client.spans() == []


async def test_a_stream_learns_that_the_time_is_booked(client: Client) -> None:
    session = new_session()
    stream = client.hold(session)
    await stream.say({"studio-a": (START, HOUR), "studio-b": (START, HOUR)})

    await client.settle(quanta(), reason=BLOCKED)

    assert await stream.say() == {"studio-a": "ENDED BLOCKED", "studio-b": "HELD"}
    assert await stream.say() == {"studio-b": "HELD"}
    assert await client.spans() == []


async def test_who_comes_back_on_another_stream_learns_it(client: Client) -> None:
    session = new_session()
    await client.heartbeat(session)
    await client.settle(quanta())
    stream = client.hold(session)

    assert await stream.say({"studio-a": (START, HOUR)}) == {"studio-a": "ENDED BOOKED"}


async def test_a_stream_that_goes_on_elsewhere_learns_that_the_holder_left(client: Client) -> None:
    session = new_session()
    await client.heartbeat(session)
    await client.leave(session)
    stream = client.hold(session)

    assert await stream.say({"studio-a": (START, HOUR)}, renew=True) == {"studio-a": "ENDED LEFT"}
    assert await stream.say({"studio-a": (START, HOUR)}) == {"studio-a": "HELD"}


async def test_other_time_may_be_held_at_once(client: Client) -> None:
    session = new_session()
    await client.heartbeat(session)
    await client.settle(quanta())

    assert await client.outcome(session, start=START + HOUR) == "granted"
    assert await client.outcome(session, renew=True) == "granted"


async def test_a_renewal_of_other_time_learns_the_end(client: Client) -> None:
    session = new_session()
    await client.heartbeat(session)
    await client.settle(quanta())

    assert await client.outcome(session, start=START + HOUR, renew=True) == "HOLD_ENDED"


async def test_who_left_may_hold_again_but_not_renew(client: Client) -> None:
    session = new_session()
    await client.heartbeat(session)
    await client.leave(session)

    refused = await refusal(client.heartbeat(session, renew=True))

    assert (refused.reason, refused.metadata) == ("HOLD_ENDED", {"end_reason": "LEFT"})
    assert await client.outcome(session) == "granted"


async def test_the_end_is_remembered_for_twice_the_timeout(serve: Serve) -> None:
    async with serve(hold_timeout_seconds=0.2) as client:
        session = new_session()
        await client.heartbeat(session)
        await client.settle(quanta())
        assert await client.outcome(session) == "HOLD_ENDED"

        async def is_granted() -> bool:
            return await client.outcome(session) == "granted"

        await until(is_granted)


async def test_a_hold_never_had_may_be_renewed_into_being(client: Client) -> None:
    assert await client.outcome(new_session(), renew=True) == "granted"


async def test_a_settlement_told_twice_ends_nothing_more(
    client: Client, store: redis.asyncio.Redis
) -> None:
    booker = new_session()
    await client.heartbeat(booker)
    committed = await store_now(store)
    assert await client.settle(quanta(), session=booker, commit_time=committed) == 1
    await client.heartbeat(new_session())

    assert await client.settle(quanta(), session=booker, commit_time=committed) == 0

    assert await client.spans() == ["studio-a 14:00-15:00"]


async def test_a_booking_of_a_pool_ends_as_many_of_its_bookers_units(
    client: Client, catalog: Catalog, store: redis.asyncio.Redis
) -> None:
    catalog.know("bikes", pool=True)
    booker = new_session()
    for hold_id in ("first", "second", "third"):
        await client.heartbeat(booker, "bikes", hold_id=hold_id, units=2)
    committed = await store_now(store)

    for _ in range(2):
        await client.settle(quanta("bikes", units=3), session=booker, commit_time=committed)

        assert [hold.hold_id for hold in await client.holds("bikes")] == ["third"]


async def test_a_booking_of_a_pool_ends_units_on_each_quantum(
    client: Client, catalog: Catalog
) -> None:
    catalog.know("bikes", pool=True)
    booker = new_session()
    await client.heartbeat(booker, "bikes", hold_id="early", length=HOUR)
    await client.heartbeat(booker, "bikes", hold_id="late", start=START + HOUR)
    await client.heartbeat(booker, "bikes", hold_id="other", start=START + HOUR)

    assert await client.settle(quanta("bikes", length=2 * HOUR), session=booker) == 2

    assert [hold.hold_id for hold in await client.holds("bikes")] == ["other"]


async def test_one_call_settles_many(client: Client) -> None:
    request = hold_check_pb2.SettleHoldsRequest(organization_id=client.organization_id)
    now = moment((await client.check()).store_time) + 60 * SECOND
    for number in range(256):
        await client.heartbeat(new_session(), f"room-{number}")
        settlement = request.settlements.add(
            items=[quanta(f"room-{number}")], reason=holder_pb2.HOLD_END_REASON_BOOKED
        )
        settlement.commit_time.FromDatetime(now)

    assert (await client.stub.SettleHolds(request)).ended == 256
    assert (await client.stub.SettleHolds(request)).ended == 0


async def test_what_is_wrong_is_named(client: Client) -> None:
    request = hold_check_pb2.SettleHoldsRequest(organization_id=client.organization_id)
    request.settlements.add(session="guessed", items=[], reason=holder_pb2.HOLD_END_REASON_LEFT)

    refused = await refusal(client.stub.SettleHolds(request))

    assert refused.fields == tuple(
        f"settlements[0].{name}" for name in ("session", "items", "commit_time", "reason")
    )
    assert "guessed" not in refused.message


async def test_heartbeats_and_a_settlement_race_to_one_end(client: Client) -> None:
    """However they fall, each hold of the booked time is ended, and its session told why."""
    sessions = [new_session() for _ in range(8)]
    for place, session in enumerate(sessions):
        await client.heartbeat(session, start=START + place * HOUR / 4, length=HOUR / 4)

    async def beat(place: int) -> str:
        start = START + place * HOUR / 4
        while await client.outcome(sessions[place], start=start, length=HOUR / 4) == "granted":
            pass
        return await client.outcome(sessions[place], start=start, length=HOUR / 4)

    beating = asyncio.gather(*(beat(place) for place in range(8)))
    assert await client.settle(quanta(length=2 * HOUR)) == 8

    assert await beating == ["HOLD_ENDED"] * 8
    assert await client.spans() == []
