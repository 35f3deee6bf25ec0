"""Days in memory when the store restarts, hangs, goes away, or comes back with less."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import grpc
import pytest

from services.availability.bootstrap import migrate
from shared.embedded.folder import processes_in
from shared.embedded.postgres import EmbeddedPostgres
from tests.contract.availability.conftest import StillSettings, served
from tests.contract.availability.watching import Watcher, stored, watching
from tests.contract.availability.world import (
    HOUR,
    Caller,
    FakeCatalog,
    Refusal,
    read_refusal,
    running,
)
from tests.integration.availability.database import rows, settings_for

MONDAY = date(2027, 3, 8)
DATES = [MONDAY, MONDAY + timedelta(days=1)]
NINE = datetime(2027, 3, 8, 9, tzinfo=UTC)
STUDIO = ["studio-a"]
# From when on a read may not be answered from memory.
BOUND = 1.0
PATIENCE = 20.0


class Store:
    """A PostgreSQL that a test stops and starts; its data stays."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: EmbeddedPostgres | None = EmbeddedPostgres.start(folder)
        self._server.create_database("days")
        self.url = self._server.url("days")
        migrate(settings_for(self.url))

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def start(self) -> None:
        if self._server is None:
            self._server = EmbeddedPostgres.start(self._folder)

    def signal(self, number: signal.Signals) -> None:
        for pid in processes_in(self._folder / "cluster"):
            with suppress(ProcessLookupError):  # those that serve a connection come and go
                os.kill(pid, number)


@pytest.fixture(scope="module")
def made_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(tmp_path_factory.mktemp("outage") / "postgres")
    yield store
    store.stop()


@pytest.fixture
def store(made_store: Store) -> Iterator[Store]:
    """A running one; it runs again afterwards, whatever became of the test."""
    yield made_store
    made_store.signal(signal.SIGCONT)
    made_store.start()


@pytest.fixture
async def caller(store: Store) -> AsyncIterator[Caller]:
    catalog = FakeCatalog()
    async with running(catalog) as address:
        settings = StillSettings(
            postgres_url=store.url, catalog_address=address, throwaway_data=True
        )
        async with served(settings) as caller:
            catalog.offer(caller.organization_id)
            yield caller


def now() -> float:
    return asyncio.get_running_loop().time()


async def question(caller: Caller, method: str) -> Refusal | None:
    """Asks once; nothing where it was answered."""
    asked: dict[str, Any] = {
        "GetDays": caller.question("GetDays", NINE),
        "GetDaySlots": caller.slots_request(MONDAY),
    }
    try:
        await caller.send(method, asked[method])
    except grpc.aio.AioRpcError as error:
        return read_refusal(error)
    return None


async def is_answered_again(caller: Caller, method: str) -> None:
    begun = now()
    while await question(caller, method) is not None:
        assert now() - begun < PATIENCE


async def watched_again(caller: Caller, after: Watcher) -> Watcher:
    """Resumes as a client does, until a watch begins."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                async with watching(caller, STUDIO, DATES, after=after) as watcher:
                    await watcher.next()
                    return watcher
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017  # it went on
                await asyncio.sleep(0.02)


async def test_a_restart_is_a_reset_in_the_stream(caller: Caller, store: Store) -> None:
    await caller.book(NINE)
    async with watching(caller, STUDIO, DATES) as watcher:
        await watcher.next()
        store.stop()
        store.start()

        told = await watcher.next()
        await caller.book(NINE + HOUR)
        changed = await watcher.next()

        assert (told.event, told.version) == ("RESET", 1)
        assert (changed.event, changed.after, changed.version) == ("CHANGES", 1, 2)
        assert watcher.state == await stored(caller, STUDIO, DATES)


async def test_a_token_from_before_a_restart_is_reset(caller: Caller, store: Store) -> None:
    async with watching(caller, STUDIO, DATES) as watcher:
        await watcher.next()
    store.stop()
    store.start()
    await caller.book(NINE)

    again = await watched_again(caller, watcher)

    assert again.messages[0].event == "RESET"
    assert again.state == await stored(caller, STUDIO, DATES)


@pytest.mark.parametrize("trouble", ["gone", "hung"])
async def test_an_outage_is_unavailable_for_reads_and_watches_and_both_recover(
    caller: Caller, store: Store, trouble: str
) -> None:
    await caller.book(NINE)
    assert await question(caller, "GetDays") is None
    async with watching(caller, STUDIO, DATES) as watcher:
        await watcher.next()
        if trouble == "gone":
            store.stop()
        else:
            store.signal(signal.SIGSTOP)
        await asyncio.sleep(BOUND)
        async with watching(caller, STUDIO, DATES) as late:
            refusals = await asyncio.gather(
                question(caller, "GetDays"),
                question(caller, "GetDaySlots"),
                watcher.refusal(),
                late.refusal(),
            )
    if trouble == "gone":
        store.start()
    else:
        store.signal(signal.SIGCONT)

    await asyncio.gather(
        is_answered_again(caller, "GetDays"), is_answered_again(caller, "GetDaySlots")
    )
    again = await watched_again(caller, watcher)

    for refusal in refusals:
        assert refusal is not None
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    assert again.messages[0].event == ("RESET" if trouble == "gone" else "BOOKMARK")
    assert again.state == await stored(caller, STUDIO, DATES)
    await caller.book(NINE + HOUR)
    assert len((await caller.busy(MONDAY, MONDAY))[MONDAY]) == 8


LOST: dict[str, LiteralString] = {
    "the newest commits are gone": (
        "delete from outbox where feed > 1; update feeds set number = 1;"
        " update days set version = 1, busy = b'1' || repeat('0', 95)::bit(95)"
    ),
    "a part of the feed is gone": (
        "update outbox set feed = 5 where feed = 3; update feeds set number = 5;"
        " update days set version = 5, busy = b'1' || repeat('0', 95)::bit(95)"
    ),
}


@pytest.mark.parametrize("with_restart", [False, True], ids=["at once", "after a restart"])
@pytest.mark.parametrize("lost", LOST)
async def test_what_the_store_lost_is_taken_back(
    caller: Caller, store: Store, lost: str, *, with_restart: bool
) -> None:
    rows(store.url, "truncate outbox, feeds, days, bookings, booking_items, booking_history")
    for number in range(3):
        await caller.book(NINE + number * HOUR)
    async with watching(caller, STUDIO, DATES) as watcher:
        await watcher.next()
        assert len(watcher.busy("studio-a", MONDAY)) == 12
        if with_restart:
            store.stop()
            store.start()
        rows(store.url, LOST[lost])

        told = await watcher.next()
        days = await stored(caller, STUDIO, DATES)

    assert told.event == "RESET"
    assert watcher.busy("studio-a", MONDAY) == [0]
    assert watcher.state == days
