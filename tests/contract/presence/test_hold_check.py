"""What counts against a booking: others' live holds, by the resource's rule."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import grpc
import redis.asyncio

from holdfast.catalog.v1.resource_pb2 import HOLD_POLICY_ADVISORY
from holdfast.presence.v1 import hold_check_pb2
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


async def test_nothing_counts_where_nobody_holds(client: Client) -> None:
    assert await client.counted(quanta(), quanta("studio-b")) == []


async def test_anothers_hold_counts_where_it_overlaps(client: Client) -> None:
    await client.heartbeat(new_session(), start=START, length=HOUR)

    assert await client.counted(quanta(start=START + HOUR / 2)) == ["0 14:30-15:00 x1"]
    assert await client.counted(quanta(start=START + HOUR)) == []
    assert await client.counted(quanta(start=START - HOUR)) == []


async def test_the_bookers_own_hold_does_not_count(client: Client) -> None:
    session = new_session()
    await client.heartbeat(session)

    assert await client.counted(quanta(), session=session) == []
    assert await client.counted(quanta(), session=new_session()) == ["0 14:00-15:00 x1"]
    assert await client.counted(quanta()) == ["0 14:00-15:00 x1"]


async def test_a_hold_counts_against_each_item_that_it_overlaps(client: Client) -> None:
    await client.heartbeat(new_session(), "studio-b", length=2 * HOUR)

    found = await client.counted(quanta(), quanta("studio-b"), quanta("studio-b", length=2 * HOUR))

    assert found == ["1 14:00-15:00 x1", "2 14:00-16:00 x1"]


async def test_units_of_several_holds_are_added_up_where_they_overlap(
    client: Client, catalog: Catalog
) -> None:
    catalog.know("bikes", pool=True)
    await client.heartbeat(new_session(), "bikes", units=2, length=2 * HOUR)
    await client.heartbeat(new_session(), "bikes", units=3, start=START + HOUR)
    await client.heartbeat(new_session(), "bikes", units=2, start=START + 3 * HOUR)
    await client.heartbeat(new_session(), "bikes", units=2, start=START + 4 * HOUR)

    assert await client.counted(quanta("bikes", start=START - HOUR, length=8 * HOUR)) == [
        "0 14:00-15:00 x2",
        "0 15:00-16:00 x5",
        "0 17:00-19:00 x2",
    ]


async def test_on_a_pool_only_those_before_the_bookers_own_count(
    client: Client, catalog: Catalog
) -> None:
    catalog.know("bikes", pool=True)
    first, second, third = (new_session() for _ in range(3))
    await client.heartbeat(first, "bikes", units=2)
    await client.heartbeat(second, "bikes", units=3)
    await client.heartbeat(third, "bikes", units=4)

    assert await client.counted(quanta("bikes"), session=first) == []
    assert await client.counted(quanta("bikes"), session=second) == ["0 14:00-15:00 x2"]
    assert await client.counted(quanta("bikes"), session=third) == ["0 14:00-15:00 x5"]
    assert await client.counted(quanta("bikes"), session=new_session()) == ["0 14:00-15:00 x9"]


async def test_on_a_pool_the_line_is_that_of_each_quarter_hour(
    client: Client, catalog: Catalog
) -> None:
    """Who holds one quarter hour is no earlier in another that it does not hold."""
    catalog.know("bikes", pool=True)
    booker = new_session()
    await client.heartbeat(new_session(), "bikes", units=2, length=3 * HOUR)
    await client.heartbeat(booker, "bikes", hold_id="first", length=HOUR)
    await client.heartbeat(new_session(), "bikes", units=4, length=3 * HOUR)
    await client.heartbeat(booker, "bikes", hold_id="second", length=2 * HOUR)

    assert await client.counted(quanta("bikes", length=4 * HOUR), session=booker) == [
        "0 14:00-15:00 x2",
        "0 15:00-17:00 x6",
    ]


async def test_on_a_pool_a_hold_of_other_time_is_no_place_in_the_line(
    client: Client, catalog: Catalog
) -> None:
    catalog.know("bikes", pool=True)
    early, late = new_session(), new_session()
    await client.heartbeat(early, "bikes", start=START - HOUR)
    await client.heartbeat(late, "bikes")

    assert await client.counted(quanta("bikes"), session=early) == ["0 14:00-15:00 x1"]


async def test_on_a_pool_the_earliest_of_the_bookers_holds_is_its_place(
    client: Client, catalog: Catalog
) -> None:
    catalog.know("bikes", pool=True)
    booker = new_session()
    await client.heartbeat(booker, "bikes", hold_id="first")
    await client.heartbeat(new_session(), "bikes")
    await client.heartbeat(booker, "bikes", hold_id="second")

    assert await client.counted(quanta("bikes"), session=booker) == []


async def test_advice_never_counts(client: Client, catalog: Catalog) -> None:
    catalog.know("studio-a", hold_policy=HOLD_POLICY_ADVISORY)
    await client.heartbeat(new_session())

    assert await client.counted(quanta()) == []


async def test_a_dead_hold_does_not_count_though_it_was_not_swept(serve: Serve) -> None:
    async with serve(hold_timeout_seconds=0.2, sweep_interval_seconds=0.5) as client:
        await client.heartbeat(new_session())

        async def does_not_count() -> bool:
            return await client.counted(quanta()) == []

        assert not await does_not_count()
        await until(does_not_count)


async def test_many_bookings_are_answered_in_their_order(client: Client) -> None:
    for room in ("studio-1", "studio-3"):
        await client.heartbeat(new_session(), room)

    answer = await client.check(
        *(hold_check_pb2.HoldCheck(items=[quanta(f"studio-{n % 5}")]) for n in range(256))
    )

    assert [len(result.holds) for result in answer.results] == [
        int(n % 5 in {1, 3}) for n in range(256)
    ]


async def test_the_stores_clock_is_told_with_or_without_bookings(
    client: Client, store: redis.asyncio.Redis
) -> None:
    before = await store_now(store)
    told = moment((await client.check()).store_time)
    after = await store_now(store)

    assert before <= told <= after


async def test_holds_of_another_organization_do_not_count(client: Client) -> None:
    await client.elsewhere().heartbeat(new_session())

    assert await client.counted(quanta()) == []


async def test_holds_of_a_deleted_resource_count_to_their_end(
    client: Client, catalog: Catalog
) -> None:
    await client.heartbeat(new_session())
    catalog.unknown.add("studio-a")

    assert await client.counted(quanta()) == ["0 14:00-15:00 x1"]


async def test_a_check_asks_the_catalog_only_about_what_is_held(
    client: Client, catalog: Catalog
) -> None:
    catalog.fails_with = grpc.StatusCode.UNAVAILABLE
    catalog.asked.clear()

    await client.counted(quanta())

    assert catalog.asked == []


async def test_257_bookings_are_too_many(client: Client) -> None:
    checks = [hold_check_pb2.HoldCheck(items=[quanta()])] * 257

    refused = await refusal(client.check(*checks))

    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("checks",))


async def test_what_is_wrong_is_named(client: Client) -> None:
    wrong = [
        hold_check_pb2.ResourceQuanta(resource_id="", first_quantum=1, stop_quantum=2),
        hold_check_pb2.ResourceQuanta(resource_id="a", first_quantum=2, stop_quantum=2),
        hold_check_pb2.ResourceQuanta(resource_id="a", first_quantum=-1, stop_quantum=2),
        hold_check_pb2.ResourceQuanta(resource_id="a", first_quantum=0, stop_quantum=2**31 - 1),
        hold_check_pb2.ResourceQuanta(resource_id="a", first_quantum=0, stop_quantum=33 * 96 + 1),
        hold_check_pb2.ResourceQuanta(resource_id="a", stop_quantum=1, units=10_001),
        hold_check_pb2.ResourceQuanta(resource_id="a", stop_quantum=1, units=-1),
    ]

    refused = await refusal(
        client.check(
            hold_check_pb2.HoldCheck(session="guessed", items=wrong), hold_check_pb2.HoldCheck()
        )
    )

    assert refused.fields == (
        "checks[0].session",
        "checks[0].items[0].resource_id",
        *(f"checks[0].items[{n}].stop_quantum" for n in range(1, 5)),
        "checks[0].items[5].units",
        "checks[0].items[6].units",
        "checks[1].items",
    )
    assert "guessed" not in refused.message


async def test_checks_and_holds_race_without_a_wrong_answer(client: Client) -> None:
    """A hold that was granted before a check began is in its answer."""
    granted: list[int] = []

    async def held() -> int:
        answer = await client.check(
            hold_check_pb2.HoldCheck(items=[quanta(length=timedelta(hours=10))])
        )
        return sum(h.stop_quantum - h.first_quantum for h in answer.results[0].holds)

    async def hold(number: int) -> None:
        await client.heartbeat(new_session(), start=START + number * HOUR / 4, length=HOUR / 4)
        granted.append(number)

    async def check() -> None:
        known = len(granted)
        assert await held() >= known

    await asyncio.gather(*(hold(n) for n in range(40)), *(check() for _ in range(20)))

    assert await held() == 40


async def test_the_longest_booking_of_the_last_day_is_no_mistake(client: Client) -> None:
    last = datetime(9998, 12, 30, tzinfo=UTC)

    assert await client.counted(quanta(start=last, length=timedelta(days=33))) == []
