"""Who follows events: woken, not kept waiting by a silent store, and cheap however many."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from services.availability.app.event_feed import EventFeed
from services.availability.app.watch_bookings import Beginning, Following, WatchBookings
from services.availability.bootstrap import migrate
from services.availability.domain.booking_event import EventPage, EventPosition
from services.availability.domain.refusal import TokenExpired
from services.availability.storage.database import Database
from services.availability.storage.event import PostgresEvents
from services.availability.storage.purge import purge_events
from shared.embedded.folder import processes_in
from shared.embedded.postgres import EmbeddedPostgres
from shared.runtime.background import running
from shared.runtime.failure import StoreUnavailable
from tests.clock import ManualClock
from tests.integration.availability.database import opened, rows, settings_for
from tests.integration.availability.entry import NOW, Ledger, booking, key

SELDOM = timedelta(seconds=30)


class CountedEvents(PostgresEvents):
    """Counts what the store is asked."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.readings = 0
        self.looks = 0

    async def after(self, organization_id: str, position: EventPosition, limit: int) -> EventPage:
        self.readings += 1
        return await super().after(organization_id, position, limit)

    async def numbers(self, organization_ids: Collection[str]) -> Mapping[str, int]:
        self.looks += 1
        return await super().numbers(organization_ids)


@asynccontextmanager
async def fed(
    database: Database, *, poll: timedelta = SELDOM
) -> AsyncIterator[tuple[CountedEvents, EventFeed, WatchBookings]]:
    """A feed that runs."""
    events = CountedEvents(database)
    feed = EventFeed(events, ManualClock(NOW), poll=poll)
    async with running(feed.run()):
        yield events, feed, WatchBookings(feed)


async def collected(following: Following, count: int) -> list[EventPosition]:
    """The positions of the next events."""
    found: list[EventPosition] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += [entry.position for entry in await following.next(20)]
    return found


async def test_followers_at_one_place_share_a_reading(
    database: Database, organization: str
) -> None:
    ledger = Ledger(database)
    async with fed(database) as (events, feed, watch):

        async def follow(is_ready: asyncio.Event) -> list[EventPosition]:
            async with watch(organization, Beginning.NOW) as following:
                is_ready.set()
                return await collected(following, 10)

        ready = [asyncio.Event() for _ in range(50)]
        followers = [asyncio.create_task(follow(event)) for event in ready]
        for event in ready:
            await event.wait()
        for number in range(10):
            await ledger.book(key(organization), booking(organization, number, number + 1), b"")
            feed.ring(organization)
        found = await asyncio.gather(*followers)

    assert all(each == found[0] for each in found)
    # For each event one, and one that finds nothing; not fifty times as many.
    assert events.readings <= 40


async def test_who_is_not_rung_finds_out_by_looking(database: Database, organization: str) -> None:
    async with (
        fed(database, poll=timedelta(seconds=0.1)) as (events, _, watch),
        watch(organization, Beginning.NOW) as following,
    ):
        await Ledger(database).book(key(organization), booking(organization, 0, 1), b"")

        assert len(await collected(following, 1)) == 1
        readings, looks = events.readings, events.looks
        assert await following.next(0.5) == ()

    # Where nothing happens, all who wait cost one look each poll.
    assert events.looks > looks
    assert events.readings <= readings + 2


async def test_nobody_is_looked_for_once_all_have_left(
    database: Database, organization: str
) -> None:
    async with fed(database, poll=timedelta(seconds=0.05)) as (events, _, watch):
        async with watch(organization, Beginning.OLDEST):
            await asyncio.sleep(0.2)
        assert events.looks
        await asyncio.sleep(0.1)
        looks = events.looks
        await asyncio.sleep(0.3)

        assert events.looks == looks


async def test_a_follower_that_leaves_in_the_midst_of_a_reading_disturbs_nobody(
    database: Database, organization: str
) -> None:
    await Ledger(database).book(key(organization), booking(organization, 0, 1), b"")
    async with (
        fed(database) as (_, _, watch),
        watch(organization, Beginning.OLDEST) as leaving,
        watch(organization, Beginning.OLDEST) as staying,
    ):
        first = asyncio.create_task(leaving.next(20))
        second = asyncio.create_task(staying.next(20))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

        assert [entry.position.feed for entry in await second] == [1]


async def test_a_follower_that_is_overtaken_by_the_purge_is_told(
    database: Database, database_url: str, organization: str
) -> None:
    ledger = Ledger(database)
    async with (
        fed(database, poll=timedelta(seconds=0.1)) as (_, _, watch),
        watch(organization, Beginning.OLDEST) as following,
    ):
        for number in range(3):
            await ledger.book(key(organization), booking(organization, number, number + 1), b"")
        rows(
            database_url,
            "update outbox set created_at = now() - interval '169 hours'"
            " where organization_id = %s and feed < 3",
            organization,
        )
        await purge_events(database)

        with pytest.raises(TokenExpired):
            await following.next(5)


@pytest.mark.parametrize("is_reading", [True, False], ids=["reading", "waiting"])
async def test_a_store_that_hangs_ends_watches_within_seconds(
    data_folder: Path, organization: str, *, is_reading: bool
) -> None:
    with EmbeddedPostgres.start(data_folder) as server:
        server.create_database("hung")
        url = server.url("hung")
        migrate(settings_for(url))
        async with (
            opened(url, statement=timedelta(seconds=2)) as database,
            fed(database, poll=timedelta(seconds=0.2)) as (_, feed, watch),
            watch(organization, Beginning.NOW) as following,
        ):
            assert await following.next(0.1) == ()
            waiting = asyncio.create_task(following.next(30))
            await asyncio.sleep(0.3)
            hang(data_folder, signal.SIGSTOP)
            try:
                if is_reading:
                    feed.ring(organization)
                async with asyncio.timeout(7):
                    with pytest.raises(StoreUnavailable):
                        await waiting
            finally:
                hang(data_folder, signal.SIGCONT)

            await booked_again(database, organization)
            assert len(await collected(following, 1)) == 1


def hang(folder: Path, number: signal.Signals) -> None:
    """Stops, or continues, every process of a database."""
    for pid in processes_in(folder / "cluster"):
        with suppress(ProcessLookupError):  # those that serve a connection come and go
            os.kill(pid, number)


async def booked_again(database: Database, organization: str) -> None:
    """Books as soon as that can be done."""
    call, entry = key(organization), booking(organization, 0, 1)
    async with asyncio.timeout(20):
        while True:
            try:
                await Ledger(database).book(call, entry, b"")
            except StoreUnavailable:
                await asyncio.sleep(0.1)
            else:
                return
