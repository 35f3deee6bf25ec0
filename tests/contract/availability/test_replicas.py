"""Several servers on one database: what one commits, the others know within a second."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.availability.bootstrap import wired
from shared.embedded.valkey import EmbeddedValkey
from shared.runtime.server import started
from tests.contract.availability.conftest import Serve, StillSettings
from tests.contract.availability.watching import Key, Seen, stored, watching
from tests.contract.availability.world import HOUR, Caller, FakeCatalog

MONDAY = date(2027, 3, 8)
DAY = timedelta(days=1)
DATES = [MONDAY + offset * DAY for offset in range(3)]
MIDNIGHT = datetime(2027, 3, 8, tzinfo=UTC)
# The longest that may be set: a look at the store alone would take half of it on average.
SELDOM = 0.7
BOUND = 1.0

Replicas = Callable[..., AbstractAsyncContextManager[tuple[Caller, Caller]]]


@pytest.fixture
def replicas(
    serve: Serve, shared_catalog: tuple[FakeCatalog, str], caller: Caller, catalog: FakeCatalog
) -> Replicas:
    """``replicas(redis_url)``: two servers, and a caller of the same organization at each."""
    catalog.offer(caller.organization_id)

    @asynccontextmanager
    async def run(redis_url: str | None) -> AsyncIterator[tuple[Caller, Caller]]:
        settings: dict[str, Any] = {"redis_url": redis_url, "day_poll_seconds": SELDOM}
        address = shared_catalog[1]
        async with serve(address, **settings) as one, serve(address, **settings) as other:
            one.organization_id = other.organization_id = caller.organization_id
            yield one, other

    return run


@pytest.fixture
def mortal_valkey(data_folder: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey that a test may stop."""
    server = EmbeddedValkey.start(data_folder / "valkey")
    yield server
    if server.process.exit_code() is None:
        os.kill(server.process.pid, signal.SIGCONT)
    server.stop()


def now() -> float:
    return asyncio.get_running_loop().time()


async def delays(writer: Caller, reader: Caller, hours: range) -> list[float]:
    """How long each booking at one server takes to reach a watch at the other."""
    found = []
    async with watching(reader, ["studio-a"], DATES) as watcher:
        await watcher.next()
        for hour in hours:
            await writer.book(MIDNIGHT + hour * HOUR)
            committed = now()
            while 4 * (hour % 24) not in watcher.busy("studio-a", DATES[hour // 24]):
                await watcher.next()
            found.append(now() - committed)
    return found


async def test_a_booking_at_one_server_is_told_at_the_other_by_the_notice(
    replicas: Replicas, valkey_url: str
) -> None:
    async with replicas(valkey_url) as (one, other):
        found = await delays(one, other, range(15))

    # Each waits for the message before: looking alone would take them 0.7 s.
    assert statistics.median(found) < SELDOM / 4


async def test_without_notices_it_is_told_within_a_second(replicas: Replicas) -> None:
    async with replicas(None) as (one, other):
        found = await delays(one, other, range(3))

    assert statistics.median(found) < BOUND
    assert max(found) > 0.1, "nobody looked seldom: the tests of notices prove nothing"


@pytest.mark.parametrize("trouble", [signal.SIGKILL, signal.SIGSTOP], ids=["gone", "hung"])
async def test_bookings_and_watches_do_without_valkey(
    replicas: Replicas, mortal_valkey: EmbeddedValkey, trouble: signal.Signals
) -> None:
    async with replicas(mortal_valkey.url) as (one, other):
        await delays(one, other, range(1))
        os.kill(mortal_valkey.process.pid, trouble)
        begun = now()
        for hour in range(24, 44):
            await one.book(MIDNIGHT + hour * HOUR)
        per_booking = (now() - begun) / 20

        found = await delays(one, other, range(44, 47))

    assert statistics.median(found) < BOUND
    assert per_booking < BOUND / 4


async def test_no_read_that_begins_a_second_later_is_without_a_commit(replicas: Replicas) -> None:
    commits: dict[int, float] = {}
    answers: list[tuple[float, set[int]]] = []
    over = asyncio.Event()

    async def read(reader: Caller, question: str) -> None:
        while not over.is_set():
            begun = now()
            if question == "GetDays":
                quanta = (await reader.busy(MONDAY, MONDAY))[MONDAY]
                answers.append((begun, {quantum // 4 for quantum in quanta}))
            else:
                free = {start.hour for start in await reader.starts(MONDAY)}
                answers.append((begun, set(range(24)) - free))
            await asyncio.sleep(0.01)

    async with replicas(None) as (one, other), asyncio.TaskGroup() as group:
        group.create_task(read(other, "GetDays"))
        group.create_task(read(other, "GetDaySlots"))
        for hour in range(20):
            await one.book(MIDNIGHT + hour * HOUR)
            commits[hour] = now()
            await asyncio.sleep(0.03)
        await asyncio.sleep(BOUND + 0.1)
        over.set()

    for begun, taken in answers:
        assert {hour for hour, at in commits.items() if begun >= at + BOUND} <= taken
    assert answers[-1][1] == answers[-2][1] == set(range(20))
    # Memory answered at least once with what had already changed, or this would prove nothing.
    assert any(
        not {hour for hour, at in commits.items() if begun >= at} <= taken
        for begun, taken in answers
    )


async def test_an_answer_kept_for_a_second_is_not_given_again(replicas: Replicas) -> None:
    async with replicas(None) as (one, other):
        assert await other.busy(MONDAY, MONDAY) == {MONDAY: []}
        await one.book(MIDNIGHT)
        await asyncio.sleep(BOUND)

        days, starts = await asyncio.gather(other.busy(MONDAY, MONDAY), other.starts(MONDAY))

    assert days == {MONDAY: [0, 1, 2, 3]}
    assert MIDNIGHT not in starts


async def test_whoever_booked_sees_it_at_once(replicas: Replicas) -> None:
    async with replicas(None) as (one, _):
        await asyncio.gather(one.busy(MONDAY, DATES[-1]), *(one.starts(day) for day in DATES))

        async def book_look_cancel_look(number: int) -> None:
            start = MIDNIGHT + number * HOUR
            quanta = {4 * start.hour + quarter for quarter in range(4)}
            day = start.date()
            booking = await one.book(start)
            starts, busy = await asyncio.gather(one.starts(day), one.busy(day, day))
            assert start not in starts
            assert quanta <= set(busy[day])
            await one.cancel(booking.booking_id)
            starts, busy = await asyncio.gather(one.starts(day), one.busy(day, day))
            assert start in starts
            assert not quanta & set(busy[day])

        await asyncio.gather(*map(book_look_cancel_look, range(50)))


async def test_whoever_booked_and_then_watches_sees_it_in_the_snapshot(replicas: Replicas) -> None:
    async with replicas(None) as (one, _):
        for hour in range(10):
            await one.book(MIDNIGHT + hour * HOUR)
            async with watching(one, ["studio-a"], [MONDAY]) as watcher:
                await watcher.next()

            assert len(watcher.busy("studio-a", MONDAY)) == 4 * (hour + 1)


async def test_watches_at_both_servers_are_told_the_same(
    replicas: Replicas, valkey_url: str
) -> None:
    async with (
        replicas(valkey_url) as (one, other),
        watching(one, ["studio-a"], DATES) as here,
        watching(other, ["studio-a"], DATES) as there,
    ):
        await here.next()
        await there.next()
        await asyncio.gather(
            *((one, other)[hour % 2].book(MIDNIGHT + hour * HOUR) for hour in range(40))
        )
        expected = await stored(one, ["studio-a"], DATES)
        newest = max(version for _, version in expected.values())
        await here.until(newest)
        await there.until(newest)

    told = [
        [(message.version, message.days) for message in each.messages] for each in (here, there)
    ]
    assert told[0] == told[1]
    assert [version for version, _ in told[0]] == list(range(newest + 1))
    assert here.state == expected


async def test_a_watch_that_a_draining_server_ends_goes_on_at_another(
    availability_url: str,
    shared_catalog: tuple[FakeCatalog, str],
    caller: Caller,
    catalog: FakeCatalog,
) -> None:
    catalog.offer(caller.organization_id)
    settings = StillSettings(
        postgres_url=availability_url, catalog_address=shared_catalog[1], throwaway_data=True
    )
    leaving = started(settings, wired)
    server = await leaving.__aenter__()
    async with grpc.aio.insecure_channel(server.address) as channel:
        there = Caller(channel, caller.organization_id)
        async with watching(there, ["studio-a"], [MONDAY]) as watcher:
            await watcher.next()
            await caller.book(MIDNIGHT)
            await watcher.until(1)
            _, refusal = await asyncio.gather(
                leaving.__aexit__(None, None, None), watcher.refusal()
            )
    await caller.book(MIDNIGHT + HOUR)

    async with watching(caller, ["studio-a"], [MONDAY], after=watcher) as resumed:
        told = await resumed.next()

    assert refusal.code is grpc.StatusCode.UNAVAILABLE
    assert (told.event, told.after, told.version) == ("CHANGES", 1, 2)
    assert dict(told.days) == {Key("studio-a", MONDAY): Seen(list(range(8)), 2)}
