"""The ledger on a real PostgreSQL: bundles over days, locks, and deadlines."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import date, timedelta

import psycopg
import pytest

from services.availability.domain.booking import Booking
from services.availability.domain.ledger_claim import Change
from services.availability.domain.refusal import (
    Contended,
    IdTaken,
    InvalidState,
    NotFound,
    SlotUnavailable,
)
from services.availability.storage.database import Database
from shared.runtime.failure import RequestIdReused
from tests.integration.availability.database import dump, opened, rows, waiting_for_a_lock
from tests.integration.availability.entry import Ledger, booking, cancelled, key, violations


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


async def test_a_bundle_takes_every_resource_or_none(
    ledger: Ledger, database_url: str, organization: str
) -> None:
    taken = booking(organization, 90, 98, resources=["b"])
    await ledger.book(key(organization), taken, b"")
    before = dump(database_url, organization)

    wanted = booking(organization, 80, 100, resources=["c", "b", "a"])

    with pytest.raises(SlotUnavailable) as refused:
        await ledger.book(key(organization), wanted, b"")

    assert refused.value.resource_id == "b"
    assert refused.value.quanta == {
        date(2027, 3, 8): [90, 91, 92, 93, 94, 95],
        date(2027, 3, 9): [0, 1],
    }
    assert dump(database_url, organization) == before


async def test_a_key_is_answered_until_it_stands_for_other_content(
    ledger: Ledger, organization: str
) -> None:
    first = key(organization)
    await ledger.book(first, booking(organization, 0, 4), b"the answer")

    assert await ledger.answer(first) == b"the answer"
    assert await ledger.answer(key(organization)) is None
    assert await ledger.book(first, booking(organization, 50, 54), b"other") == b"the answer"
    with pytest.raises(RequestIdReused):
        await ledger.answer(first._replace(content_hash=b"other"))
    with pytest.raises(RequestIdReused):
        await ledger.book(first._replace(content_hash=b"other"), booking(organization, 50, 54), b"")


async def test_an_empty_answer_is_an_answer(ledger: Ledger, organization: str) -> None:
    first = key(organization)
    await ledger.book(first, booking(organization, 0, 4), b"")

    assert await ledger.answer(first) == b""
    assert await ledger.book(first, booking(organization, 0, 4), b"other") == b""


async def test_a_stale_cancellation_frees_nothing(
    ledger: Ledger, database_url: str, organization: str
) -> None:
    first = booking(organization, 0, 4)
    await ledger.book(key(organization), first, b"")
    reads: list[Booking] = []

    def decide(found: Booking) -> Change:
        reads.append(found)
        return cancelled(found)

    with psycopg.connect(database_url) as rival:
        rival.execute("select from bookings where booking_id = %s for update", (first.booking_id,))
        late = asyncio.create_task(
            ledger.change(organization, key(organization), first.booking_id, decide)
        )
        await waiting_for_a_lock(database_url)
        # As another server cancels it, and somebody takes its time.
        rival.execute(
            "update bookings set state = 2, revision = 1 where booking_id = %s",
            (first.booking_id,),
        )
    with pytest.raises(InvalidState):
        await late

    assert [found.revision for found in reads] == [0, 1]
    (day,) = dump(database_url, organization)["days"]
    assert "1111" + "0" * 92 in day


async def test_an_unknown_booking_cannot_be_changed(ledger: Ledger, organization: str) -> None:
    with pytest.raises(NotFound):
        await ledger.cancel(key(organization), "nothing")


async def test_a_cancellation_of_days_that_were_lost_still_cancels(
    ledger: Ledger, database_url: str, organization: str
) -> None:
    first = booking(organization, 0, 4)
    await ledger.book(key(organization), first, b"")
    rows(database_url, "delete from days where organization_id = %s", organization)

    assert await ledger.cancel(key(organization), first.booking_id) == b"cancelled"


async def test_an_id_taken_is_told_before_time_taken(ledger: Ledger, organization: str) -> None:
    first = booking(organization, 0, 4)
    await ledger.book(key(organization), first, b"")

    with pytest.raises(IdTaken):
        await ledger.book(key(organization), first, b"")


async def test_a_lock_is_not_waited_for_for_ever(database_url: str, organization: str) -> None:
    async with opened(database_url, statement=timedelta(seconds=0.5)) as database:
        ledger = Ledger(database)
        await ledger.book(key(organization), booking(organization, 0, 4), b"")
        before = dump(database_url, organization)

        with psycopg.connect(database_url) as other:
            other.execute("select from days where organization_id = %s for update", (organization,))
            with pytest.raises(Contended):
                await ledger.book(key(organization), booking(organization, 50, 54), b"")

        assert dump(database_url, organization) == before


async def test_random_bundles_never_deadlock(
    ledger: Ledger,
    database: Database,
    organization: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = [f"r{number}" for number in range(10)]
    reasons: Counter[str] = Counter()
    made: list[str] = []

    async def client(seed: int) -> None:
        source = random.Random(seed)
        for _ in range(30):
            if made and source.random() < 0.4:
                booking_id = made.pop(source.randrange(len(made)))
                await ledger.cancel(key(organization), booking_id)
                reasons["cancelled"] += 1
                continue
            first = source.randrange(10 * 96)
            wanted = booking(
                organization,
                first,
                first + source.choice([4, 96, 300, 650]),
                resources=source.sample(names, source.randint(1, 10)),
            )
            try:
                await ledger.book(key(organization), wanted, b"")
            except SlotUnavailable:
                reasons["taken"] += 1
            else:
                made.append(wanted.booking_id)
                reasons["made"] += 1

    await asyncio.gather(*(client(seed) for seed in range(16)))

    assert [record.message for record in caplog.records] == []
    assert min(reasons["made"], reasons["taken"], reasons["cancelled"]) > 20
    assert await violations(database, organization) == 0
