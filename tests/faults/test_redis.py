"""The Redis that presence keeps holds in is killed, or answers slowly: bookings do not mind."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from urllib.parse import unquote

import grpc
import pytest

from holdfast.common.v1 import watch_pb2
from shared.client.address import Address
from shared.client.client import Client as Sdk
from shared.client.hold import HoldState
from shared.embedded.valkey import EmbeddedValkey
from tests.contract.availability.conftest import StillSettings, served
from tests.contract.availability.engine import MONDAY, NINE, QUARTER
from tests.contract.availability.holding import counts, free_port, presence_of
from tests.contract.availability.world import HOUR, Caller, FakeCatalog, length, running
from tests.contract.presence.client import Client, until

BACK_SECONDS = 6
SLOWER_SECONDS = 0.06
_TURNS = 25


class SlowLine:
    """Carries bytes to a store, each answer late by as much as it is told."""

    def __init__(self, store: EmbeddedValkey) -> None:
        self.delay_seconds = 0.0
        self._path = unquote(store.url.removeprefix("unix://").partition("?")[0])

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        there, back = await asyncio.open_unix_connection(self._path)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, back, is_answer=False))
                both.create_task(self._pump(there, writer, is_answer=True))
        except* (OSError, EOFError):
            pass  # one side has gone
        finally:
            back.close()
            writer.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        while some := await source.read(65_536):
            if is_answer and self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            sink.write(some)
            await sink.drain()
        raise EOFError  # ends the other direction, too


@dataclass
class Stage:
    """Both services of one organization, and somebody who books one free hour after the other."""

    caller: Caller
    presence: Client
    metrics_port: int
    made: int = 0

    async def book(self) -> float:
        """Books; returns how long it took."""
        begin = time.monotonic()
        await self.caller.book(self.start + self.made * HOUR)
        self.made += 1
        return time.monotonic() - begin

    @property
    def start(self) -> datetime:
        """Far from what is held."""
        return NINE + timedelta(days=2)

    async def checks(self) -> dict[str, float]:
        return await counts(self.metrics_port, "holdfast_hold_checks")


class Store:
    """A Valkey that comes back without its data where it was killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.valkey = EmbeddedValkey.start(folder)

    def kill(self) -> None:
        self.valkey.process.send(signal.SIGKILL)
        self.valkey.process.wait(timedelta(seconds=10))

    def restart(self) -> None:
        self.valkey.stop()
        self.valkey = EmbeddedValkey.start(self._folder)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store that the test may hurt."""
    store = Store(tmp_path / "valkey")
    yield store
    store.valkey.stop()


@asynccontextmanager
async def staged(faults_url: str, store_url: str) -> AsyncIterator[Stage]:
    """Both services over a database and a store."""
    catalog, port = FakeCatalog(), free_port()
    async with running(catalog) as address, presence_of(store_url, address) as presence:
        settings = StillSettings(
            postgres_url=faults_url,
            catalog_address=address,
            throwaway_data=True,
            presence_address=presence.address,
            metrics_listen=f"127.0.0.1:{port}",
        )
        async with served(settings) as caller:
            caller.organization_id = f"org-{uuid.uuid4().hex}"
            catalog.offer(caller.organization_id, slot_interval=length(QUARTER))
            client = Client(presence.channel, caller.organization_id, presence.address)
            yield Stage(caller, client, port)


async def test_redis_killed_bookings_go_on_watches_reset_and_holds_come_back(
    faults_url: str, store: Store
) -> None:
    async with staged(faults_url, store.valkey.url) as stage:
        places = {"presence": Address(stage.presence.address, "the test")}
        async with (
            Sdk(places, stage.presence.organization_id) as holder,
            holder.hold("studio-a", NINE, HOUR) as hold,
        ):
            await hold.settled()
            watch = stage.presence.watch(dates=(MONDAY,))
            await watch.told()
            token = watch.token
            watch.cancel()
            await stage.book()

            store.kill()
            for _ in range(20):
                await stage.book()
            unchecked = await stage.checks()

            store.restart()
            begin = time.monotonic()
            await until(lambda: _is_held(stage), poll_seconds=0.05)
            back = time.monotonic() - begin
            state = hold.state
            told = await _first_of_resumed(stage, token)

    assert sum(unchecked.values()) == 21
    assert unchecked.pop("answered") == 1
    assert set(unchecked) <= {"unavailable", "timeout", "paused"}
    assert back <= BACK_SECONDS
    assert state is HoldState.HELD
    assert told == watch_pb2.WATCH_EVENT_RESET


async def test_redis_slow_keeps_bookings_up_for_the_check_s_time_at_most(
    faults_url: str, store: Store, tmp_path: Path
) -> None:
    line, path = SlowLine(store.valkey), tmp_path / "slow"
    async with (
        await asyncio.start_unix_server(line.carry, path),
        staged(faults_url, f"unix://{path}") as stage,
    ):
        await stage.book()
        usual = [await stage.book() for _ in range(_TURNS)]
        line.delay_seconds = 0.3
        slow = [await stage.book() for _ in range(_TURNS)]
        found = await stage.checks()
        line.delay_seconds = 0

    # Most often the first five wait, and those after them find that nobody is asked.
    assert found["timeout"] >= 5
    assert found["timeout"] + found["paused"] >= _TURNS
    assert median(slow[:5]) <= median(usual) + SLOWER_SECONDS
    assert median(slow) <= median(usual) + SLOWER_SECONDS


async def _is_held(stage: Stage) -> bool:
    try:
        return await stage.presence.spans(dates=(MONDAY,)) == ["studio-a 09:00-10:00"]
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017  # else no retry
        return False


async def _first_of_resumed(stage: Stage, token: bytes) -> int:
    """Resumes a watch; returns what its first message is."""
    while True:
        watch = stage.presence.watch(dates=(MONDAY,), token=token)
        try:
            return (await watch.read()).event
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017  # else no retry
        finally:
            watch.cancel()
