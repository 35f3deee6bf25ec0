"""How the store is reached: what is refused at the start, what an outage does, what is purged."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg.conninfo import make_conninfo
from sqlalchemy import create_engine

from services.availability.bootstrap import migrate
from services.availability.domain.refusal import Contended
from services.availability.storage.database import Database
from services.availability.storage.migration import HEAD
from services.availability.storage.purge import purge
from services.availability.storage.schema import metadata
from shared.embedded.folder import processes_in
from shared.embedded.postgres import EmbeddedPostgres
from shared.runtime import deadline
from shared.runtime.failure import (
    DeadlinePassed,
    Failure,
    Overloaded,
    StartRefused,
    StoreUnavailable,
)
from shared.runtime.postgres import require_durability
from tests.integration.availability.database import opened, rows, settings_for
from tests.stores import PostgresServer, fresh_database

ONE = "select 1 where %(answer)s = 1"
SECOND = timedelta(seconds=1)
SLEEP = "select pg_sleep(%(seconds)s)"


def test_the_migrated_schema_is_the_declared_one(database_url: str) -> None:
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        found = compare_metadata(context, metadata)
    engine.dispose()

    assert found == []


def test_a_second_migration_finds_nothing_to_do(database_url: str) -> None:
    migrate(settings_for(database_url))

    assert rows(database_url, "select version_num from alembic_version") == [(HEAD,)]


async def test_a_database_without_a_schema_is_refused(postgres_server: PostgresServer) -> None:
    url = postgres_server.url(fresh_database(postgres_server))

    with pytest.raises(StartRefused, match=r"revision none and must be at 0002.* migrate"):
        async with opened(url):
            pass


async def test_a_newer_schema_is_accepted(postgres_server: PostgresServer) -> None:
    url = postgres_server.url(fresh_database(postgres_server))
    migrate(settings_for(url))
    rows(url, "update alembic_version set version_num = '0099'")

    async with opened(url) as database:
        assert await database.fetch(ONE, {"answer": 1}) == [(1,)]


async def test_an_unreachable_server_is_refused_in_one_line() -> None:
    with pytest.raises(StartRefused) as refused:
        async with opened("postgresql://127.0.0.1:1/none"):
            pass

    assert str(refused.value).startswith("PostgreSQL cannot be used: ")
    assert "\n" not in str(refused.value)


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(StartRefused, match="HOLDFAST_POSTGRES_URL"):
        Database("nonsense", connections=1, statement=SECOND, throwaway=True)


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_each_setting_that_may_lose_writes_is_refused(name: str) -> None:
    safe = dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit"), "on")

    require_durability(safe)
    require_durability(safe | {"synchronous_commit": "remote_apply"})
    with pytest.raises(StartRefused, match=f"{name}=off.*HOLDFAST_THROWAWAY_DATA=1"):
        require_durability(safe | {name: "off"})


@pytest.fixture(scope="module")
def durable_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a migrated database on a server that loses nothing."""
    with EmbeddedPostgres.start(tmp_path_factory.mktemp("durable")) as server:
        server.create_database("durable")
        migrate(settings_for(server.url("durable")))
        yield server.url("durable")


async def test_a_durable_server_is_accepted(durable_url: str) -> None:
    database = Database(durable_url, connections=2, statement=SECOND, throwaway=False)

    await database.open(head=HEAD)

    assert await database.fetch(ONE, {"answer": 1}) == [(1,)]
    await database.close()


async def test_a_session_that_would_not_wait_for_the_disk_is_refused(durable_url: str) -> None:
    url = make_conninfo(durable_url, options="-c synchronous_commit=off")
    database = Database(url, connections=2, statement=SECOND, throwaway=False)

    with pytest.raises(StartRefused, match="with synchronous_commit=off and"):
        await database.open(head=HEAD)


async def test_a_server_that_stops_being_durable_serves_no_new_connection(
    durable_url: str,
) -> None:
    database = Database(durable_url, connections=1, statement=SECOND, throwaway=False)
    await database.open(head=HEAD)
    rows(durable_url, "alter database durable set synchronous_commit = off")
    try:
        rows(
            durable_url,
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'holdfast-availability'",
        )
        with pytest.raises(StoreUnavailable):
            await database.fetch(ONE, {"answer": 1})
    finally:
        rows(durable_url, "alter database durable reset synchronous_commit")
        await database.close()


async def test_a_callers_cancellation_leaves_its_statement_and_connection_whole(
    database_url: str,
) -> None:
    async with opened(database_url, connections=1) as database:
        first = asyncio.create_task(database.fetch(SLEEP, {"seconds": 0.1}))
        second = asyncio.create_task(database.fetch(ONE, {"answer": 1}))
        await asyncio.wait([first], timeout=0.01)
        first.cancel()

        with pytest.raises(asyncio.CancelledError):
            await first
        assert await second == [(1,)]
        (pid,) = await database.fetch("select pg_backend_pid() where %(x)s = 1", {"x": 1})
        assert await database.fetch("select pg_backend_pid() where %(x)s = 1", {"x": 1}) == [pid]


async def test_a_connection_is_not_waited_for_past_the_deadline(database_url: str) -> None:
    async with opened(database_url, connections=1) as database:
        busy = asyncio.create_task(database.fetch(SLEEP, {"seconds": 0.5}))
        await asyncio.wait([busy], timeout=0.05)

        async def impatient(seconds: float) -> None:
            deadline.begin(seconds)
            await database.fetch(ONE, {"answer": 1})

        with pytest.raises(Overloaded):
            await asyncio.create_task(impatient(0.1))
        with pytest.raises(DeadlinePassed):
            await asyncio.create_task(impatient(0))
        await busy


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(database_url: str) -> None:
    async with opened(database_url, connections=1, statement=SECOND / 5) as database:
        with pytest.raises(StoreUnavailable, match="took too long"):
            await database.fetch(SLEEP, {"seconds": 20})
        assert await database.fetch(ONE, {"answer": 1}) == [(1,)]


TROUBLES: dict[str, tuple[str, type[Failure], str]] = {
    "serialization failure": ("40001", Contended, "try the whole call again"),
    "deadlock": ("40P01", Contended, "try the whole call again"),
    "lock timeout": ("55P03", Contended, "try the whole call again"),
    "statement timeout": ("57014", StoreUnavailable, "took too long"),
    "disk full": ("53100", Overloaded, "out of room"),
    "too many connections": ("53300", Overloaded, "out of room"),
    "read only": ("25006", StoreUnavailable, "takes no writes"),
    "cannot read a block": ("58030", StoreUnavailable, "cannot be reached"),
}


@pytest.mark.parametrize(("state", "kind", "text"), TROUBLES.values(), ids=TROUBLES)
async def test_each_trouble_of_the_server_is_told_in_our_words(
    database_url: str, state: str, kind: type[Failure], text: str
) -> None:
    async with opened(database_url, connections=2) as database:
        with pytest.raises(kind, match=text):
            await database.fetch("select must_raise(%(state)s)", {"state": state})
        assert await database.fetch(ONE, {"answer": 1}) == [(1,)]


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_contention_is_retried_a_bounded_number_of_times(
    database: Database, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    with pytest.raises(Contended):
        await database.fetch("select must_raise(%(state)s)", {"state": state})

    assert [record.message for record in caplog.records] == ["store asked for a retry"] * 4


async def test_a_bug_is_not_taken_for_trouble(database: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        await database.fetch("select from nowhere where %(x)s = 1", {"x": 1})


@pytest.fixture(scope="module", autouse=True)
def _raising(database_url: str) -> None:
    """A function that fails as a disk would that is full."""
    rows(
        database_url,
        "create or replace function must_raise(state text) returns int language plpgsql as"
        " $$ begin raise exception using errcode = state, message = 'as told'; end $$",
    )


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A migrated database on a server that tests start and stop: its address and its folder."""
    folder = tmp_path_factory.mktemp("doomed") / "postgres"
    with EmbeddedPostgres.start(folder) as server:
        server.create_database("doomed")
        url = server.url("doomed")
        migrate(settings_for(url))
    return url, folder


async def test_a_killed_server_makes_calls_unavailable_and_is_found_again(
    doomed: tuple[str, Path],
) -> None:
    url, folder = doomed
    server = EmbeddedPostgres.start(folder)
    async with opened(url, connections=4) as database:
        assert await database.fetch(ONE, {"answer": 1}) == [(1,)]
        in_flight = [asyncio.create_task(database.fetch(SLEEP, {"seconds": 30})) for _ in range(3)]
        await asyncio.wait(in_flight, timeout=0.1)
        for pid in processes_in(folder / "cluster"):
            os.kill(pid, signal.SIGKILL)

        for call in in_flight:
            with pytest.raises(StoreUnavailable):
                await call
        with pytest.raises(StoreUnavailable):
            await database.fetch(ONE, {"answer": 1})

        server.stop()
        with EmbeddedPostgres.start(folder):
            async with asyncio.timeout(5):
                assert await first_answer(database) == [(1,)]
            # Once it is back, it is back for everybody.
            found = await asyncio.gather(*(database.fetch(ONE, {"answer": 1}) for _ in range(20)))
            assert found == [[(1,)]] * 20


async def first_answer(database: Database) -> list[tuple[int, ...]]:
    while True:
        try:
            return await database.fetch(ONE, {"answer": 1})
        except StoreUnavailable:
            continue


async def test_a_restart_between_calls_fails_no_call(doomed: tuple[str, Path]) -> None:
    url, folder = doomed
    with EmbeddedPostgres.start(folder):
        database = Database(url, connections=4, statement=SECOND * 5, throwaway=True)
        await database.open(head=HEAD)
        await asyncio.gather(*(database.fetch(SLEEP, {"seconds": 0.05}) for _ in range(4)))

    with EmbeddedPostgres.start(folder):
        found = await asyncio.gather(*(database.fetch(ONE, {"answer": 1}) for _ in range(8)))

        assert found == [[(1,)]] * 8
        await database.close()


async def test_a_stopped_server_holds_nobody_for_long_and_is_used_again(
    doomed: tuple[str, Path],
) -> None:
    url, folder = doomed
    with EmbeddedPostgres.start(folder):
        async with opened(url, connections=2, statement=SECOND / 2) as database:
            await database.fetch(ONE, {"answer": 1})
            stopped = processes_in(folder / "cluster")
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            try:
                begun = asyncio.get_running_loop().time()
                with pytest.raises((StoreUnavailable, Overloaded)):
                    await database.fetch(ONE, {"answer": 1})
                assert asyncio.get_running_loop().time() - begun < 10
            finally:
                for pid in stopped:
                    os.kill(pid, signal.SIGCONT)

            async with asyncio.timeout(5):
                assert await first_answer(database) == [(1,)]


async def test_only_keys_past_their_time_are_purged(
    database: Database, database_url: str, organization: str
) -> None:
    rows(
        database_url,
        "insert into request_keys select %s, 'CreateBooking', gen_random_uuid(), '', '',"
        " now() - n * interval '1 hour' from generate_series(1, 48) n",
        organization,
    )

    deleted = await purge(database, batch=10)

    left = rows(
        database_url,
        "select count(*), min(created_at) > now() - interval '25 hours' from request_keys"
        " where organization_id = %s",
        organization,
    )
    assert deleted >= 24
    assert left == [(24, True)]


async def test_a_snapshot_sees_one_moment_and_writes_nothing(
    database: Database, database_url: str, organization: str
) -> None:
    count = "select count(*) from feeds where organization_id = %s"
    async with database.snapshot() as connection:
        before = await (await connection.execute(count, (organization,))).fetchone()
        rows(database_url, "insert into feeds values (%s, 1)", organization)
        after = await (await connection.execute(count, (organization,))).fetchone()

        assert before == after == (0,)

    with pytest.raises(StoreUnavailable, match="takes no writes"):
        async with database.snapshot() as connection:
            await connection.execute("delete from feeds")
