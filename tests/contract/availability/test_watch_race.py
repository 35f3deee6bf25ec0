"""WatchDays under fire: whatever the timing, whoever folds the messages has what is stored."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import cast

import grpc
import pytest

from holdfast.availability.v1 import booking_pb2
from tests.contract.availability.watching import Watcher, stored, watching
from tests.contract.availability.world import HOUR, Caller, FakeCatalog, length, read_refusal

MONDAY = date(2027, 3, 8)
DAY = timedelta(days=1)
DATES = [MONDAY + offset * DAY for offset in range(5)]
STUDIOS = ["studio-a", "studio-b"]
MIDNIGHT = datetime(2027, 3, 8, tzinfo=UTC)
MARKER = MIDNIGHT + 4 * DAY


@pytest.fixture
def booker(caller: Caller, catalog: FakeCatalog) -> Caller:
    """Whoever may book two studios, from an hour to days."""
    for resource_id in STUDIOS:
        catalog.offer(
            caller.organization_id,
            resource_id,
            flexible_duration={
                "minimum": length(HOUR),
                "maximum": length(4 * DAY),
                "step": length(HOUR),
            },
        )
    return caller


@pytest.fixture
async def narrow(booker: Caller) -> AsyncIterator[Caller]:
    """The same caller on a connection that holds a few messages, and then waits to be read."""
    options = [("grpc.http2.lookahead_bytes", 1_024), ("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(booker.address, options=options) as channel:
        yield Caller(channel, booker.organization_id)


class Crowd:
    """Books and cancels at random: always a day and a night, from some hour of the first date
    or the third to the same hour of the next one.
    """

    def __init__(self, booker: Caller, seed: int) -> None:
        self._booker = booker
        self._seed = seed
        self._made: list[str] = []
        self.changes = 0

    async def act(self, clients: int, turns: int) -> None:
        """Every client at once."""
        await asyncio.gather(*(self._client(number, turns) for number in range(clients)))

    async def _client(self, number: int, turns: int) -> None:
        source = random.Random(f"{self._seed}:{number}")
        for _ in range(turns):
            if self._made and source.random() < 0.6:
                await self._booker.cancel(self._made.pop(source.randrange(len(self._made))))
            else:
                start = MIDNIGHT + source.choice([0, 2]) * DAY + source.randrange(24) * HOUR
                request = self._booker.order(start, DAY, items=[item(source.choice(STUDIOS))])
                try:
                    answer = await self._booker.send("CreateBooking", request)
                except grpc.aio.AioRpcError as error:
                    if read_refusal(error).reason != "SLOT_UNAVAILABLE":
                        raise
                    continue
                self._made.append(answer.booking.booking_id)
            self.changes += 1


def item(resource_id: str) -> booking_pb2.BookingItem:
    return booking_pb2.BookingItem(resource_id=resource_id)


def assert_no_half_is_seen(watcher: Watcher) -> None:
    """A booking takes of its second date what it leaves of its first."""
    for resource_id in STUDIOS:
        for first, second in (DATES[:2], DATES[2:4]):
            taken = watcher.busy(resource_id, first) + watcher.busy(resource_id, second)
            assert sorted(taken) in ([], list(range(96)))


def is_over(watcher: Watcher | None) -> bool:
    """Whether the last booking of all was told."""
    return watcher is not None and bool(watcher.state and watcher.busy("studio-a", DATES[4]))


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_the_timing_a_watcher_has_what_is_stored(booker: Caller, seed: int) -> None:
    crowd = Crowd(booker, seed)
    source = random.Random(seed)
    ended: list[Watcher] = []

    async def steady() -> None:
        async with watching(booker, STUDIOS, DATES) as watcher:
            while not is_over(watcher):
                await watcher.next()
                assert_no_half_is_seen(watcher)
        ended.append(watcher)

    async def restless() -> None:
        watcher: Watcher | None = None
        while not is_over(watcher):
            async with watching(booker, STUDIOS, DATES, after=watcher) as watcher:
                for _ in range(source.randrange(1, 6)):
                    await watcher.next()
                    assert_no_half_is_seen(watcher)
                    if is_over(watcher):
                        break
        ended.append(cast("Watcher", watcher))

    async def latecomers() -> None:
        watcher: Watcher | None = None
        while not is_over(watcher):
            async with watching(booker, STUDIOS, DATES) as watcher:
                await watcher.next()
                assert_no_half_is_seen(watcher)
        ended.append(cast("Watcher", watcher))

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(steady())
            group.create_task(restless())
            group.create_task(latecomers())
        await crowd.act(clients=8, turns=12)
        await booker.book(MARKER)

    expected = await stored(booker, STUDIOS, DATES)
    assert crowd.changes > 30
    assert len(ended) == 6
    assert all(watcher.state == expected for watcher in ended)
    assert (await booker.verification()).difference_count == 0


async def test_a_reader_that_stops_gets_the_state_and_goes_on_from_it(
    booker: Caller, narrow: Caller
) -> None:
    async with (
        watching(narrow, STUDIOS, DATES) as slow,
        watching(booker, STUDIOS, DATES) as quick,
    ):
        await slow.next()
        await quick.next()
        for _ in range(60):
            booking = await booker.book(MIDNIGHT, 4 * DAY)
            await booker.cancel(booking.booking_id)
        await quick.until(120)

        await slow.until(120)
        await booker.book(MARKER)
        told = await slow.next()

    # What it did not take was not kept for it.
    assert "SNAPSHOT" in [message.event for message in slow.messages[1:]]
    assert len(slow.messages) < 110
    assert (told.event, told.after) == ("CHANGES", 120)
    assert slow.state == await stored(booker, STUDIOS, DATES)
    # And nobody else waited for it.
    assert [message.version for message in quick.messages] == list(range(121))
