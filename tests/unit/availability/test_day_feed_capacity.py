"""How many units pools have, in memory, as new as the days."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.availability.app.day_feed import DayFeed
from tests.unit.availability.store_model import (
    ORGANIZATION,
    StillClock,
    StoreModel,
    following,
    until,
)


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


async def units(feed: DayFeed) -> int:
    return (await feed.capacities(ORGANIZATION, ["mic"]))["mic"]


async def test_a_capacity_is_read_from_the_store_once(feed: DayFeed, store: StoreModel) -> None:
    store.resize("mic", 6)

    found = [await units(feed) for _ in range(3)]

    assert found == [6, 6, 6]
    assert store.reads == 1


async def test_one_that_was_never_set_is_one(feed: DayFeed) -> None:
    assert await units(feed) == 1


async def test_others_changes_come_with_the_feed(
    feed: DayFeed, store: StoreModel, clock: StillClock
) -> None:
    await units(feed)

    store.resize("mic", 6)
    clock.now += 1

    assert await units(feed) == 6
    assert store.reads == 1


async def test_an_own_change_is_read_at_once(feed: DayFeed, store: StoreModel) -> None:
    await units(feed)

    store.resize("mic", 6)
    feed.note(ORGANIZATION, None)

    assert await units(feed) == 6


async def test_a_change_that_overtakes_the_reading_wins(feed: DayFeed, store: StoreModel) -> None:
    await feed.fresh(ORGANIZATION)
    store.holds_days = True
    reading = asyncio.create_task(units(feed))
    await until(lambda: store.held)

    store.resize("mic", 6)
    feed.note(ORGANIZATION, None)
    await feed.fresh(ORGANIZATION)
    store.release()

    assert await reading == 6


async def test_what_the_store_lost_is_taken_back(
    feed: DayFeed, store: StoreModel, clock: StillClock
) -> None:
    store.resize("mic", 6)
    store.resize("mic", 9)
    assert await units(feed) == 9

    store.lose(1)
    store.epoch += 1
    clock.now += 1

    assert await units(feed) == 6
