"""The ledger on a real PostgreSQL: bundles over days, locks, and deadlines."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import date

import psycopg
import pytest

from services.availability.domain.booking import Booking
from services.availability.domain.refusal import (
    Contended,
    IdTaken,
    InvalidState,
    NotFound,
    SlotUnavailable,
)
from services.availability.storage.database import Database
from services.availability.storage.ledger import PostgresLedger
from services.availability.storage.statement import CHANGE, CREATE
from shared.runtime import deadline
from shared.runtime.failure import RequestIdReused
from tests.integration.availability.database import dump, rows
from tests.integration.availability.entry import booking, cancelled, key, violations


@pytest.fixture
def ledger(database: Database) -> PostgresLedger:
    return PostgresLedger(database)


async def test_a_bundle_takes_every_resource_or_none(
    ledger: PostgresLedger, database_url: str, organization: str
) -> None:
    taken = booking(organization, 90, 98, resources=["b"])
    await ledger.create(key(organization), taken, b"")
    before = dump(database_url, organization)

    wanted = booking(organization, 80, 100, resources=["c", "b", "a"])

    with pytest.raises(SlotUnavailable) as refused:
        await ledger.create(key(organization), wanted, b"")

    assert refused.value.resource_id == "b"
    assert refused.value.quanta == {
        date(2027, 3, 8): [90, 91, 92, 93, 94, 95],
        date(2027, 3, 9): [0, 1],
    }
    assert dump(database_url, organization) == before


async def test_a_key_is_answered_until_it_stands_for_other_content(
    ledger: PostgresLedger, organization: str
) -> None:
    first = key(organization)
    await ledger.create(first, booking(organization, 0, 4), b"the answer")

    assert await ledger.answer(first) == b"the answer"
    assert await ledger.answer(key(organization)) is None
    assert await ledger.create(first, booking(organization, 50, 54), b"other") == b"the answer"
    with pytest.raises(RequestIdReused):
        await ledger.answer(first._replace(content_hash=b"other"))
    with pytest.raises(RequestIdReused):
        await ledger.create(
            first._replace(content_hash=b"other"), booking(organization, 50, 54), b""
        )


async def test_an_empty_answer_is_an_answer(ledger: PostgresLedger, organization: str) -> None:
    first = key(organization)
    await ledger.create(first, booking(organization, 0, 4), b"")

    assert await ledger.answer(first) == b""
    assert await ledger.create(first, booking(organization, 0, 4), b"other") == b""


async def test_a_stale_cancellation_frees_nothing(
    ledger: PostgresLedger, database_url: str, organization: str
) -> None:
    first = booking(organization, 0, 4)
    await ledger.create(key(organization), first, b"")
    await ledger.change(key(organization), first.booking_id, cancelled)
    await ledger.create(key(organization), booking(organization, 0, 4), b"")
    before = dump(database_url, organization)
    reads: list[Booking] = []

    def once_more(found: Booking) -> tuple[Booking, bytes]:
        # As if it had been read before the first cancellation.
        reads.append(found)
        return cancelled(first) if len(reads) == 1 else cancelled(found)

    with pytest.raises(InvalidState):
        await ledger.change(key(organization), first.booking_id, once_more)

    assert len(reads) == 2
    assert dump(database_url, organization) == before


async def test_an_unknown_booking_cannot_be_changed(
    ledger: PostgresLedger, organization: str
) -> None:
    with pytest.raises(NotFound):
        await ledger.change(key(organization), "nothing", cancelled)


async def test_a_cancellation_of_days_that_were_lost_still_cancels(
    ledger: PostgresLedger, database_url: str, organization: str
) -> None:
    first = booking(organization, 0, 4)
    await ledger.create(key(organization), first, b"")
    rows(database_url, "delete from days where organization_id = %s", organization)

    assert await ledger.change(key(organization), first.booking_id, cancelled) == b"cancelled"


async def test_an_id_taken_is_told_before_time_taken(
    ledger: PostgresLedger, organization: str
) -> None:
    first = booking(organization, 0, 4)
    await ledger.create(key(organization), first, b"")

    with pytest.raises(IdTaken):
        await ledger.create(key(organization), first, b"")


async def test_a_lock_is_not_waited_for_past_the_callers_deadline(
    ledger: PostgresLedger, database_url: str, organization: str
) -> None:
    await ledger.create(key(organization), booking(organization, 0, 4), b"")
    before = dump(database_url, organization)

    async def impatient() -> None:
        deadline.begin(0.3)
        await ledger.create(key(organization), booking(organization, 50, 54), b"")

    with psycopg.connect(database_url) as other:
        other.execute("select from days where organization_id = %s for update", (organization,))
        begun = asyncio.get_running_loop().time()
        with pytest.raises(Contended):
            await asyncio.create_task(impatient())
        waited = asyncio.get_running_loop().time() - begun

    assert 0.2 < waited < 2
    assert dump(database_url, organization) == before


async def test_random_bundles_never_deadlock(
    ledger: PostgresLedger,
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
                await ledger.change(key(organization), booking_id, cancelled)
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
                await ledger.create(key(organization), wanted, b"")
            except SlotUnavailable:
                reasons["taken"] += 1
            else:
                made.append(wanted.booking_id)
                reasons["made"] += 1

    await asyncio.gather(*(client(seed) for seed in range(16)))

    assert [record.message for record in caplog.records] == []
    assert min(reasons["made"], reasons["taken"], reasons["cancelled"]) > 20
    assert await violations(database, organization) == 0


@pytest.mark.parametrize("statement", [CREATE, CHANGE], ids=["create", "change"])
def test_a_statement_is_short_enough_for_the_driver_to_keep_its_parse(statement: str) -> None:
    assert len(statement) <= 4_096
