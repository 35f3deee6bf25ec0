"""What the ledger tells of its commits: each one, whoever still waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import psycopg
import pytest

from services.availability.domain.claim import DayState
from services.availability.domain.day_change import ChangedDay
from services.availability.domain.refusal import SlotUnavailable
from services.availability.storage.database import Database
from shared.slots import bitmap
from tests.integration.availability.database import waiting_for_a_lock
from tests.integration.availability.entry import MONDAY, Ledger, booking, key

DAY = MONDAY // 96


class News:
    """What was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[ChangedDay] | None]] = []
        self.came = asyncio.Event()

    def __call__(self, organization_id: str, days: Sequence[ChangedDay] | None) -> None:
        self.told.append((organization_id, None if days is None else list(days)))
        self.came.set()


@pytest.fixture
def news() -> News:
    return News()


@pytest.fixture
def ledger(database: Database, news: News) -> Ledger:
    return Ledger(database, news)


async def test_a_booking_is_told_with_its_days_as_they_are_now(
    ledger: Ledger, news: News, organization: str
) -> None:
    await ledger.book(key(organization), booking(organization, 0, 4), b"")
    await ledger.book(key(organization), booking(organization, 90, 200), b"")

    assert [name for name, _ in news.told] == [organization] * 2
    assert sorted(news.told[1][1] or ()) == [
        ("studio-a", DAY, DayState(bitmap.mask(0, 4) | bitmap.mask(90, 96), 2)),
        ("studio-a", DAY + 1, DayState(bitmap.mask(0, 96), 2)),
        ("studio-a", DAY + 2, DayState(bitmap.mask(0, 8), 2)),
    ]


async def test_a_cancellation_is_told_with_its_days_as_they_are_now(
    ledger: Ledger, news: News, organization: str
) -> None:
    first, second = booking(organization, 0, 4), booking(organization, 8, 12)
    for one in (first, second):
        await ledger.book(key(organization), one, b"")

    await ledger.cancel(key(organization), first.booking_id)

    assert news.told[2] == (organization, [("studio-a", DAY, DayState(bitmap.mask(8, 12), 3))])


async def test_a_refusal_tells_nothing(ledger: Ledger, news: News, organization: str) -> None:
    await ledger.book(key(organization), booking(organization, 0, 4), b"")

    with pytest.raises(SlotUnavailable):
        await ledger.book(key(organization), booking(organization, 0, 4), b"")

    assert len(news.told) == 1


async def test_a_replay_is_a_doubt(ledger: Ledger, news: News, organization: str) -> None:
    call, cancellation = key(organization), key(organization, "CancelBooking")
    one = booking(organization, 0, 4)
    await ledger.book(call, one, b"")
    await ledger.cancel(cancellation, one.booking_id)
    del news.told[:]

    await ledger.book(call, one, b"")
    await ledger.cancel(cancellation, one.booking_id)
    await ledger.answer(call)

    assert news.told == [(organization, None)] * 3


async def test_a_commit_is_told_though_its_caller_has_left(
    ledger: Ledger, news: News, organization: str, database_url: str
) -> None:
    await ledger.book(key(organization), booking(organization, 0, 4), b"")
    news.came.clear()
    with psycopg.connect(database_url) as rival:
        rival.execute("select from feeds where organization_id = %s for update", [organization])
        leaving = asyncio.create_task(
            ledger.book(key(organization), booking(organization, 8, 12), b"")
        )
        await waiting_for_a_lock(database_url)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert not news.came.is_set()

    async with asyncio.timeout(10):
        await news.came.wait()

    assert news.told[1:] == [
        (organization, [("studio-a", DAY, DayState(bitmap.mask(0, 4) | bitmap.mask(8, 12), 2))])
    ]
