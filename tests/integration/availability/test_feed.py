"""The feed as it is read back: what each transaction did, in the order of commits."""

from __future__ import annotations

import asyncio

import pytest

from services.availability.storage import feed as storage
from services.availability.storage.database import Database
from services.availability.storage.feed import PostgresFeed
from tests.integration.availability.entry import MONDAY, Ledger, booking, key

DAY = MONDAY // 96
_NEWEST = 2**62


async def test_each_transaction_is_one_change_with_the_days_as_it_left_them(
    database: Database, organization: str
) -> None:
    ledger = Ledger(database)
    first, second = booking(organization, 90, 96), booking(organization, 0, 100, resources=["b"])
    await ledger.book(key(organization), first, b"")
    await ledger.book(key(organization), second, b"")
    await ledger.cancel(key(organization, "CancelBooking"), first.booking_id)

    page = (await PostgresFeed(database).read({organization: 0}))[organization]

    found = [
        (
            change.feed,
            [(name, day - DAY, state.busy.bit_count()) for name, day, state in change.days],
        )
        for change in page.changes
    ]
    assert page.number == 3
    assert found == [
        (1, [("studio-a", 0, 6)]),
        (2, [("b", 0, 96), ("b", 1, 4)]),
        (3, [("studio-a", 0, 0)]),
    ]
    assert all(state.version == change.feed for change in page.changes for *_, state in change.days)
    assert page.changes[0].days[0].state.busy == sum(1 << quantum for quantum in range(90, 96))


async def test_only_what_came_after_is_read_of_each_organization(
    database: Database, organization: str
) -> None:
    ledger = Ledger(database)
    names = [f"{organization}-{letter}" for letter in "abc"]
    for name in names[:2]:
        for number in range(3):
            await ledger.book(key(name), booking(name, 2 * number, 2 * number + 2), b"")

    pages = await PostgresFeed(database).read({names[0]: 2, names[1]: _NEWEST, names[2]: 0})

    found = {name: (page.number, [c.feed for c in page.changes]) for name, page in pages.items()}
    assert found == {names[0]: (3, [3]), names[1]: (3, []), names[2]: (0, [])}
    assert len({page.epoch for page in pages.values()}) == 1


async def test_what_is_left_comes_with_the_next_reading(
    database: Database, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(database)
    for number in range(5):
        await ledger.book(key(organization), booking(organization, number, number + 1), b"")
    monkeypatch.setattr(storage, "_MOST_ROWS", 2)
    feed = PostgresFeed(database)

    found = []
    position = 0
    while position < 5:
        page = (await feed.read({organization: position}))[organization]
        found.append([change.feed for change in page.changes])
        position = page.changes[-1].feed

    assert found == [[1, 2], [3, 4], [5]]


async def test_a_group_is_one_change(database: Database, organization: str) -> None:
    ledger = Ledger(database)
    entries = [booking(organization, 2 * number, 2 * number + 2) for number in range(5)]

    await asyncio.gather(*(ledger.book(key(organization), entry, b"") for entry in entries))

    page = (await PostgresFeed(database).read({organization: 0}))[organization]
    busy = [change.days[0].state.busy for change in page.changes]
    assert len(busy) < len(entries)
    assert busy[-1] == (1 << 10) - 1


async def test_whoever_follows_misses_nothing_of_many_who_write(
    database: Database, organization: str
) -> None:
    ledger = Ledger(database)
    feed = PostgresFeed(database)
    followed: list[int] = []
    state: dict[int, int] = {}

    whole = {DAY: sum(3 << (12 * n + 2 * t) for n in range(8) for t in range(5))}

    async def write(number: int) -> None:
        for turn in range(5):
            entry = booking(organization, 12 * number + 2 * turn, 12 * number + 2 * turn + 2)
            await ledger.book(key(organization), entry, b"")

    async def follow() -> None:
        while state != whole:
            page = (await feed.read({organization: len(followed)}))[organization]
            for change in page.changes:
                followed.append(change.feed)
                for _, day, found in change.days:
                    assert found.busy & state.get(day, 0) == state.get(day, 0)
                    state[day] = found.busy

    async with asyncio.timeout(20):
        await asyncio.gather(follow(), *map(write, range(8)))

    assert followed == list(range(1, len(followed) + 1))
