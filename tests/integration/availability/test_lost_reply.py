"""A connection that breaks after the commit, before its reply: the ambiguous case."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from services.availability.app.port import Answered
from services.availability.bootstrap import migrate
from services.availability.domain.booking import Note
from services.availability.domain.ledger_claim import CreateClaim
from services.availability.domain.refusal import Contended
from services.availability.storage.database import Database
from services.availability.storage.group import Committed, Group, lock_number
from services.availability.storage.migration import HEAD
from shared.embedded.postgres import EmbeddedPostgres
from shared.runtime.failure import Overloaded, StoreUnavailable
from tests.integration.availability.database import rows, settings_for
from tests.integration.availability.entry import Ledger, booking, key, violations

_BOOKINGS = 60
# CommandComplete of the ledger's commit, then ReadyForQuery outside a transaction.
_DONE = b"COMMIT\x00Z\x00\x00\x00\x05I"


class _Cutter:
    """Stands between store and server, and sometimes swallows the word that all is done."""

    def __init__(self, url: str) -> None:
        self._server = conninfo_to_dict(url)
        self._random = random.Random(7)
        self.is_armed = False
        self.cuts = 0

    @asynccontextmanager
    async def address(self) -> AsyncIterator[str]:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        yield make_conninfo("", **(self._server | {"host": "127.0.0.1", "port": port}))
        listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        socket = f"{self._server['host']}/.s.PGSQL.{self._server.get('port', 5432)}"
        upstream, downstream = await asyncio.open_unix_connection(socket)
        with suppress(OSError):
            await asyncio.gather(_pump(reader, downstream), self._replies(upstream, writer))
        downstream.close()
        writer.close()

    async def _replies(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await upstream.read(65_536):
            if self.is_armed and _DONE in chunk and self._random.random() < 0.3:
                self.cuts += 1
                writer.transport.abort()
                return
            writer.write(chunk)
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65_536):
        writer.write(chunk)
    writer.close()


async def test_a_reply_cut_after_the_commit_loses_and_doubles_nothing(
    data_folder: Path, organization: str
) -> None:
    with EmbeddedPostgres.start(data_folder / "postgres", throwaway=True) as server:
        server.create_database("cut")
        url = server.url("cut")
        migrate(settings_for(url))
        cutter = _Cutter(url)
        async with cutter.address() as address:
            database = Database(
                address, connections=4, statement=timedelta(seconds=5), throwaway=True
            )
            await database.open(head=HEAD)
            ledger = Ledger(database)
            cutter.is_armed = True

            await asyncio.gather(*(_book_and_cancel(ledger, organization, n) for n in range(4)))

            cutter.is_armed = False
            assert await violations(database, organization) == 0
            await database.close()
        made = rows(url, "select count(*), count(*) filter (where state = 2) from bookings")
        events = rows(url, "select count(*), count(distinct feed) = max(feed) from outbox")

    assert cutter.cuts > 10
    assert made == [(_BOOKINGS, _BOOKINGS // 2)]
    assert events == [(_BOOKINGS * 3 // 2, True)]


async def _book_and_cancel(ledger: Ledger, organization: str, first: int) -> None:
    for n in range(first, _BOOKINGS, 4):
        entry = booking(organization, 4 * n, 4 * n + 4)
        request, undo = key(organization), key(organization, "CancelBooking")
        answer = entry.booking_id.encode()
        told: list[bytes] = []
        is_first = True
        while True:
            with suppress(StoreUnavailable, Overloaded):
                made = await ledger.create(
                    request,
                    entry,
                    Note("ann"),
                    lambda _, answer=answer: answer,  # type: ignore[misc]  # bound in the loop
                    committed=lambda told=told: told.append(b""),  # type: ignore[misc]  # the same
                )
                assert made.answer == answer
                # Who was told nothing else has made the booking, however often it was tried.
                assert not is_first or (told, made.is_replay) == ([b""], False)
                break
            is_first = False
        while n % 2:
            with suppress(StoreUnavailable, Overloaded):
                await ledger.cancel(undo, entry.booking_id)
                break


async def test_a_failure_in_between_makes_no_replay_of_what_was_not_heard_of(
    database: Database, database_url: str, organization: str
) -> None:
    request = key(organization)
    wanted = booking(organization, 0, 4)
    claim = CreateClaim(request, wanted, Note("ann"), lambda _: b"booked")
    attempts = Group(organization, [claim], set(), is_impatient=True)
    await database.run(attempts)  # committed, and let nobody have heard of it
    with psycopg.connect(database_url) as rival:
        rival.execute("select pg_advisory_xact_lock(%s)", [lock_number(*request[:3])])
        with pytest.raises(Contended):
            await database.run(attempts)

    found = await database.run(attempts)

    assert found == Committed([Answered(b"booked")], (), is_found=True)
