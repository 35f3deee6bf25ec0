"""What may have been committed is never told as if it had not been."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.runtime.failure import StoreUnavailable
from tests.faults.fault import Cutter
from tests.integration.availability.database import opened, rows


async def test_a_commit_that_was_not_heard_of_is_no_overload(faults_url: str) -> None:
    cutter = Cutter(faults_url, seed=1, likelihood=1.0)

    async def write(connection: Any) -> None:
        await connection.execute("begin")
        await connection.execute("insert into feeds values ('cut', 1, 0) on conflict do nothing")
        await connection.execute("commit")

    second = timedelta(seconds=1)
    async with (
        cutter.address() as address,
        opened(address, connections=1, statement=second) as database,
    ):
        cutter.is_armed = True
        writing = asyncio.create_task(database.run(write))
        # They wait for the one connection, and have it for too long before it can be asked again.
        rivals = [asyncio.create_task(database.fetch("select pg_sleep(0.9)", {})) for _ in range(3)]

        with pytest.raises(StoreUnavailable):
            await writing

        await asyncio.gather(*rivals, return_exceptions=True)
        cutter.is_armed = False
    assert rows(faults_url, "select number from feeds where organization_id = 'cut'") == [(1,)]
