"""Bookings beside a Redis that is killed, or answers slowly."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from shared.embedded.valkey import EmbeddedValkey
from tests.contract.availability.conftest import StillSettings, served
from tests.contract.availability.engine import NINE, QUARTER
from tests.contract.availability.holding import counts, free_port, presence_of
from tests.contract.availability.world import HOUR, Caller, FakeCatalog, length, running
from tests.contract.presence.client import Client

_SLOW_SECONDS = 0.3
_POLL_SECONDS = 0.05
WAITS: Final = 5
"""Checks that go without an answer, until checks pause."""


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

    async def checks(self) -> Counter[str]:
        """How the hold checks of bookings were answered, by outcome."""
        found = await counts(self.metrics_port, "holdfast_hold_checks")
        return Counter({outcome: int(count) for outcome, count in found.items()})

    async def until_checked(self) -> None:
        """Books until holds are asked for again."""
        before = (await self.checks())["answered"]
        while (await self.checks())["answered"] == before:
            await self.book()
            await asyncio.sleep(_POLL_SECONDS)


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


@dataclass
class Slowed:
    """How long bookings took, in seconds.

    Attributes:
        usual: While the store answered at once.
        slow: While it did not.
        checks: How those were answered that were asked meanwhile, by outcome.
    """

    usual: list[float] = field(default_factory=list)
    slow: list[float] = field(default_factory=list)
    checks: Counter[str] = field(default_factory=Counter)


async def slowed(url: str, folder: Path, *, rounds: int, turns: int) -> Slowed:
    """Books while the store is quick and while it is slow, in turns.

    Args:
        url: Of availability's database.
        folder: Made for the store, which is its own, and its socket.
        rounds: How often it becomes slow.
        turns: Bookings in each half of a round; in the slow one checks pause after WAITS.
    """
    found = Slowed()
    store = EmbeddedValkey.start(folder / "valkey")
    try:
        line, path = SlowLine(store), folder / "valkey" / "slow"
        async with (
            await asyncio.start_unix_server(line.carry, path),
            staged(url, f"unix://{path}") as stage,
        ):
            for _ in range(rounds):
                await stage.until_checked()
                found.usual += [await stage.book() for _ in range(turns)]
                before = await stage.checks()
                line.delay_seconds = _SLOW_SECONDS
                found.slow += [await stage.book() for _ in range(turns)]
                found.checks += await stage.checks() - before
                line.delay_seconds = 0
    finally:
        store.stop()
    return found
