"""Days for search, while answers of the store, own commits and others' overtake one another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import pytest

from services.availability.app import organization_index
from services.availability.app.day_feed import DayFeed
from services.availability.app.organization_index import (
    IndexTerms,
    OrganizationIndexes,
    StoredRange,
)
from services.availability.domain.claim import DayKey, DayState
from shared.runtime.failure import Overloaded, StoreUnavailable
from tests.unit.availability.store_model import (
    ORGANIZATION,
    StillClock,
    StoreModel,
    following,
    until,
)

FIRST: Final = 20_029  # three days before a block of the index ends
DAYS: Final = range(FIRST, FIRST + 6)
NAMES: Final = ("a", "b", "c", "d")


class RangeModel:
    """The port ``RangeReader`` over the model of a store."""

    def __init__(self, store: StoreModel) -> None:
        self.store = store
        self.reads = 0

    async def days(
        self, organization_id: str, resource_ids: Sequence[str], days: range
    ) -> StoredRange[tuple[DayKey, DayState]]:
        self.reads += 1
        number = self.store.number(organization_id)
        found = await self.store.of_resources(organization_id, resource_ids, days)
        # The model's answer is of a moment between: the number may be older, as a replica's.
        rows = [
            (DayKey(name, day), state) for name, of in found.items() for day, state in of.items()
        ]
        return StoredRange(max([number, *(state.version for _, state in rows)]), rows)

    async def capacities(
        self, organization_id: str, resource_ids: Sequence[str]
    ) -> StoredRange[tuple[str, int]]:
        return StoredRange(self.store.number(organization_id), ())


@pytest.fixture
def store() -> StoreModel:
    return StoreModel()


@pytest.fixture
def reader(store: StoreModel) -> RangeModel:
    return RangeModel(store)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def feed(store: StoreModel, clock: StillClock) -> AsyncIterator[DayFeed]:
    async with following(store, clock) as feed:
        yield feed


@asynccontextmanager
async def running(indexes: OrganizationIndexes) -> AsyncIterator[OrganizationIndexes]:
    task = asyncio.create_task(indexes.run())
    try:
        yield indexes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def indexes(
    feed: DayFeed, reader: RangeModel, clock: StillClock
) -> AsyncIterator[OrganizationIndexes]:
    async with running(OrganizationIndexes(feed, reader, monotonic=clock)) as indexes:
        yield indexes


async def busy(
    indexes: OrganizationIndexes,
    names: Sequence[str] = ("a",),
    days: range = DAYS,
    organization_id: str = ORGANIZATION,
) -> list[int]:
    """The bits of all days, end to end, of each resource."""
    view, slots = await indexes.view(organization_id, names, frozenset(), days)
    return [view.short(slot, 1) for slot in slots]


async def test_days_are_read_from_the_store_once(
    indexes: OrganizationIndexes, store: StoreModel, reader: RangeModel
) -> None:
    store.commit([("a", FIRST), ("b", FIRST + 1)], 5)

    assert await busy(indexes, ["a", "b", "c"]) == [5, 5 << 96, 0]
    assert await busy(indexes, ["b"], range(FIRST + 1, FIRST + 2)) == [5]
    assert reader.reads == 1


async def test_only_what_is_missing_is_read(
    indexes: OrganizationIndexes, store: StoreModel, reader: RangeModel
) -> None:
    await busy(indexes, ["a"])
    store.commit([("b", FIRST)], 1)

    assert await busy(indexes, ["a", "b"]) == [0, 1]
    assert await busy(indexes, ["a"], range(FIRST, FIRST + 7)) == [0]
    assert reader.reads == 3


async def test_a_search_sees_what_this_process_committed(
    indexes: OrganizationIndexes, feed: DayFeed, store: StoreModel, reader: RangeModel
) -> None:
    await busy(indexes)

    feed.note(ORGANIZATION, store.commit([("a", FIRST)], 1))

    assert await busy(indexes) == [1]
    assert reader.reads == 1


async def test_a_search_sees_what_others_committed_a_second_ago(
    indexes: OrganizationIndexes, store: StoreModel, clock: StillClock
) -> None:
    await busy(indexes)
    store.commit([("a", FIRST)], 1)

    clock.now += 1

    assert await busy(indexes) == [1]


async def test_a_change_that_comes_while_the_store_is_read_is_not_lost(
    indexes: OrganizationIndexes, feed: DayFeed, store: StoreModel
) -> None:
    await busy(indexes, ["b"])
    store.holds_days = True
    search = asyncio.create_task(busy(indexes))
    await until(lambda: store.held)

    feed.note(ORGANIZATION, store.commit([("a", FIRST)], 1))
    assert await busy(indexes, ["b"]) == [0]
    store.holds_days = False
    store.release()

    assert await search == [1]


async def test_searches_at_once_share_a_reading(
    indexes: OrganizationIndexes, reader: RangeModel
) -> None:
    await asyncio.gather(*(busy(indexes, NAMES) for _ in range(5)))

    assert reader.reads == 1


async def test_whoever_leaves_does_not_stop_the_others(
    indexes: OrganizationIndexes, store: StoreModel
) -> None:
    store.commit([("a", FIRST)], 1)
    store.holds_days = True
    first, second = (asyncio.create_task(busy(indexes)) for _ in range(2))
    await until(lambda: store.held)

    first.cancel()
    store.holds_days = False
    await asyncio.gather(first, return_exceptions=True)
    store.release()

    assert await second == [1]


async def test_days_that_were_lost_are_forgotten(
    indexes: OrganizationIndexes, store: StoreModel, clock: StillClock
) -> None:
    store.commit([("b", FIRST)], 1)
    store.commit([("a", FIRST)], 1)
    assert await busy(indexes) == [1]
    store.lose(1)
    store.epoch += 1

    clock.now += 1

    assert await busy(indexes) == [0]


async def test_a_silent_store_is_told_and_survived(
    indexes: OrganizationIndexes, store: StoreModel, clock: StillClock
) -> None:
    await busy(indexes)
    store.fails = True
    clock.now += 3
    with pytest.raises(StoreUnavailable):
        await busy(indexes)
    store.commit([("a", FIRST)], 1)

    store.fails = False

    assert await busy(indexes) == [1]


async def test_more_changes_than_may_wait_are_read_anew(
    monkeypatch: pytest.MonkeyPatch,
    feed: DayFeed,
    store: StoreModel,
    reader: RangeModel,
    clock: StillClock,
) -> None:
    monkeypatch.setattr(organization_index, "_MOST_WAITING", 3)
    indexes = OrganizationIndexes(feed, reader, monotonic=clock)
    await busy(indexes)
    for bit in range(6):
        store.commit([("a", FIRST)], 1 << bit)

    clock.now += 1

    assert await busy(indexes) == [0b111111]
    assert reader.reads == 2


async def test_idle_days_are_forgotten_and_no_longer_followed(
    monkeypatch: pytest.MonkeyPatch,
    feed: DayFeed,
    store: StoreModel,
    reader: RangeModel,
    clock: StillClock,
) -> None:
    monkeypatch.setattr(organization_index, "_TICK_SECONDS", 0)
    async with running(OrganizationIndexes(feed, reader, monotonic=clock)) as indexes:
        await busy(indexes)
        assert indexes.size > 0

        clock.now += 61
        await until(lambda: not len(indexes))

        assert indexes.size == 0
        store.commit([("a", FIRST)], 1)
        assert await busy(indexes) == [1]


async def test_what_was_searched_longest_ago_makes_room(
    feed: DayFeed, reader: RangeModel, clock: StillClock
) -> None:
    one = 32 * 12
    terms = IndexTerms(most_bytes=2 * one)
    indexes = OrganizationIndexes(feed, reader, terms, monotonic=clock)
    day = range(FIRST, FIRST + 1)
    for name in ("x", "y", "x", "z"):
        clock.now += 1
        await busy(indexes, ["a"], day, name)
        assert indexes.size <= 2 * one
    assert reader.reads == 3

    await busy(indexes, ["a"], day, "x")
    assert reader.reads == 3
    await busy(indexes, ["a"], day, "y")
    assert reader.reads == 4


async def test_more_than_may_be_kept_is_refused(
    feed: DayFeed, reader: RangeModel, clock: StillClock
) -> None:
    terms = IndexTerms(timedelta(minutes=1), most_bytes=1_000)
    indexes = OrganizationIndexes(feed, reader, terms, monotonic=clock)

    with pytest.raises(Overloaded):
        await busy(indexes, NAMES)

    assert reader.reads == 0


async def test_what_stops_is_no_longer_followed(
    feed: DayFeed, reader: RangeModel, clock: StillClock
) -> None:
    async with running(OrganizationIndexes(feed, reader, monotonic=clock)) as indexes:
        await busy(indexes)

    assert len(indexes) == 0


@pytest.mark.parametrize("seed", range(12))
async def test_no_search_is_behind_whatever_happens(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    source = random.Random(seed)
    monkeypatch.setattr(organization_index, "_DAYS_A_READING", source.choice((1, 6, 1_000)))
    monkeypatch.setattr(organization_index, "_MOST_WAITING", source.choice((2, 1_000)))
    monkeypatch.setattr(organization_index, "_TICK_SECONDS", 0)
    store, clock = StoreModel(), StillClock()
    store.jitter, store.page_size = source, source.choice((1, 2, 1_000))
    own: list[int] = [0]

    async def search(indexes: OrganizationIndexes) -> None:
        names = source.sample(NAMES, source.randrange(1, 5))
        first = source.choice(DAYS)
        days = range(first, min(first + source.randrange(1, 4), DAYS.stop))
        epoch, least = store.epoch, own[0]
        found = await busy(indexes, names, days)
        if epoch == store.epoch:
            assert any(
                found == truth(store, number, names, days)
                for number in range(least, store.number() + 1)
            )

    async with (
        following(store, clock) as feed,
        running(OrganizationIndexes(feed, RangeModel(store), monotonic=clock)) as indexes,
    ):
        searches: list[asyncio.Task[None]] = []
        for _ in range(150):
            step = source.random()
            if step < 0.3:
                days = {(source.choice(NAMES), source.choice(DAYS)) for _ in range(2)}
                changed = store.commit(days, 1 << source.randrange(96))
                if source.random() < 0.7:
                    feed.note(ORGANIZATION, changed)
                    own[0] = store.number()
            elif step < 0.7:
                searches.append(asyncio.create_task(search(indexes)))
            elif step < 0.8:
                clock.now += source.choice((0.1, 1, 70))
            elif step < 0.82 and store.number():
                own[0] = 0
                store.lose(1)
                store.epoch += 1
                clock.now += 1
            for _ in range(source.randrange(8)):
                await asyncio.sleep(0)
        await asyncio.gather(*searches)


def truth(store: StoreModel, number: int, names: Sequence[str], days: range) -> list[int]:
    """What ``busy`` finds after so many commits."""
    states = store.state_at(number)
    return [
        sum(
            states[name, day].busy << (day - days.start) * 96
            for day in days
            if (name, day) in states
        )
        for name in names
    ]
