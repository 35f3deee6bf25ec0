"""The feed as it is read back: what each transaction did, in the order of commits."""

from __future__ import annotations

import asyncio

import pytest

from services.availability.storage import feed as storage
from services.availability.storage.database import Database
from services.availability.storage.feed import PostgresFeed
from services.availability.storage.ledger import PostgresLedger
from tests.integration.availability.database import rows
from tests.integration.availability.entry import MONDAY, booking, cancelled, key

DAY = MONDAY // 96
_NEWEST = 2**62


async def test_each_transaction_is_one_change_with_the_days_as_it_left_them(
    database: Database, organization: str
) -> None:
    ledger = PostgresLedger(database)
    first, second = booking(organization, 90, 96), booking(organization, 0, 100, resources=["b"])
    await ledger.create(key(organization), first, b"")
    await ledger.create(key(organization), second, b"")
    await ledger.change(key(organization, "CancelBooking"), first.booking_id, cancelled)

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
    ledger = PostgresLedger(database)
    names = [f"{organization}-{letter}" for letter in "abc"]
    for name in names[:2]:
        for number in range(3):
            await ledger.create(key(name), booking(name, 2 * number, 2 * number + 2), b"")

    pages = await PostgresFeed(database).read({names[0]: 2, names[1]: _NEWEST, names[2]: 0})

    found = {name: (page.number, [c.feed for c in page.changes]) for name, page in pages.items()}
    assert found == {names[0]: (3, [3]), names[1]: (3, []), names[2]: (0, [])}
    assert len({page.epoch for page in pages.values()}) == 1


async def test_a_transaction_is_read_whole_or_not_at_all(
    database: Database, database_url: str, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = PostgresLedger(database)
    for number in range(3):
        await ledger.create(key(organization), booking(organization, number, number + 1), b"")
    rows(
        database_url,
        "insert into outbox select organization_id, feed, 1, kind, booking_id, payload, created_at"
        " from outbox where organization_id = %s",
        organization,
    )
    monkeypatch.setattr(storage, "_MOST_ROWS", 3)
    feed = PostgresFeed(database)

    found = []
    position = 0
    while position < 3:
        page = (await feed.read({organization: position}))[organization]
        found.append([(change.feed, len(change.days)) for change in page.changes])
        position = page.changes[-1].feed

    assert found == [[(1, 2)], [(2, 2)], [(3, 2)]]


async def test_whoever_follows_misses_nothing_of_many_who_write(
    database: Database, organization: str
) -> None:
    ledger = PostgresLedger(database)
    feed = PostgresFeed(database)
    followed: list[int] = []
    state: dict[int, int] = {}

    async def write(number: int) -> None:
        for turn in range(5):
            entry = booking(organization, 12 * number + 2 * turn, 12 * number + 2 * turn + 2)
            await ledger.create(key(organization), entry, b"")

    async def follow() -> None:
        while len(followed) < 40:
            page = (await feed.read({organization: len(followed)}))[organization]
            for change in page.changes:
                followed.append(change.feed)
                for _, day, found in change.days:
                    assert found.busy & state.get(day, 0) == state.get(day, 0)
                    state[day] = found.busy

    async with asyncio.timeout(20):
        await asyncio.gather(follow(), *map(write, range(8)))

    assert followed == list(range(1, 41))
    assert state == {DAY: sum(3 << (12 * n + 2 * t) for n in range(8) for t in range(5))}
