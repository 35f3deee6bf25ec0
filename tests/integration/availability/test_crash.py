"""What was acknowledged survives a kill of the server; what was not can be asked again."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from services.availability.bootstrap import migrate
from services.availability.domain.booking import Booking
from services.availability.domain.request_key import RequestKey
from services.availability.storage.database import Database
from services.availability.storage.migration import HEAD
from shared.embedded.folder import processes_in
from shared.embedded.postgres import EmbeddedPostgres
from shared.runtime.failure import Overloaded, StoreUnavailable
from tests.integration.availability.database import rows, settings_for
from tests.integration.availability.entry import Ledger, booking, key, violations

_SECONDS = timedelta(seconds=5)
WRITERS = 8
KILL_AFTER = 150


async def test_no_acknowledged_booking_is_lost_and_none_is_made_twice(
    tmp_path: Path, organization: str
) -> None:
    with EmbeddedPostgres.start(tmp_path) as server:
        server.create_database("crash")
        url = server.url("crash")
        migrate(settings_for(url))
        database = Database(url, connections=4, statement=_SECONDS, throwaway=False)
        await database.open(head=HEAD)
        ledger = Ledger(database)
        wanted = [(key(organization), booking(organization, 3 * n, 3 * n + 3)) for n in range(400)]

        acknowledged = await written_until_killed(ledger, wanted, tmp_path / "cluster")

    with EmbeddedPostgres.start(tmp_path):
        kept = {row[0] for row in rows(url, "select booking_id from bookings")}
        for request, entry in wanted:
            assert await _patiently(ledger, request, entry) == entry.booking_id.encode()
        again = rows(url, "select count(*), count(distinct booking_id) from bookings")
        found = await violations(database, organization)
        await database.close()

    assert KILL_AFTER <= len(acknowledged) < len(wanted)
    assert acknowledged <= kept
    assert again == [(len(wanted), len(wanted))]
    assert found == 0


async def written_until_killed(
    ledger: Ledger, wanted: list[tuple[RequestKey, Booking]], cluster: Path
) -> set[str]:
    """Books until the server is killed in the midst of it; returns what was acknowledged."""
    acknowledged: set[str] = set()
    rest = iter(wanted)

    async def writer() -> None:
        for request, entry in rest:
            try:
                await ledger.book(request, entry, entry.booking_id.encode())
            except (StoreUnavailable, Overloaded):
                return
            acknowledged.add(entry.booking_id)
            if len(acknowledged) == KILL_AFTER:
                for pid in processes_in(cluster):
                    os.kill(pid, signal.SIGKILL)

    await asyncio.gather(*(writer() for _ in range(WRITERS)))
    return acknowledged


async def _patiently(ledger: Ledger, request: RequestKey, entry: Booking) -> bytes:
    async with asyncio.timeout(5):
        while True:
            try:
                return await ledger.book(request, entry, entry.booking_id.encode())
            except StoreUnavailable:
                continue


@pytest.mark.parametrize("at", ["created", "cancelled"])
async def test_a_call_repeated_changes_nothing(
    database: Database, database_url: str, organization: str, at: str
) -> None:
    ledger = Ledger(database)
    request, entry = key(organization), booking(organization, 0, 4)
    first = await ledger.book(request, entry, b"created")
    if at == "cancelled":
        request = key(organization, "CancelBooking")
        first = await ledger.cancel(request, entry.booking_id)
    written = rows(
        database_url, "select t::text from outbox t where organization_id = %s", organization
    )

    again = (
        await ledger.book(request, entry, b"other")
        if at == "created"
        else await ledger.cancel(request, entry.booking_id)
    )

    assert again == first
    assert written == rows(
        database_url, "select t::text from outbox t where organization_id = %s", organization
    )
