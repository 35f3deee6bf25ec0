"""Retention: old events go, from the oldest on and whole transactions, and readers can tell."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from services.availability.domain.booking_event import EventPosition
from services.availability.domain.refusal import TokenExpired
from services.availability.storage.database import Database
from services.availability.storage.event import PostgresEvents
from services.availability.storage.feed import PostgresFeed
from services.availability.storage.purge import purge_events
from tests.integration.availability.database import rows
from tests.integration.availability.entry import Ledger, booking, key

WEEK = timedelta(hours=168)


async def written(database: Database, organization: str, count: int) -> None:
    """Some transactions of one event each."""
    ledger = Ledger(database)
    for number in range(count):
        await ledger.book(key(organization), booking(organization, number, number + 1), b"")


def aged(url: str, organization: str, ages: dict[int, timedelta]) -> None:
    """Lets events of transactions be as old as given, the others new."""
    rows(url, "update outbox set created_at = now() where organization_id = %s", organization)
    for feed, age in ages.items():
        rows(
            url,
            "update outbox set created_at = now() - %s::interval"
            " where organization_id = %s and feed = %s",
            age,
            organization,
            feed,
        )


def kept(url: str, organization: str) -> tuple[list[int], int]:
    """The numbers that still have events, and how far the others are gone."""
    found = rows(
        url,
        "select array(select distinct feed from outbox where organization_id = %s order by 1),"
        " (select trimmed from feeds where organization_id = %s)",
        organization,
        organization,
    )
    return found[0][0], found[0][1]


@pytest.mark.parametrize("numbers", [1, 2, 100])
async def test_what_is_past_the_retention_goes_and_the_feed_says_so(
    database: Database, database_url: str, organization: str, numbers: int
) -> None:
    await written(database, organization, 6)
    old, young = WEEK + timedelta(seconds=5), WEEK - timedelta(seconds=60)
    aged(database_url, organization, {1: old, 2: old, 3: old, 4: young})

    deleted = await purge_events(database, numbers=numbers)

    assert kept(database_url, organization) == ([4, 5, 6], 3)
    assert deleted >= 3


async def test_nothing_between_what_is_kept_is_missing(
    database: Database, database_url: str, organization: str
) -> None:
    await written(database, organization, 4)
    # A service whose clock was wrong: the second is younger than those that follow it.
    old = WEEK + timedelta(hours=1)
    aged(database_url, organization, {1: old, 3: old, 4: old})

    await purge_events(database)

    assert kept(database_url, organization) == ([2, 3, 4], 1)


async def test_everything_may_go_and_the_next_event_is_told(
    database: Database, database_url: str, organization: str
) -> None:
    await written(database, organization, 3)
    events = PostgresEvents(database)
    told = await events.newest(organization)
    aged(database_url, organization, dict.fromkeys((1, 2, 3), 2 * WEEK))
    await purge_events(database)
    assert kept(database_url, organization) == ([], 3)
    assert await events.newest(organization) == await events.oldest(organization)

    await Ledger(database).book(key(organization), booking(organization, 90, 96), b"")

    for position in (told, EventPosition(3)):
        page = await events.after(organization, position, 10)
        page.require_continues(position)
        assert [entry.position.feed for entry in page.entries] == [4]


async def test_a_transaction_goes_whole_and_who_knew_a_part_of_it_is_told(
    database: Database, database_url: str, organization: str
) -> None:
    ledger = Ledger(database)
    await asyncio.gather(
        *(
            ledger.book(
                key(organization), booking(organization, n, n + 1, resources=[f"r{n}"]), b""
            )
            for n in range(8)
        )
    )
    events = PostgresEvents(database)
    entries = (await events.after(organization, EventPosition(0), 64)).entries
    crowded = max(entry.position.feed for entry in entries)
    aged(database_url, organization, dict.fromkeys(range(1, crowded + 1), 2 * WEEK))

    await purge_events(database, numbers=1)

    assert kept(database_url, organization) == ([], crowded)
    positions = [entry.position for entry in entries]
    assert positions[-1].ordinal > 0
    (await events.after(organization, positions[-1], 9)).require_continues(positions[-1])
    for position in positions[:-1]:
        with pytest.raises(TokenExpired):
            (await events.after(organization, position, 9)).require_continues(position)


async def test_organizations_do_not_wait_for_one_another(
    database: Database, database_url: str, organization: str
) -> None:
    names = [f"{organization}-{letter}" for letter in "abc"]
    for name in names:
        await written(database, name, 3)
        aged(database_url, name, dict.fromkeys((1, 2), 2 * WEEK))
    # Its old events stand behind a young one.
    aged(database_url, names[0], {3: 2 * WEEK})

    await purge_events(database, batch=2)

    assert kept(database_url, names[0]) == ([1, 2, 3], 0)
    assert [kept(database_url, name) for name in names[1:]] == [([3], 2)] * 2


async def test_days_are_read_anew_where_their_changes_are_gone(
    database: Database, database_url: str, organization: str
) -> None:
    await written(database, organization, 3)
    aged(database_url, organization, {1: 2 * WEEK, 2: 2 * WEEK})
    await purge_events(database)

    page = (await PostgresFeed(database).read({organization: 0}))[organization]

    # The first number that follows is not the next one: whoever reads this starts over.
    assert (page.number, [change.feed for change in page.changes]) == (3, [3])


async def test_two_replicas_may_purge_while_bookings_are_made(
    database: Database, database_url: str, organization: str
) -> None:
    await written(database, organization, 40)
    aged(database_url, organization, dict.fromkeys(range(1, 31), 2 * WEEK))
    ledger = Ledger(database)

    await asyncio.gather(
        purge_events(database, numbers=3),
        purge_events(database, numbers=2),
        *(
            ledger.book(key(organization), booking(organization, n, n + 1), b"")
            for n in range(40, 60)
        ),
    )

    numbers, trimmed = kept(database_url, organization)
    assert trimmed == 30
    assert numbers == list(range(31, numbers[-1] + 1))
