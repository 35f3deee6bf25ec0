"""Statements that travel together: rows, refusals, and connections that break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg.pq import PipelineStatus, TransactionStatus

from services.availability.storage.batch import Batch
from services.availability.storage.session import Connection
from tests.integration.availability.database import opened

# Far more than a socket takes at once.
_LARGE = 8_000_000


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    async with await Connection.connect(database_url, autocommit=True) as connected:
        yield connected


async def test_every_statement_has_its_own_rows(connection: Connection) -> None:
    batch = Batch(connection)
    numbers = batch.send("select n, 'é'::text from generate_series(1, %(to)s::int) n", to=2)
    nothing = batch.send("select 1 where false")

    await batch.run()

    assert numbers.rows == [(1, "é"), (2, "é")]
    assert nothing.rows == []
    assert connection.pgconn.pipeline_status == PipelineStatus.OFF


async def test_a_parameter_is_sent_once_however_often_it_is_named(connection: Connection) -> None:
    batch = Batch(connection)
    found = batch.send("select %(a)s::text || %(b)s::text || %(a)s::text", a="x", b="y'%")

    await batch.run()

    assert found.rows == [("xy'%x",)]


async def test_a_statement_is_prepared_once_a_connection(connection: Connection) -> None:
    for _ in range(3):
        batch = Batch(connection)
        batch.send("select 1")
        await batch.run()

    cursor = await connection.execute(
        "select count(*) from pg_prepared_statements where name like 'holdfast%'"
    )
    assert await cursor.fetchone() == (1,)


async def test_a_transaction_spans_batches(connection: Connection) -> None:
    batch = Batch(connection)
    batch.send("begin")
    await batch.run()
    begun = connection.info.transaction_status

    batch.send("commit")
    await batch.run()

    assert (begun, connection.info.transaction_status) == (
        TransactionStatus.INTRANS,
        TransactionStatus.IDLE,
    )


async def test_what_follows_a_failure_is_not_run(connection: Connection) -> None:
    batch = Batch(connection)
    batch.send("begin")
    batch.send("select 1 / 0")
    after = batch.send("select 1")
    batch.send("commit")

    with pytest.raises(psycopg.errors.DivisionByZero):
        await batch.run()

    assert after.rows == []
    assert connection.info.transaction_status is TransactionStatus.INERROR


async def test_a_statement_that_is_none_is_refused(connection: Connection) -> None:
    batch = Batch(connection)
    batch.send("begin")
    batch.send("selekt")

    with pytest.raises(psycopg.errors.SyntaxError):
        await batch.run()


async def test_large_values_go_both_ways(connection: Connection) -> None:
    batch = Batch(connection)
    values = [chr(ord("a") + n) * _LARGE for n in range(3)]
    replies = [batch.send("select %(value)s::text", value=value) for value in values]

    await batch.run()

    assert [reply.rows for reply in replies] == [[(value,)] for value in values]


async def test_a_connection_that_breaks_says_why(connection: Connection, database_url: str) -> None:
    batch = Batch(connection)
    batch.send("begin")
    batch.send("select pg_sleep(60)")
    running = asyncio.create_task(batch.run())
    async with await Connection.connect(database_url, autocommit=True) as other:
        await _until_it_sleeps(other, connection.info.backend_pid)
        await other.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])

    with pytest.raises(psycopg.errors.AdminShutdown):
        await running

    assert connection.closed


async def _until_it_sleeps(connection: Connection, pid: int) -> None:
    waiting = "select 1 from pg_stat_activity where pid = %s and wait_event = 'PgSleep'"
    while await (await connection.execute(waiting, [pid])).fetchone() is None:
        pass


async def test_a_connection_is_not_used_again_once_a_statement_failed(database_url: str) -> None:
    async with opened(database_url) as database:

        async def fails(connection: Connection) -> int:
            batch = Batch(connection)
            # Refused before any transaction has begun: the connection looks idle.
            batch.send("select 1 / %(by)s::int", by=0)
            batch.send("select 1")
            with pytest.raises(psycopg.errors.DivisionByZero):
                await batch.run()
            return connection.info.backend_pid

        failed = await database.run(fails)
        after = {await database.run(_backend) for _ in range(8)}

    assert failed not in after


async def test_what_a_connection_forgot_is_prepared_on_another(database_url: str) -> None:
    async with opened(database_url) as database:
        pids = [await database.run(_backend) for _ in range(8)]
        for _ in range(8):
            # As a pooler does between two of its clients.
            await database.run(_forgetting)
        again = await database.run(_backend)

    assert again not in pids


async def _backend(connection: Connection) -> int:
    batch = Batch(connection)
    batch.send("begin")
    pid = batch.send("select pg_backend_pid()")
    batch.send("commit")
    await batch.run()
    found: int = pid.rows[0][0]
    return found


async def _forgetting(connection: Connection) -> None:
    await connection.execute("deallocate all", prepare=False)
