"""Days in memory, while answers of the store, own commits and others' overtake one another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from services.availability.app import day_feed
from services.availability.app.day_feed import DayFeed
from services.availability.app.organization_days import OrganizationDays
from services.availability.domain.claim import FREE, DayState
from services.availability.domain.day_change import DayChange
from shared.runtime.failure import StoreUnavailable
from shared.runtime.mailbox import Changed, Mailbox, Stale
from tests.unit.availability.store_model import (
    ORGANIZATION,
    StillClock,
    StoreModel,
    following,
    until,
)

DAY = 20_000
DAYS = range(DAY, DAY + 3)


@pytest.fixture
def store() -> StoreModel:
    return StoreModel()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def feed(store: StoreModel, clock: StillClock) -> AsyncIterator[DayFeed]:
    async with following(store, clock) as feed:
        yield feed


async def read(feed: DayFeed, resource_id: str = "a") -> Mapping[int, DayState]:
    return await feed.of_resource(ORGANIZATION, resource_id, DAYS)


def busy(states: Mapping[int, DayState]) -> list[int]:
    return [states[day].busy for day in DAYS]


async def test_a_day_is_read_from_the_store_once(feed: DayFeed, store: StoreModel) -> None:
    store.commit([("a", DAY)], 1)

    first, again = await read(feed), await read(feed)

    assert busy(first) == busy(again) == [1, 0, 0]
    assert store.reads == 1


async def test_no_days_are_read_from_nowhere(feed: DayFeed, store: StoreModel) -> None:
    assert await feed.of_resource(ORGANIZATION, "a", range(DAY, DAY)) == {}
    assert await feed.of_resources(ORGANIZATION, ["a"], range(DAY, DAY)) == {"a": {}}
    assert store.reads == 0


async def test_an_own_commit_is_read_at_once(feed: DayFeed, store: StoreModel) -> None:
    await read(feed)

    feed.note(ORGANIZATION, store.commit([("a", DAY), ("a", DAY + 1)], 1))

    assert busy(await read(feed)) == [1, 1, 0]
    assert store.reads == 1


async def test_an_own_commit_stays_when_the_feed_has_brought_it(
    feed: DayFeed, store: StoreModel, clock: StillClock
) -> None:
    await read(feed)
    feed.note(ORGANIZATION, store.commit([("a", DAY)], 1))

    clock.now += 1

    assert busy(await read(feed)) == [1, 0, 0]
    assert store.reads == 1


async def test_what_others_committed_is_read_within_a_second(
    feed: DayFeed, store: StoreModel, clock: StillClock
) -> None:
    await read(feed)
    store.commit([("a", DAY)], 1)

    clock.now += 1

    assert busy(await read(feed)) == [1, 0, 0]


async def test_a_doubt_makes_the_next_read_ask(feed: DayFeed, store: StoreModel) -> None:
    await read(feed)
    store.commit([("a", DAY)], 1)

    feed.note(ORGANIZATION, None)

    assert busy(await read(feed)) == [1, 0, 0]


async def test_a_reading_that_began_before_a_doubt_does_not_settle_it(
    feed: DayFeed, store: StoreModel, clock: StillClock
) -> None:
    await read(feed)
    store.holds_feed = True
    clock.now += 1
    waiting = asyncio.create_task(read(feed))
    await until(lambda: store.held)

    clock.now += 0.1
    store.commit([("a", DAY)], 1)
    feed.note(ORGANIZATION, None)
    store.holds_feed = False
    store.release()

    await waiting
    assert busy(await read(feed)) == [1, 0, 0]


async def test_a_fill_older_than_an_own_commit_loses(feed: DayFeed, store: StoreModel) -> None:
    store.holds_days = True
    reading = asyncio.create_task(read(feed))
    await until(lambda: store.held)

    feed.note(ORGANIZATION, store.commit([("a", DAY)], 1))
    store.release()

    assert busy(await reading) == [1, 0, 0]
    assert busy(await read(feed)) == [1, 0, 0]


async def test_a_fill_older_than_what_the_feed_brought_loses(
    feed: DayFeed, store: StoreModel, clock: StillClock
) -> None:
    await feed.of_resource(ORGANIZATION, "b", DAYS)
    store.holds_days = True
    reading = asyncio.create_task(read(feed))
    await until(lambda: store.held)

    store.commit([("a", DAY)], 1)
    store.commit([("a", DAY + 1)], 1)
    clock.now += 1
    await feed.of_resource(ORGANIZATION, "b", DAYS)  # makes the feed catch up
    store.release()

    assert busy(await reading) == [1, 1, 0]


async def test_a_fill_newer_than_the_feed_is_not_undone_by_it(
    feed: DayFeed, store: StoreModel, clock: StillClock
) -> None:
    await feed.of_resource(ORGANIZATION, "b", DAYS)
    store.commit([("a", DAY)], 1)
    store.commit([("a", DAY)], 2)

    filled = await read(feed)  # by the store; the feed has brought neither change
    store.page_size = 1
    clock.now += 1
    later = await read(feed)

    assert busy(filled) == busy(later) == [3, 0, 0]


async def test_reads_fail_while_the_store_does_and_are_never_old_after(
    feed: DayFeed, store: StoreModel, clock: StillClock
) -> None:
    await read(feed)
    store.commit([("a", DAY)], 1)
    store.fails = True
    clock.now += 1

    with pytest.raises(StoreUnavailable):
        await read(feed)
    store.fails = False

    assert busy(await read(feed)) == [1, 0, 0]


async def test_a_reader_that_leaves_takes_nobody_along(
    feed: DayFeed, store: StoreModel, clock: StillClock
) -> None:
    store.holds_feed = True
    leaving, staying = asyncio.create_task(read(feed)), asyncio.create_task(read(feed))
    await until(lambda: store.held)

    leaving.cancel()
    store.holds_feed = False
    store.release()

    assert busy(await staying) == [0, 0, 0]


class Watcher:
    """Follows days and folds what it is told."""

    def __init__(self, known: OrganizationDays, mailbox: Mailbox[str, DayChange]) -> None:
        self._known = known
        self._mailbox = mailbox
        self.version = known.position
        self.state = self.stored()
        self.resets = 0

    def stored(self) -> dict[tuple[str, int], DayState]:
        found = {("a", day): self._known.state("a", day) for day in DAYS}
        return {key: state for key, state in found.items() if state != FREE}

    async def hear(self) -> bool:
        """Takes the next update, if there is one."""
        found = await self._mailbox.take(0)
        if isinstance(found, Changed):
            if found.update.feed > self.version:
                assert found.update.feed == self.version + 1
                self.version = found.update.feed
                self.state |= {
                    (name, day): state
                    for name, day, state in found.update.days
                    if name == "a" and day in DAYS
                }
        elif isinstance(found, Stale):
            self.version = self._known.position
            self.state = self.stored()
            self.resets += found.is_reset
        return found is not None


def watched(feed: DayFeed, mailbox: Mailbox[str, DayChange], **options: Any) -> Any:
    return feed.watched(ORGANIZATION, {"a": DAYS}, mailbox, **options)


async def test_a_watch_opens_at_one_moment_though_an_own_commit_is_ahead_of_the_feed(
    feed: DayFeed, store: StoreModel
) -> None:
    await read(feed)
    store.commit([("a", DAY)], 1)  # another's, which the feed has not brought
    feed.note(ORGANIZATION, store.commit([("a", DAY)], 2))

    mailbox = Mailbox[str, DayChange]()
    async with watched(feed, mailbox) as known:
        watcher = Watcher(known, mailbox)
        assert watcher.state == store.state_at(watcher.version)
        feed.ring(ORGANIZATION)
        while watcher.version < store.number():
            await asyncio.sleep(0)
            await watcher.hear()
            assert watcher.state == store.state_at(watcher.version)


async def test_a_watch_opens_at_one_moment_though_the_fill_is_ahead_of_the_feed(
    feed: DayFeed, store: StoreModel
) -> None:
    await feed.of_resource(ORGANIZATION, "b", DAYS)
    store.commit([("b", DAY)], 1)
    store.commit([("a", DAY)], 1)

    mailbox = Mailbox[str, DayChange]()
    async with watched(feed, mailbox) as known:
        watcher = Watcher(known, mailbox)

        assert watcher.version == 2
        assert watcher.state == {("a", DAY): DayState(1, 2)}


async def test_a_fill_for_a_read_does_not_move_a_watched_day_past_its_feed(
    feed: DayFeed, store: StoreModel
) -> None:
    mailbox = Mailbox[str, DayChange](limit=1)
    await feed.of_resource(ORGANIZATION, "b", DAYS)
    store.holds_days = True
    reading = asyncio.create_task(read(feed))
    await until(lambda: store.held)
    store.holds_days = False
    async with watched(feed, mailbox) as known:
        store.commit([("a", DAY)], 1)
        store.release()
        await reading

        assert known.position == 0
        assert known.state("a", DAY) == FREE


async def test_a_watch_that_knows_of_more_waits_for_it(feed: DayFeed, store: StoreModel) -> None:
    await read(feed)
    store.page_size = 1
    for bit in (1, 2, 4):
        store.commit([("a", DAY)], bit)

    mailbox = Mailbox[str, DayChange]()
    async with watched(feed, mailbox, at_least=3) as known:
        assert known.position == 3
        assert known.state("a", DAY) == DayState(7, 3)


LOSSES = {
    "the number went back": (1, 0, 1),
    "as many were made again": (2, 2, 2),
    "more were made again": (1, 3, 2),
}


@pytest.mark.parametrize(("lost", "made", "epoch"), LOSSES.values(), ids=LOSSES)
async def test_what_the_store_lost_is_forgotten_and_told_as_a_reset(
    feed: DayFeed, store: StoreModel, clock: StillClock, lost: int, made: int, epoch: int
) -> None:
    for bit in (1, 2, 4):
        store.commit([("a", DAY)], bit)
    mailbox = Mailbox[str, DayChange]()
    async with watched(feed, mailbox) as known:
        watcher = Watcher(known, mailbox)
        store.lose(lost)
        for number in range(made):
            store.commit([("a", DAY + 1)], 8 << number)
        store.epoch = epoch

        feed.ring(ORGANIZATION)
        await until(lambda: known.epoch == epoch and known.position == store.number())
        while await watcher.hear():
            pass

        assert watcher.resets == 1
        assert watcher.state == store.state_at(store.number())
        clock.now += 1
        assert {("a", day): state for day, state in (await read(feed)).items()} == {
            ("a", day): store.state_at(store.number()).get(("a", day), FREE) for day in DAYS
        }


async def test_an_own_commit_that_the_store_lost_is_forgotten(
    feed: DayFeed, store: StoreModel, clock: StillClock
) -> None:
    await read(feed)
    feed.note(ORGANIZATION, store.commit([("a", DAY)], 1))
    store.lose(1)

    clock.now += 1

    assert busy(await read(feed)) == [0, 0, 0]


async def test_a_skipped_feed_number_is_a_reset(feed: DayFeed, store: StoreModel) -> None:
    mailbox = Mailbox[str, DayChange]()
    async with watched(feed, mailbox) as known:
        watcher = Watcher(known, mailbox)
        store.commit([("a", DAY)], 1)
        first = store.log[ORGANIZATION]
        store.commit([("a", DAY)], 2)
        whole = list(first)
        read_all = store.read

        async def without_the_first(positions: Mapping[str, int]) -> Any:
            pages = dict(await read_all(positions))
            page = pages[ORGANIZATION]
            if positions[ORGANIZATION] == 0:
                kept = [change for change in page.changes if change.feed > 1]
                pages[ORGANIZATION] = type(page)(page.epoch, page.number, kept)
            return pages

        store.read = without_the_first  # type: ignore[method-assign]  # a store that lost a row
        feed.ring(ORGANIZATION)
        await until(lambda: known.position == len(whole))
        while await watcher.hear():
            pass

        assert watcher.resets == 1
        assert watcher.state == store.state_at(2)


async def test_watches_end_when_the_store_is_silent_for_long(
    feed: DayFeed, store: StoreModel, clock: StillClock
) -> None:
    mailbox = Mailbox[str, DayChange]()
    async with watched(feed, mailbox):
        store.fails = True
        feed.ring(ORGANIZATION)
        await asyncio.sleep(0)
        assert await mailbox.take(0) is None

        clock.now += 2.1
        feed.ring(ORGANIZATION)

        with pytest.raises(StoreUnavailable):
            async with asyncio.timeout(10):
                await mailbox.take(10)


async def test_memory_is_bounded_and_watched_days_stay(
    store: StoreModel, clock: StillClock
) -> None:
    mailbox = Mailbox[str, DayChange]()
    async with following(store, clock, most=30) as feed, watched(feed, mailbox) as known:
        for number in range(200):
            organization = f"org-{number % 7}"
            await feed.of_resource(organization, f"r{number}", DAYS)
            held = sum(each.count for each in feed._known.values())
            assert held <= 30 + len(DAYS) + 3

        assert [known.state("a", day) for day in DAYS] == [FREE] * 3


async def test_watched_days_take_no_room_from_others(store: StoreModel, clock: StillClock) -> None:
    mailbox = Mailbox[str, DayChange]()
    async with following(store, clock, most=2) as feed, watched(feed, mailbox):
        for name in ("x", "y"):
            await feed.of_resource(ORGANIZATION, name, range(DAY, DAY + 1))
        reads = store.reads
        for name in ("x", "y"):
            await feed.of_resource(ORGANIZATION, name, range(DAY, DAY + 1))

    assert store.reads == reads


async def test_a_large_organization_crowds_out_no_small_one(
    store: StoreModel, clock: StillClock
) -> None:
    async with following(store, clock, most=30) as feed:
        await feed.of_resource("busy", "a", DAYS)
        for number in range(60):
            await feed.of_resource("large", f"r{number}", range(DAY, DAY + 1))
            clock.now += 0.01
            await feed.of_resource("busy", "a", DAYS)

    assert store.reads == 61


async def test_an_organization_that_nobody_asks_for_is_dropped(
    store: StoreModel, clock: StillClock
) -> None:
    async with following(store, clock, idle=60) as feed:
        await read(feed)
        clock.now += 3_601  # past the next poll

        await feed.of_resource("other", "a", DAYS)

        assert list(feed._known) == ["other"]


async def test_readers_at_once_share_a_look_at_the_feed(
    feed: DayFeed, store: StoreModel, clock: StillClock
) -> None:
    await read(feed)
    looks = 0
    look = store.read

    async def counted(positions: Mapping[str, int]) -> Any:
        nonlocal looks
        looks += 1
        return await look(positions)

    store.read = counted  # type: ignore[method-assign]  # to count
    clock.now += 1

    await asyncio.gather(*(read(feed) for _ in range(50)))

    assert looks <= 2
    assert day_feed._FRESH_SECONDS < 1
