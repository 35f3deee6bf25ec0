"""Watches of a catalog whose database hangs, goes away and comes back."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import psycopg
import pytest

from services.catalog.bootstrap import migrate, wired
from services.catalog.settings import CatalogSettings
from shared.embedded.postgres import EmbeddedPostgres
from shared.runtime.server import started
from tests.contract.catalog.caller import Caller
from tests.contract.catalog.watching import watching
from tests.integration.catalog.test_catalog_outage import end_connections


@pytest.fixture
def mortal(data_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A database server that a test may stop."""
    server = EmbeddedPostgres.start(data_folder, throwaway=True)
    try:
        server.create_database("catalog")
        migrate(CatalogSettings(postgres_url=server.url("catalog")))
        yield server
    finally:
        if server.process.exit_code() is None:
            server.process.send(signal.SIGCONT)
            server.stop()


@pytest.fixture
async def caller(mortal: EmbeddedPostgres) -> AsyncIterator[Caller]:
    settings = CatalogSettings(
        postgres_url=mortal.url("catalog"), throwaway_data=True, listen="127.0.0.1:0"
    )
    async with (
        started(settings, wired) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        yield Caller(channel, f"org-{uuid.uuid4().hex}")


async def test_connections_that_end_are_not_noticed_by_watchers(
    mortal: EmbeddedPostgres, caller: Caller
) -> None:
    async with watching(caller) as watcher:
        await watcher.next()
        for number in range(3):
            assert end_connections(mortal.url("catalog"))
            await caller.resource(f"studio-{number}")
            await watcher.until(number + 1)

    assert {told.event for told in watcher.told[1:]} <= {"CHANGES", "BOOKMARK"}
    assert len(watcher.state) == 3


async def test_watches_end_with_the_database_and_are_told_anew_when_it_is_back(
    mortal: EmbeddedPostgres, caller: Caller, data_folder: Path
) -> None:
    await caller.resource("studio-a")
    with psycopg.connect(mortal.url(), autocommit=True) as connection:
        connection.execute("checkpoint")  # a throw-away server keeps little else
    async with watching(caller) as watcher:
        await watcher.next()
        mortal.stop()
        refusal = await watcher.refusal()
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    async with watching(caller, after=watcher) as early:
        assert (await early.refusal()).code is grpc.StatusCode.UNAVAILABLE

    again = EmbeddedPostgres.start(data_folder, throwaway=True)
    try:
        async with watching(caller, after=watcher) as resumed:
            told = await resumed.next()
            await caller.resource("studio-b")
            await resumed.until(2)
    finally:
        again.stop()

    assert told.event == "RESET"
    assert told.entries.keys() == {("resource", "studio-a")}
    assert resumed.state.keys() == {("resource", "studio-a"), ("resource", "studio-b")}
    assert [told.event for told in resumed.told if told.entries] == ["RESET", "CHANGES"]


async def test_a_database_restarted_under_a_watch_makes_it_told_anew(
    mortal: EmbeddedPostgres, caller: Caller, data_folder: Path
) -> None:
    await caller.resource("studio-a")
    with psycopg.connect(mortal.url(), autocommit=True) as connection:
        connection.execute("checkpoint")
    async with watching(caller) as watcher:
        await watcher.next()
        mortal.stop()
        again = EmbeddedPostgres.start(data_folder, throwaway=True)
        try:
            async with asyncio.timeout(15):
                while (told := await watcher.next()).event == "BOOKMARK":
                    pass
        finally:
            again.stop()

    assert told.event == "RESET"
    assert told.entries.keys() == {("resource", "studio-a")}
