"""Free resources among many: what GetDaySlots says of each, and what can be booked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from holdfast.availability.v1 import availability_pb2
from holdfast.catalog.v1 import event_type_pb2, resource_pb2
from tests.contract.availability.conftest import Serve
from tests.contract.availability.finding import (
    DAY,
    MINUTE,
    MONDAY,
    Found,
    Told,
    find,
    names,
    resize,
    starts,
    take,
    told,
    wanted,
)
from tests.contract.availability.world import (
    ALL_DAY,
    HOUR,
    NOW,
    Caller,
    FakeCatalog,
    civil,
    interval,
    length,
    running,
    stamp,
    weekly,
)

HOURS: Final = [
    weekly("Europe/Berlin", {day: [(540, 720), (780, 1320)] for day in range(1, 7)}),
    weekly("Pacific/Auckland", {day: [ALL_DAY] for day in range(1, 8)}),
    weekly("America/St_Johns", {1: [(0, 90), (1200, 1440)], 2: [(0, 600)], 5: [(600, 900)]}),
    weekly("UTC", {}),
]
RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "plain": {"duration_options": [length(HOUR), length(2 * HOUR)]},
    "buffered": {
        "duration_options": [length(50 * MINUTE)],
        "slot_interval": length(15 * MINUTE),
        "buffer_before": length(20 * MINUTE),
        "buffer_after": length(3 * HOUR),
        "minimum_notice": length(30 * HOUR),
        "horizon": length(6 * DAY),
    },
    "long": {
        "flexible_duration": event_type_pb2.FlexibleDuration(
            minimum=length(HOUR), maximum=length(5 * DAY), step=length(HOUR)
        ),
        "closed_hours_policy": event_type_pb2.CLOSED_HOURS_POLICY_OPEN_AT_ENDS,
        "buffer_after": length(15 * MINUTE),
    },
}
LENGTHS: Final = {
    "plain": [HOUR, 2 * HOUR],
    "buffered": [50 * MINUTE],
    "long": [2 * HOUR, 3 * DAY],
}


async def told_by_day(
    caller: Caller, resource_id: str, window: tuple[datetime, datetime], **fields: Any
) -> Told:
    """What GetDaySlots says of a resource, of all dates of a window."""
    found: Told = []
    for offset in range(-2, (window[1] - window[0]).days + 3):
        request = availability_pb2.GetDaySlotsRequest(
            organization_id=caller.organization_id,
            resource_id=resource_id,
            date=civil((window[0] + offset * DAY).date()),
            **fields,
        )
        answer = await caller.send("GetDaySlots", request)
        found += [slot for slot in told(answer.slots) if window[0] <= slot[0] < window[1]]
    return found


@pytest.mark.parametrize("seed", range(3))
async def test_it_says_of_each_resource_what_day_slots_say(
    caller: Caller, catalog: FakeCatalog, seed: int
) -> None:
    source = random.Random(seed)
    pools = {f"pool-{number}": source.randrange(2, 5) for number in range(4)}
    rooms = [f"room-{number}" for number in range(8)]
    for number, name in enumerate([*rooms, *pools]):
        facts = {"pool": name in pools, "time_zone": "UTC"}
        for event_type_id, rules in RULES.items():
            catalog.offer(
                caller.organization_id,
                name,
                event_type_id,
                schedule=HOURS[number % len(HOURS)],
                resource=facts,
                **rules,
            )
        catalog.offer(caller.organization_id, name, "any", resource=facts)
    for name, units in pools.items():
        await resize(caller, name, units)
    for step in range(120):
        name = source.choice([*rooms, *pools])
        start = NOW + source.randrange(8, 4 * 24 * 9) * 15 * MINUTE
        units = source.randrange(1, pools.get(name, 1) + 1)
        try:
            await take(caller, name, start, units, event_type_id="any")
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.FAILED_PRECONDITION  # noqa: PT017  # some are
        if step % 20:
            continue
        event_type_id = source.choice(list(RULES))
        duration = length(source.choice(LENGTHS[event_type_id]))
        begin = NOW + source.randrange(-600, 4000) * MINUTE
        window = begin, begin + source.randrange(1, 4 * 24 * 60) * MINUTE
        asked = {
            "event_type_id": event_type_id,
            "duration": duration,
            "units": source.choice((0, 1, 2, 3)),
        }

        found = await find(
            caller, window=interval(*window), limit=100, starts_per_resource=500, **asked
        )

        expected = {
            name: slots
            for name in (*rooms, *pools)
            if (slots := await told_by_day(caller, name, window, **asked))
        }
        assert {name.resource_id: told(name.slots) for name in found.resources} == expected
        assert names(found) == sorted(expected, key=lambda name: (expected[name][0][0], name))
        assert found.resource_count == len(expected)


async def test_every_start_it_tells_can_be_booked(caller: Caller, catalog: FakeCatalog) -> None:
    rules: dict[str, Any] = {
        "slot_interval": length(30 * MINUTE),
        "buffer_after": length(10 * MINUTE),
    }
    for name in ("a", "b", "c"):
        catalog.offer(caller.organization_id, name, schedule=HOURS[0], **rules)
        await take(caller, name, MONDAY + 9 * HOUR)

    while (found := await find(caller, starts_per_resource=1)).resource_count:
        for resource in found.resources:
            await take(caller, resource.resource_id, resource.slots[0].start_time.ToDatetime(UTC))

    assert (await caller.verification()).difference_count == 0
    for name in ("a", "b", "c"):
        assert not await caller.starts(MONDAY.date(), resource_id=name)


async def test_the_earliest_come_first_and_the_others_are_counted(
    caller: Caller, catalog: FakeCatalog
) -> None:
    for name in ("d", "b", "a", "c"):
        catalog.offer(caller.organization_id, name)
    await take(caller, "a", MONDAY)
    await take(caller, "a", MONDAY + HOUR)

    found = await find(caller, limit=3, starts_per_resource=2)

    assert starts(found) == {name: [MONDAY, MONDAY + HOUR] for name in ("b", "c", "d")}
    assert names(found) == ["b", "c", "d"]
    assert found.resource_count == 4
    assert names(await find(caller)) == ["b", "c", "d", "a"]


async def test_an_answer_has_fifty_resources_of_ten_starts_unless_told_otherwise(
    caller: Caller, catalog: FakeCatalog
) -> None:
    for number in range(60):
        catalog.offer(caller.organization_id, f"r{number}")

    found = await find(caller)

    assert len(found.resources) == 50
    assert {len(resource.slots) for resource in found.resources} == {10}
    assert found.resource_count == 60


async def test_starts_lie_in_the_window(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id, "a", buffer_before=length(2 * HOUR))
    window = interval(MONDAY + MINUTE, MONDAY + 3 * HOUR)

    found = await find(caller, window=window)

    assert starts(found) == {"a": [MONDAY + HOUR, MONDAY + 2 * HOUR]}
    (resource,) = found.resources
    assert told(resource.slots)[0] == (MONDAY + HOUR, MONDAY - HOUR, MONDAY + 2 * HOUR, 1)


async def test_nothing_starts_in_the_past(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id, "a", resource={"type": resource_pb2.RESOURCE_TYPE_ROOM})
    window = interval(NOW - DAY, NOW + 2 * HOUR)

    assert starts(await find(caller, window=window)) == {"a": [NOW, NOW + HOUR]}
    by_type = await find(caller, window=window, event_type_id="", resource_type="ROOM")
    assert starts(by_type)["a"] == [NOW + count * 15 * MINUTE for count in range(8)]
    assert not (await find(caller, window=interval(NOW - DAY, NOW))).resources


async def test_without_an_event_type_every_free_quarter_hour_is_a_start(
    caller: Caller, catalog: FakeCatalog
) -> None:
    kinds = {
        "camera": resource_pb2.RESOURCE_TYPE_EQUIPMENT,
        "studio": resource_pb2.RESOURCE_TYPE_ROOM,
        "closet": resource_pb2.RESOURCE_TYPE_ROOM,
        "ruin": resource_pb2.RESOURCE_TYPE_ROOM,
    }
    for name, kind in kinds.items():
        facts = {"type": kind, "active": name != "ruin", "standalone": name != "closet"}
        catalog.offer(caller.organization_id, name, schedule=weekly("UTC", {}), resource=facts)
        catalog.offer(caller.organization_id, name, "any", resource=facts)
    await take(caller, "studio", MONDAY + HOUR, event_type_id="any")
    asked: dict[str, Any] = {
        "event_type_id": "",
        "duration": length(20 * MINUTE),
        "window": interval(MONDAY, MONDAY + 2 * HOUR),
    }

    found = await find(caller, resource_type="rOOm", **asked)

    quarters = [MONDAY + count * 15 * MINUTE for count in range(8)]
    assert starts(found) == {"closet": quarters, "studio": quarters[:3]}
    assert names(await find(caller, resource_type="EQUIPMENT", **asked)) == ["camera"]
    assert not (await find(caller, resource_type="VEHICLE", **asked)).resources


async def test_an_event_types_resources_are_narrowed_by_their_type(
    caller: Caller, catalog: FakeCatalog
) -> None:
    room, person = resource_pb2.RESOURCE_TYPE_ROOM, resource_pb2.RESOURCE_TYPE_PERSON
    catalog.offer(caller.organization_id, "ann", resource={"type": person})
    catalog.offer(caller.organization_id, "studio", resource={"type": room})
    catalog.offer(caller.organization_id, "other", resource={"type": room}, linked=False)
    catalog.offer(caller.organization_id, "ruin", resource={"type": room, "active": False})

    assert names(await find(caller)) == ["ann", "studio"]
    assert names(await find(caller, resource_type="room")) == ["studio"]
    assert names(await find(caller, resource_type="person")) == ["ann"]


async def test_what_is_wanted_with_it_must_be_free_for_the_same_time(
    caller: Caller, catalog: FakeCatalog
) -> None:
    for name in ("studio-a", "studio-b", "ann", "mics"):
        facts = {"pool": name == "mics"}
        catalog.offer(caller.organization_id, name, resource=facts, buffer_after=length(HOUR))
    await resize(caller, "mics", 5)
    await take(caller, "ann", MONDAY + 4 * HOUR)
    await take(caller, "mics", MONDAY + 8 * HOUR, 3)
    window = interval(MONDAY, MONDAY + 12 * HOUR)

    found = await find(caller, window=window, with_items=[wanted("ann"), wanted("mics", 3)])

    hours = [MONDAY + hour * HOUR for hour in (0, 1, 2, 6, 10, 11)]
    assert starts(found) == {"studio-a": hours, "studio-b": hours}
    two = await find(caller, window=window, with_items=[wanted("mics", 2)])
    assert starts(two)["ann"] == [MONDAY + hour * HOUR for hour in (0, 1, 2, 6, 7, 8, 9, 10, 11)]
    assert names(two) == ["ann", "studio-a", "studio-b"]
    for impossible in (wanted("mics", 6), wanted("ann", 2)):
        assert not (await find(caller, with_items=[impossible])).resource_count


async def test_units_are_counted(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id, "room")
    catalog.offer(caller.organization_id, "mics", resource={"pool": True})
    window = interval(MONDAY, MONDAY + 3 * HOUR)
    assert names(await find(caller, window=window)) == ["mics", "room"]
    assert not (await find(caller, window=window, units=2)).resources

    await resize(caller, "mics", 4)
    await take(caller, "mics", MONDAY + HOUR, 3)

    def free(found: Found) -> list[int]:
        (resource,) = found.resources
        assert resource.resource_id == "mics"
        return [slot.units_free for slot in resource.slots]

    assert free(await find(caller, window=window, units=4)) == [4, 4]
    assert free(await find(caller, window=window, units=2)) == [4, 4]
    assert starts(await find(caller, window=window, units=2))["mics"][1] == MONDAY + 2 * HOUR
    one = {
        resource.resource_id: [slot.units_free for slot in resource.slots]
        for resource in (await find(caller, window=window)).resources
    }
    assert one == {"room": [1, 1, 1], "mics": [4, 1, 4]}
    assert not (await find(caller, window=window, units=10_000)).resources


async def test_own_bookings_and_cancellations_are_seen_at_once(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id, "a")
    window = interval(MONDAY, MONDAY + HOUR)
    for _ in range(5):
        assert names(await find(caller, window=window)) == ["a"]
        booking = await take(caller, "a", MONDAY)
        assert names(await find(caller, window=window)) == []
        await caller.cancel(booking.booking_id)


@pytest.fixture
async def replicas(serve: Serve) -> AsyncIterator[tuple[FakeCatalog, Caller, Caller]]:
    catalog = FakeCatalog()
    async with running(catalog) as address, serve(address) as here, serve(address) as there:
        there.organization_id = here.organization_id
        yield catalog, here, there


async def test_what_another_replica_commits_is_seen_within_a_second(
    replicas: tuple[FakeCatalog, Caller, Caller],
) -> None:
    catalog, here, there = replicas
    catalog.offer(here.organization_id, "a")
    window = interval(MONDAY, MONDAY + HOUR)
    assert names(await find(there, window=window)) == ["a"]

    await take(here, "a", MONDAY)

    loop = asyncio.get_running_loop()
    committed = loop.time()
    while names(await find(there, window=window)):
        assert loop.time() - committed < 1


async def test_the_widest_question_is_answered(caller: Caller, catalog: FakeCatalog) -> None:
    longest = length(31 * DAY)
    catalog.offer(
        caller.organization_id,
        "a",
        duration_options=[longest],
        slot_interval=length(15 * MINUTE),
        buffer_before=longest,
        buffer_after=longest,
    )
    last = datetime(9998, 12, 30, tzinfo=UTC)
    for begin in (MONDAY, last - 31 * DAY):
        window = interval(begin, begin + 31 * DAY)

        found = await find(caller, window=window, duration=longest, starts_per_resource=500)

        (resource,) = found.resources
        assert len(resource.slots) == 500
        assert resource.slots[0].start_time == stamp(begin)
        assert resource.slots[0].occupancy_end_time == Timestamp(
            seconds=int((begin + 62 * DAY).timestamp())
        )


async def test_it_goes_on_over_clock_changes(caller: Caller, catalog: FakeCatalog) -> None:
    hours = weekly("Europe/Berlin", {day: [(60, 300)] for day in range(1, 8)})
    catalog.offer(caller.organization_id, "a", schedule=hours)
    window = datetime(2027, 3, 27, tzinfo=UTC), datetime(2027, 3, 30, tzinfo=UTC)

    found = await find(caller, window=interval(*window), starts_per_resource=100)

    assert starts(found)["a"] == [
        start
        for day in (27, 28, 29, 30)
        for start in await caller.starts(date(2027, 3, day), resource_id="a")
        if window[0] <= start < window[1]
    ]
