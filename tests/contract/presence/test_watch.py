"""WatchPresence: the state first, then every change once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
import redis.asyncio

from holdfast.common.v1 import watch_pb2
from tests.contract.presence.client import DAY, HOUR, START, Client, moment, new_session, until
from tests.contract.presence.conftest import Serve

NEXT_DAY = DAY + timedelta(days=1)
# Else what lies between server and reader grows to many megabytes before it is full.
NARROW = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536)]
MIDNIGHT = datetime(2027, 3, 10, tzinfo=UTC)


async def test_a_watch_begins_with_the_holds_as_they_are(client: Client) -> None:
    await client.heartbeat(new_session(), hold_id="mine")
    await client.heartbeat(new_session(), start=START - HOUR)
    watch = client.watch()

    message = await watch.read()

    assert message.event == watch_pb2.WATCH_EVENT_SNAPSHOT
    (resource,) = message.resources
    assert list(resource.holds) == await client.holds()
    assert [hold.hold_id for hold in resource.holds] == ["", "mine"]


async def test_a_watch_begins_with_every_resource_held_or_not(client: Client) -> None:
    rooms = [f"room-{number}" for number in range(100)]
    await client.heartbeat(new_session(), "room-7")

    message = await client.watch(*rooms).read()

    assert [resource.resource_id for resource in message.resources] == rooms
    assert [r.resource_id for r in message.resources if r.holds] == ["room-7"]


async def test_a_hold_is_told_when_it_is_taken_swapped_and_left(client: Client) -> None:
    session = new_session()
    watch = client.watch()

    assert await watch.told() == ["SNAPSHOT"]
    await client.heartbeat(session)
    assert await watch.told() == ["CHANGES", "studio-a 14:00-15:00"]
    await client.heartbeat(session, length=2 * HOUR)
    assert await watch.told() == ["CHANGES", "studio-a 14:00-16:00"]
    await client.leave(session)
    assert await watch.told() == ["CHANGES", "studio-a LEFT"]


async def test_what_is_told_of_a_hold_is_what_was_granted(client: Client) -> None:
    watch = client.watch()
    await watch.told()

    granted = await client.heartbeat(new_session(), hold_id="mine")

    (resource,) = (await watch.next()).resources
    (hold,) = resource.holds
    assert (hold.holder_id, hold.hold_id) == (granted.holder_id, "mine")
    assert hold.expire_time == granted.expire_time
    assert [hold] == await client.holds()


async def test_a_renewal_sends_nothing(client: Client) -> None:
    session = new_session()
    watch = client.watch("studio-a", "studio-b")
    await watch.told()
    await client.heartbeat(session)
    assert await watch.told() == ["CHANGES", "studio-a 14:00-15:00"]
    stream = client.hold(session)

    for _ in range(20):
        await client.heartbeat(session)
    await stream.say({"studio-a": (START, HOUR)})
    await stream.say()
    await client.heartbeat(session, "studio-b")

    assert await watch.told() == ["CHANGES", "studio-b 14:00-15:00"]


async def test_a_refusal_sends_nothing(client: Client) -> None:
    session = new_session()
    watch = client.watch()
    await watch.told()
    await client.heartbeat(session)
    await watch.told()

    assert await client.outcome(new_session()) == "SLOT_HELD"
    await client.leave(session)

    assert await watch.told() == ["CHANGES", "studio-a LEFT"]


async def test_what_one_message_changes_is_told_in_one(client: Client) -> None:
    watch = client.watch()
    await watch.told()
    stream = client.hold(new_session())

    await stream.say({f"studio-a/{n}": (START + n * HOUR, HOUR) for n in range(3)})
    taken = await watch.told()
    await stream.say({"studio-a/3": (START, HOUR)}, leave=("studio-a/0", "studio-a/1"))
    swapped = await watch.told()
    await stream.half_close()
    left = await watch.told()

    assert sorted(taken) == [
        "CHANGES", "studio-a 14:00-15:00", "studio-a 15:00-16:00", "studio-a 16:00-17:00",
    ]  # fmt: skip
    assert sorted(swapped) == [
        "CHANGES", "studio-a 14:00-15:00", "studio-a LEFT", "studio-a LEFT",
    ]  # fmt: skip
    assert left == ["CHANGES", "studio-a LEFT", "studio-a LEFT"]


async def test_a_hold_that_expires_is_told_as_overdue_and_then_as_expired(serve: Serve) -> None:
    async with serve(hold_timeout_seconds=1) as client:
        watch = client.watch()
        await watch.told()
        granted = await client.heartbeat(new_session())

        assert await watch.told() == ["CHANGES", "studio-a 14:00-15:00"]
        assert await watch.told() == ["CHANGES", "studio-a 14:00-15:00 overdue"]
        (hold,) = watch.holds["studio-a"].values()
        # Renewals would have sent nothing: only now this can be counted down.
        assert hold.expire_time == granted.expire_time
        assert await watch.told() == ["CHANGES", "studio-a EXPIRED"]
        assert watch.texts() == []


async def test_a_late_heartbeat_is_told_once(serve: Serve) -> None:
    session = new_session()
    async with serve(hold_timeout_seconds=3) as client:
        watch = client.watch()
        await watch.told()
        await client.heartbeat(session)
        await watch.until("studio-a 14:00-15:00 overdue")

        renewed = await client.heartbeat(session)
        await client.heartbeat(session)

        assert await watch.told() == ["CHANGES", "studio-a 14:00-15:00"]
        (hold,) = watch.holds["studio-a"].values()
        assert hold.expire_time == renewed.expire_time
        await client.leave(session)
        assert await watch.told() == ["CHANGES", "studio-a LEFT"]


async def test_only_holds_on_the_watched_dates_are_told(client: Client) -> None:
    elsewhere = new_session()
    await client.heartbeat(elsewhere, start=MIDNIGHT)
    watch = client.watch()

    assert await watch.told() == ["SNAPSHOT"]
    await client.heartbeat(elsewhere, start=MIDNIGHT + HOUR)
    await client.leave(elsewhere)
    await client.heartbeat(new_session())
    assert await watch.told() == ["CHANGES", "studio-a 14:00-15:00"]


async def test_a_hold_over_midnight_is_told_to_watchers_of_both_dates(client: Client) -> None:
    watches = [client.watch(dates=(day,)) for day in (DAY, NEXT_DAY)]
    for watch in watches:
        await watch.told()

    await client.heartbeat(new_session(), start=MIDNIGHT - HOUR, length=2 * HOUR)

    for watch in watches:
        assert await watch.told() == ["CHANGES", "studio-a 23:00-01:00"]


async def test_a_hold_that_moves_off_the_watched_dates_is_told_as_moved(client: Client) -> None:
    session = new_session()
    today, tomorrow = client.watch(), client.watch(dates=(NEXT_DAY,))
    for watch in (today, tomorrow):
        await watch.told()
    await client.heartbeat(session)
    await today.told()

    await client.heartbeat(session, start=MIDNIGHT)

    assert await today.told() == ["CHANGES", "studio-a MOVED"]
    assert await tomorrow.told() == ["CHANGES", "studio-a 00:00-01:00"]
    await client.heartbeat(session)
    assert await today.told() == ["CHANGES", "studio-a 14:00-15:00"]
    assert await tomorrow.told() == ["CHANGES", "studio-a MOVED"]


async def test_resources_and_organizations_are_watched_apart(client: Client) -> None:
    watch, other = client.watch(), client.elsewhere().watch()
    for opened in (watch, other):
        await opened.told()

    await client.heartbeat(new_session(), "studio-b")
    await client.elsewhere().heartbeat(new_session())
    await client.heartbeat(new_session())

    assert await watch.told() == ["CHANGES", "studio-a 14:00-15:00"]
    assert other.texts() == []


async def test_one_call_over_several_resources_is_told_of_each(client: Client) -> None:
    rooms = [f"room-{number}" for number in range(100)]
    watch = client.watch(*rooms)
    await watch.told()
    stream = client.hold(new_session())

    await stream.say(dict.fromkeys(rooms, (START, HOUR)))
    await watch.until(*(f"{room} 14:00-15:00" for room in rooms))
    await stream.half_close()

    await watch.until()


async def test_many_watchers_of_one_resource_are_told_the_same(client: Client) -> None:
    dates = [(DAY,), (NEXT_DAY,), (DAY, NEXT_DAY)]
    watches = [client.watch(dates=dates[number % 3]) for number in range(30)]
    for watch in watches:
        await watch.told()
    session = new_session()

    await client.heartbeat(session, start=MIDNIGHT - HOUR, length=2 * HOUR)
    taken = [await watch.told() for watch in watches]
    await client.leave(session)
    left = [await watch.told() for watch in watches]

    assert taken == [["CHANGES", "studio-a 23:00-01:00"]] * 30
    assert left == [["CHANGES", "studio-a LEFT"]] * 30


async def test_a_watch_that_comes_later_has_what_the_earlier_ones_have(client: Client) -> None:
    first = client.watch()
    await first.told()
    for number in range(5):
        await client.heartbeat(new_session(), start=START + number * HOUR)
        await first.told()

    second = client.watch()
    await second.told()

    assert second.holds == first.holds
    await client.heartbeat(new_session(), start=START - HOUR)
    assert await second.told() == await first.told()


async def test_a_later_watch_has_expiries_as_they_are_now(serve: Serve) -> None:
    session = new_session()
    async with serve(hold_timeout_seconds=3) as client:
        first = client.watch()
        await first.told()
        granted = await client.heartbeat(session)
        await first.told()

        async def is_renewed_for_long() -> bool:
            renewed = await client.heartbeat(session)
            gained = moment(renewed.expire_time) - moment(granted.expire_time)
            return gained > timedelta(seconds=2)

        await until(is_renewed_for_long, poll_seconds=0.1)
        second = client.watch()
        await second.told()

        (hold,) = second.holds["studio-a"].values()
        gained = moment(hold.expire_time) - moment(granted.expire_time)
        assert gained > timedelta(seconds=1.5)


async def test_a_watch_with_nothing_to_tell_says_so_every_few_seconds(client: Client) -> None:
    watch = client.watch()
    await watch.told()
    now = asyncio.get_running_loop().time
    begun = now()

    message = await watch.read()

    assert message.event == watch_pb2.WATCH_EVENT_BOOKMARK
    assert list(message.resources) == []
    assert now() - begun <= 5


async def test_others_changes_do_not_keep_a_bookmark_waiting(client: Client) -> None:
    watch = client.watch()
    await watch.told()
    now = asyncio.get_running_loop().time
    begun = now()
    reading = asyncio.ensure_future(watch.read())
    session, number = new_session(), 0

    while not reading.done():
        number += 1
        await client.heartbeat(session, start=MIDNIGHT + (number % 8) * HOUR)
        await asyncio.sleep(0.01)

    assert (await reading).event == watch_pb2.WATCH_EVENT_BOOKMARK
    assert now() - begun <= 5


async def test_a_reader_that_takes_nothing_gets_the_state_and_converges(client: Client) -> None:
    resources = [f"{number:03}-{'r' * 120}" for number in range(25)]
    stream = client.hold(new_session())
    kept: dict[str, tuple[datetime, timedelta]] = {}
    async with grpc.aio.insecure_channel(client.address, options=NARROW) as channel:
        slow = Client(channel, client.organization_id).watch(*resources)
        await slow.told()
        for step in range(100):
            kept = {
                f"{resource}/{number}-{'h' * 100}": (START + (step + number) % 8 * HOUR, HOUR)
                for resource in resources
                for number in range(4)
            }
            await stream.say(kept)
        expected = sorted(await client.spans(*resources))

        events = set()
        async with asyncio.timeout(20):
            while slow.texts() != expected:
                events.add((await slow.read()).event)

    assert events == {watch_pb2.WATCH_EVENT_CHANGES, watch_pb2.WATCH_EVENT_SNAPSHOT}


@pytest.mark.parametrize("count", [1, 100], ids=["one", "many"])
async def test_a_watch_that_is_cancelled_disturbs_nobody(client: Client, count: int) -> None:
    leaving = [client.watch() for _ in range(count)]
    staying = client.watch()
    for watch in [*leaving, staying]:
        await watch.told()

    for watch in leaving:
        watch.cancel()
    await client.heartbeat(new_session())

    assert await staying.told() == ["CHANGES", "studio-a 14:00-15:00"]


async def test_however_many_watch_a_resource_it_is_read_once(
    client: Client, store: redis.asyncio.Redis
) -> None:
    watches = [client.watch(dates=(DAY + timedelta(days=n % 5),)) for n in range(50)]
    for watch in watches:
        await watch.told()
    before: Any = await store.info("commandstats")
    async with store.monitor() as monitor:
        await client.heartbeat(new_session())
        told = [await watch.told() for watch in watches[::5]]
        await client.heartbeat(new_session(), "the-end")
        reads = []
        async for event in monitor.listen():
            reads += [event["command"]] if event["command"].startswith("XREAD") else []
            if "the-end" in event["command"]:
                break
    after: Any = await store.info("commandstats")

    assert told == [["CHANGES", "studio-a 14:00-15:00"]] * 10
    assert len({read.partition("STREAMS")[2].split()[0] for read in reads}) <= 1
    assert all(read.count(":log") == 1 for read in reads)
    # What was waited for is one answer, and what came of it was read once.
    assert after["cmdstat_xread"]["calls"] - before["cmdstat_xread"]["calls"] < 25
    assert [c["cmd"] for c in await store.client_list()].count("xread") == 1
