"""Pools by position, and holds that are only advice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
import redis.asyncio

from holdfast.catalog.v1.resource_pb2 import HOLD_POLICY_ADVISORY
from tests.contract.presence.catalog import Catalog
from tests.contract.presence.client import (
    HOUR,
    START,
    Client,
    moment,
    new_session,
    refusal,
    store_now,
)

LENIENT = pytest.mark.parametrize(
    "facts", [{"pool": True}, {"hold_policy": HOLD_POLICY_ADVISORY}], ids=["pool", "advisory"]
)


@LENIENT
async def test_every_hold_is_granted_and_told_its_position(
    client: Client, catalog: Catalog, facts: dict[str, Any]
) -> None:
    catalog.know("bikes", **facts)

    ahead = [
        (await client.heartbeat(new_session(), "bikes", units=units)).units_ahead
        for units in (2, 3, 1)
    ]

    assert ahead == [0, 2, 5]
    assert sorted(hold.units for hold in await client.holds("bikes")) == [1, 2, 3]


async def test_the_position_is_that_of_the_quantum_where_most_is_held(
    client: Client, catalog: Catalog
) -> None:
    catalog.know("bikes", pool=True)
    for start, length, units in (
        (START, HOUR, 2),
        (START + HOUR / 2, HOUR, 3),
        (START + HOUR, HOUR, 4),
        (START + 3 * HOUR, HOUR, 99),
    ):
        await client.heartbeat(new_session(), "bikes", start=start, length=length, units=units)

    whole = await client.heartbeat(new_session(), "bikes", length=2 * HOUR)
    first = await client.heartbeat(new_session(), "bikes", length=HOUR / 2)

    # 2, 2 + 3, 3 + 4, 4 units by the half hour; then one more that was acquired before.
    assert (whole.units_ahead, first.units_ahead) == (7, 3)


async def test_a_heartbeat_tells_the_position_anew(client: Client, catalog: Catalog) -> None:
    catalog.know("bikes", pool=True)
    first, second, third = (new_session() for _ in range(3))
    for session in (first, second, third):
        await client.heartbeat(session, "bikes", units=2)

    assert (await client.heartbeat(third, "bikes", units=2)).units_ahead == 4
    await client.leave(first)
    assert (await client.heartbeat(third, "bikes", units=2)).units_ahead == 2
    assert (await client.heartbeat(second, "bikes", units=2)).units_ahead == 0


async def test_a_renewal_keeps_the_place_and_a_swap_or_other_units_lose_it(
    client: Client, catalog: Catalog
) -> None:
    catalog.know("bikes", pool=True)
    first, second = new_session(), new_session()
    await client.heartbeat(first, "bikes")
    await client.heartbeat(second, "bikes")

    assert (await client.heartbeat(first, "bikes")).units_ahead == 0
    assert (await client.heartbeat(first, "bikes", units=2)).units_ahead == 1
    assert (await client.heartbeat(second, "bikes", length=2 * HOUR)).units_ahead == 2
    assert (await client.heartbeat(first, "bikes", units=2)).units_ahead == 0


async def test_ones_own_holds_are_not_ahead(client: Client, catalog: Catalog) -> None:
    catalog.know("bikes", pool=True)
    session = new_session()
    await client.heartbeat(session, "bikes", hold_id="first", units=5)

    assert (await client.heartbeat(session, "bikes", hold_id="second")).units_ahead == 0


async def test_on_an_exclusive_resource_nobody_is_ahead(client: Client) -> None:
    session = new_session()
    await client.heartbeat(new_session(), start=START + HOUR)

    assert (await client.heartbeat(session)).units_ahead == 0
    assert (await client.heartbeat(session)).units_ahead == 0


async def test_no_two_holds_are_acquired_at_one_instant(
    client: Client, catalog: Catalog, store: redis.asyncio.Redis
) -> None:
    catalog.know("bikes", pool=True)
    before = await store_now(store)

    await asyncio.gather(*(client.heartbeat(new_session(), "bikes") for _ in range(50)))

    times = [moment(hold.acquire_time) for hold in await client.holds("bikes")]
    assert len(set(times)) == 50
    # Several within one microsecond move on by one each.
    assert before <= min(times)
    assert max(times) <= await store_now(store) + timedelta(microseconds=50)


async def test_a_position_agrees_with_the_order_that_everybody_sees(
    client: Client, catalog: Catalog
) -> None:
    catalog.know("bikes", pool=True)

    answers = await asyncio.gather(
        *(client.heartbeat(new_session(), "bikes", units=1 + n % 3) for n in range(30))
    )

    told = {answer.holder_id: answer.units_ahead for answer in answers}
    before = 0
    for hold in sorted(await client.holds("bikes"), key=lambda h: moment(h.acquire_time)):
        assert told[hold.holder_id] == before
        before += hold.units


async def test_a_watch_tells_units_and_since_when(client: Client, catalog: Catalog) -> None:
    catalog.know("bikes", pool=True)
    session = new_session()
    watch = client.watch("bikes")
    await watch.told()

    await client.heartbeat(session, "bikes", units=2)
    (first,) = (await watch.next()).resources[0].holds
    await client.heartbeat(session, "bikes", units=3)
    (second,) = (await watch.next()).resources[0].holds

    assert (first.units, second.units) == (2, 3)
    assert moment(first.acquire_time) < moment(second.acquire_time)
    (shown,) = await client.holds("bikes")
    assert (shown.units, shown.acquire_time) == (3, second.acquire_time)
    (told,) = (await client.watch("bikes").next()).resources[0].holds
    assert (told.units, told.acquire_time) == (3, second.acquire_time)


async def test_a_stream_is_told_the_position_of_what_it_asks_for(
    client: Client, catalog: Catalog
) -> None:
    catalog.know("bikes", pool=True)
    await client.heartbeat(new_session(), "bikes", units=4)
    stream = client.hold(new_session())

    await stream.say({"bikes": (START, HOUR)}, units=2)
    assert stream.result("bikes").units_ahead == 4
    await stream.say()
    assert not stream.result("bikes").HasField("units_ahead")
    await stream.say({"bikes": (START, HOUR)}, units=2)
    assert stream.result("bikes").units_ahead == 4
    assert sorted(hold.units for hold in await client.holds("bikes")) == [2, 4]


@pytest.mark.parametrize("units", [-1, 10_001, 2**31 - 1])
async def test_units_have_bounds(client: Client, units: int) -> None:
    refused = await refusal(client.heartbeat(new_session(), units=units))

    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("units",))


async def test_no_units_are_one(client: Client) -> None:
    await client.heartbeat(new_session(), units=0)

    assert [hold.units for hold in await client.holds()] == [1]
