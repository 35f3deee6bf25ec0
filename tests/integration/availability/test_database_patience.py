"""Who waits for the store, how long, and what a server that hangs takes with it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from services.availability.bootstrap import migrate
from services.availability.storage.database import Database
from shared.embedded.postgres import EmbeddedPostgres
from shared.runtime import deadline
from shared.runtime.failure import StoreUnavailable
from tests.integration.availability.database import opened, rows, settings_for

SLEEP = "select pg_sleep(%(seconds)s)"
PID = "select pg_backend_pid() where %(x)s = 1"


@pytest.fixture
def database_url(data_folder: Path) -> Iterator[str]:
    """A database whose processes run here, whatever serves the other tests."""
    with EmbeddedPostgres.start(data_folder / "postgres", throwaway=True) as server:
        server.create_database("patience")
        migrate(settings_for(server.url("patience")))
        yield server.url("patience")


@pytest.fixture
def hung_processes() -> Iterator[list[int]]:
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


async def backends_in_turn(database: Database, count: int) -> list[int]:
    """The backends in the order in which the pool will hand them out again."""
    await asyncio.gather(*(database.fetch(SLEEP, {"seconds": 0.2}) for _ in range(count)))
    return [(await database.fetch(PID, {"x": 1}))[0][0] for _ in range(count)]


async def test_callers_that_left_the_queue_run_nothing(database_url: str) -> None:
    async with opened(database_url, connections=2) as database:
        busy = [asyncio.create_task(database.fetch(SLEEP, {"seconds": 0.3})) for _ in range(2)]
        await asyncio.wait(busy, timeout=0.05)
        leavers = [asyncio.create_task(database.fetch(SLEEP, {"seconds": 0.3})) for _ in range(100)]
        await asyncio.wait(leavers, timeout=0.05)
        for leaver in leavers:
            leaver.cancel()
        await asyncio.gather(*leavers, return_exceptions=True)

        # Were they still queued, this would wait for 100 x 0.3 s / 2 connections.
        async with asyncio.timeout(5):
            assert await database.fetch(PID, {"x": 1})
        await asyncio.gather(*busy)


async def test_a_lost_connection_and_a_hung_one_leave_the_pool_whole(
    database_url: str, hung_processes: list[int]
) -> None:
    async with opened(database_url, connections=3, statement=timedelta(seconds=2)) as database:
        lost, _, hung = await backends_in_turn(database, 3)
        os.kill(hung, signal.SIGSTOP)
        hung_processes.append(hung)
        rows(database_url, "select pg_terminate_backend(%s)", lost)

        assert await database.fetch(PID, {"x": 1})
        async with asyncio.timeout(3):
            await asyncio.gather(*(database.fetch(SLEEP, {"seconds": 1}) for _ in range(3)))


async def test_a_snapshot_does_not_outlive_its_deadline_on_a_hung_server(
    database_url: str, hung_processes: list[int]
) -> None:
    async with opened(database_url) as database:

        async def look() -> None:
            deadline.begin(0.5)
            async with asyncio.timeout(0.5), database.snapshot() as connection:
                cursor = await connection.execute("select pg_backend_pid()")
                row = await cursor.fetchone()
                assert row is not None
                os.kill(row[0], signal.SIGSTOP)
                hung_processes.append(row[0])
                await connection.execute("select 1")

        begun = asyncio.get_running_loop().time()
        with pytest.raises((TimeoutError, StoreUnavailable, psycopg.Error)):
            await asyncio.create_task(look())

        assert asyncio.get_running_loop().time() - begun < 1.5
