"""The checks would notice: deliberately broken ledgers are caught by them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, LiteralString

import pytest
from psycopg.conninfo import make_conninfo

from services.availability.domain.refusal import SlotUnavailable
from services.availability.storage.database import Database, Row
from services.availability.storage.ledger import PostgresLedger
from tests.integration.availability.database import opened
from tests.integration.availability.entry import booking, cancelled, key, violations

_ROUNDS = 60


class BrokenDatabase:
    """Runs each statement with one piece of it replaced."""

    def __init__(self, database: Database, piece: LiteralString, broken: LiteralString) -> None:
        self._database = database
        self._piece = piece
        self._broken = broken
        self.hits = 0

    async def fetch(
        self, statement: LiteralString, parameters: Mapping[str, Any], **options: Any
    ) -> list[Row]:
        self.hits += self._piece in statement
        broken = statement.replace(self._piece, self._broken)
        return await self._database.fetch(broken, parameters, **options)


def broken_ledger(
    database: Database, piece: LiteralString, broken: LiteralString
) -> tuple[PostgresLedger, BrokenDatabase]:
    double: Any = BrokenDatabase(database, piece, broken)
    return PostgresLedger(double), double


async def rush(ledger: PostgresLedger, organization: str, number: int) -> int:
    """Ten bookings of one time at once, on a day that exists; returns how many were made."""
    day = number * 96
    await ledger.create(key(organization), booking(organization, day, day + 1), b"")
    wanted = [booking(organization, day + 10, day + 14) for _ in range(10)]
    found = await asyncio.gather(
        *(ledger.create(key(organization), one, b"") for one in wanted), return_exceptions=True
    )
    assert all(isinstance(one, bytes | SlotUnavailable) for one in found)
    return sum(isinstance(one, bytes) for one in found)


async def test_the_real_ledger_survives_what_follows(database: Database, organization: str) -> None:
    ledger = PostgresLedger(database)

    made = [await rush(ledger, organization, number) for number in range(5)]

    assert made == [1] * 5
    assert await violations(database, organization) == 0


async def test_select_then_update_is_caught(database: Database, organization: str) -> None:
    ledger, broken = broken_ledger(
        database, "order by d.resource_id, d.day for no key update of d", ""
    )

    for number in range(_ROUNDS):
        if await rush(ledger, organization, number) > 1:
            break

    assert broken.hits
    assert await violations(database, organization) > 0


async def test_a_cancellation_that_trusts_what_it_read_is_caught(
    database: Database, organization: str
) -> None:
    ledger, broken = broken_ledger(database, " and revision = %(revision)s - 1", "")
    first = booking(organization, 0, 4)
    await ledger.create(key(organization), first, b"")
    await ledger.change(key(organization), first.booking_id, cancelled)
    await ledger.create(key(organization), booking(organization, 0, 4), b"")

    # The revision of the history would be written twice: bits and all are undone by its key.
    with pytest.raises(Exception, match="booking_history_pkey"):
        await ledger.change(key(organization), first.booking_id, lambda _: cancelled(first))

    assert broken.hits
    assert await violations(database, organization) == 0


async def test_unsorted_locks_are_caught(
    database_url: str, organization: str, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"r{number}" for number in range(10)]
    impatient = make_conninfo(database_url, options="-c deadlock_timeout=10ms")
    async with opened(impatient, connections=4) as database:
        ledger, broken = broken_ledger(
            database,
            "order by d.resource_id, d.day for no key update of d",
            "order by md5(d.resource_id || %(id)s) for no key update of d",
        )
        await ledger.create(key(organization), booking(organization, 0, 1, resources=names), b"")

        for _ in range(_ROUNDS):
            wanted = [
                booking(organization, 2 + slot, 3 + slot, resources=names) for slot in range(4)
            ]
            await asyncio.gather(
                *(ledger.create(key(organization), one, b"") for one in wanted),
                return_exceptions=True,
            )
            await asyncio.gather(
                *(ledger.change(key(organization), one.booking_id, cancelled) for one in wanted),
                return_exceptions=True,
            )
            if caplog.records:
                break

    assert broken.hits
    assert {record.message for record in caplog.records} == {"store asked for a retry"}
