"""Replicas of presence as processes of their own on a store of their own, all of which may die."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

import grpc
import redis.asyncio

from services.launcher.health import is_serving
from services.launcher.listener import Listener, ReservedPort, answers
from shared.embedded.process import ChildProcess
from shared.embedded.valkey import EmbeddedValkey
from tests.contract.presence.catalog import Catalog, running_catalog
from tests.load.process import running

_HOST: Final = "127.0.0.1"
_PATIENCE: Final = timedelta(seconds=30)
_POLL_SECONDS: Final = 0.02
_CHANNEL: Final = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.use_local_subchannel_pool", 1),
)
# So little is on its way that a reader who pauses is soon behind.
SMALL_WINDOW: Final = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1_024))


class Replica:
    """One process of presence, always at the same address."""

    def __init__(self, number: int, folder: Path, variables: Mapping[str, str]) -> None:
        """Starts it; it is not ready yet."""
        self._port = ReservedPort("presence", Listener(_HOST, 0))
        self._log = folder / f"presence-{number}.log"
        self._variables = {**variables, "HOLDFAST_LISTEN": self._port.listener.address}
        self._stack = ExitStack()
        self.process = self._start()

    @property
    def target(self) -> str:
        """Its address."""
        return self._port.listener.target

    async def ready(self) -> None:
        """Waits until it serves.

        Raises:
            TimeoutError: It does not.
        """
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            while not await asyncio.to_thread(self._serves):
                if self.process.exit_code() is not None:
                    self.process = self._start()  # it found no store
                await asyncio.sleep(_POLL_SECONDS)

    def restart(self) -> None:
        """Kills it and starts it anew."""
        self.process.send(signal.SIGKILL)
        self.process.wait(_PATIENCE)
        self.process = self._start()

    def close(self) -> None:
        """Stops it."""
        self._stack.close()
        self._port.release()

    def _serves(self) -> bool:
        return answers(self._port.listener) and is_serving(self._port.listener)

    def _start(self) -> ChildProcess:
        self._stack.close()
        return self._stack.enter_context(running("services.presence", self._log, self._variables))


class Stage:
    """The replicas, their store and the catalog that they ask."""

    def __init__(self, folder: Path, catalog: str, replicas: int, **settings: object) -> None:
        """Starts everything; nothing is ready yet.

        Args:
            folder: For data and logs.
            catalog: Its address.
            replicas: How many.
            settings: Of presence, by their names.
        """
        self._store_folder = folder / "valkey"
        self._valkey = EmbeddedValkey.start(self._store_folder)
        variables = {f"HOLDFAST_{name.upper()}": str(value) for name, value in settings.items()}
        variables |= {
            "HOLDFAST_REDIS_URL": self._valkey.url,
            "HOLDFAST_CATALOG_ADDRESS": catalog,
            "HOLDFAST_LOG_LEVEL": "ERROR",
        }
        self.replicas = [Replica(number, folder, variables) for number in range(replicas)]

    @property
    def url(self) -> str:
        """Of the store."""
        return self._valkey.url

    async def restart_store(self, *, keeps_data: bool) -> None:
        """Kills the store and starts it anew, with the data of a moment ago or with none."""
        dump = self._store_folder / "dump.rdb"
        if keeps_data:
            async with redis.asyncio.Redis.from_url(self.url) as store:
                await store.save()
        else:
            dump.unlink(missing_ok=True)
        self._valkey.process.send(signal.SIGKILL)
        self._valkey.process.wait(_PATIENCE)
        self._valkey.stop()
        self._valkey = EmbeddedValkey.start(self._store_folder)
        dump.unlink(missing_ok=True)

    def channel(self, number: int, *options: tuple[str, object]) -> grpc.aio.Channel:
        """A connection of its own to a replica."""
        replica = self.replicas[number % len(self.replicas)]
        return grpc.aio.insecure_channel(replica.target, options=[*_CHANNEL, *options])

    def close(self) -> None:
        """Stops everything."""
        for replica in self.replicas:
            replica.close()
        with suppress(Exception):  # one that was killed has nothing left to say
            self._valkey.stop()


@asynccontextmanager
async def staged(folder: Path, replicas: int = 2, **settings: object) -> AsyncIterator[Stage]:
    """A stage whose replicas serve, until the block ends."""
    async with running_catalog(Catalog()) as address:
        stage = Stage(folder, address, replicas, **settings)
        try:
            for replica in stage.replicas:
                await replica.ready()
            yield stage
        finally:
            stage.close()


@asynccontextmanager
async def channels(
    stage: Stage, count: int, *options: tuple[str, object]
) -> AsyncIterator[Sequence[grpc.aio.Channel]]:
    """So many connections, each to the next replica."""
    found = [stage.channel(number, *options) for number in range(count)]
    try:
        yield found
    finally:
        for channel in found:
            await channel.close()
