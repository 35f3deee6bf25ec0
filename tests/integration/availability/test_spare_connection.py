"""The connection that was used last is used next, and keeps nobody from having one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, LiteralString

import pytest

from services.availability.storage import database as module
from services.availability.storage.database import Database
from services.availability.storage.migration import HEAD
from services.availability.storage.session import Connection
from shared.runtime.failure import StoreUnavailable
from tests.integration.availability.database import opened, rows

PID: LiteralString = "select pg_backend_pid()"
NAP: LiteralString = "select pg_backend_pid(), pg_sleep(0.05)"
LONG_NAP: LiteralString = "select pg_backend_pid(), pg_sleep(0.2)"
END_NAPS = (
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where datname = current_database() and state = 'active' and query like '%%pg_sleep(0.05)%%'"
    " and pid <> pg_backend_pid()"
)
NOTHING: Mapping[str, Any] = {}


async def pid(database: Database, text: LiteralString = PID) -> int:
    ((found, *_),) = await database.fetch(text, NOTHING)
    return int(found)


async def test_one_statement_after_the_other_has_the_same_connection(database_url: str) -> None:
    async with opened(database_url, connections=4) as database:
        crowd = set(await asyncio.gather(*(pid(database, NAP) for _ in range(4))))
        await pid(database)
        used = {await pid(database) for _ in range(10)}

    assert len(crowd) == 4
    assert len(used) == 1


async def test_it_is_given_to_who_waits(database_url: str) -> None:
    async with opened(database_url, connections=1) as database:
        for _ in range(3):
            await pid(database)
            served = await asyncio.gather(*(pid(database, NAP) for _ in range(6)))
            assert len(set(served)) == 1


async def test_all_of_the_pool_is_there_beside_it(database_url: str) -> None:
    async with opened(database_url, connections=3) as database:
        await pid(database)
        await pid(database)
        crowd = await asyncio.gather(*(pid(database, NAP) for _ in range(9)))

    assert len(set(crowd)) == 3


async def test_one_that_the_server_ended_costs_no_call(database_url: str) -> None:
    async with opened(database_url, connections=2) as database:
        await pid(database)
        spare = await pid(database)
        rows(database_url, f"select pg_terminate_backend({spare})")

        assert await pid(database) != spare


async def test_the_pool_looks_at_it_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SPARED_SECONDS", 0.0)

    async with opened(database_url, connections=2) as database:
        used = {await pid(database) for _ in range(10)}

    # Always put back: the one that has rested longest is next.
    assert len(used) == 2


async def test_one_from_before_a_loss_is_left_to_the_pool(database_url: str) -> None:
    async with opened(database_url, connections=3) as database:
        await asyncio.gather(*(pid(database, NAP) for _ in range(3)))
        old = asyncio.create_task(pid(database, LONG_NAP))
        lost = asyncio.create_task(pid(database, NAP))
        for _ in range(1_000):
            if rows(database_url, END_NAPS):
                break
            await asyncio.sleep(0)
        await lost  # it found another connection, which is the spare one now
        keeping = asyncio.create_task(pid(database, LONG_NAP))
        before = await old

        assert await pid(database) != before
        await keeping


async def test_a_database_that_is_closed_serves_nobody(database_url: str) -> None:
    database = Database(
        database_url, connections=1, statement=timedelta(seconds=0.05), throwaway=True
    )
    await database.open(head=HEAD)
    for _ in range(2):
        await pid(database)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(_: Connection) -> None:
        begun.set()
        await ended.wait()

    last = asyncio.create_task(database.run(endless))
    await begun.wait()
    await database.close()  # it does not wait for ever
    ended.set()
    await last

    with pytest.raises(StoreUnavailable):
        await pid(database)


async def test_it_is_closed_with_the_others(database_url: str) -> None:
    async with opened(database_url, connections=2) as database:
        await pid(database)
        spare = await pid(database)

    left = f"select count(*) from pg_stat_activity where pid = {spare}"
    for _ in range(100):
        if rows(database_url, left) == [(0,)]:
            break
        await asyncio.sleep(0.02)
    assert rows(database_url, left) == [(0,)]
