"""What is done to the store while clients are at work."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from shared.embedded.folder import processes_in

_COMMITTED = b"COMMIT\x00"
_PAUSE_SECONDS = (0.1, 0.8)


class Cutter:
    """Stands between service and store, and sometimes swallows the word that all is done."""

    def __init__(self, url: str, seed: int, likelihood: float) -> None:
        self._server = conninfo_to_dict(url)
        self._random = random.Random(seed)
        self._likelihood = likelihood
        self.is_armed = False
        self.cuts = 0

    @asynccontextmanager
    async def address(self) -> AsyncIterator[str]:
        """The address to use in place of the store's."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        # A connection says whether it wants TLS, and a local server has none.
        changes = {"host": "127.0.0.1", "port": port, "sslmode": "disable"}
        try:
            yield make_conninfo("", **(self._server | changes))
        finally:
            listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream, downstream = await self._connected()
        except OSError:
            writer.transport.abort()
            return
        with suppress(OSError):
            await asyncio.gather(_pump(reader, downstream), self._replies(upstream, writer))
        downstream.close()
        writer.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host = str(self._server.get("host") or "localhost")
        port = int(self._server.get("port") or 5432)
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _replies(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await upstream.read(65_536):
            is_end = self.is_armed and _COMMITTED in chunk
            if is_end and self._random.random() < self._likelihood:
                self.cuts += 1
                writer.transport.abort()
                return
            writer.write(chunk)
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65_536):
        writer.write(chunk)
    writer.close()


@asynccontextmanager
async def terminating(url: str, seed: int) -> AsyncIterator[list[int]]:
    """Ends a backend of the service now and then; yields how many, as a list that grows."""
    ended: list[int] = []
    task = asyncio.create_task(_keep_terminating(url, random.Random(seed), ended))
    try:
        yield ended
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep_terminating(url: str, source: random.Random, ended: list[int]) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while True:
            await asyncio.sleep(source.uniform(*_PAUSE_SECONDS))
            cursor = await connection.execute(
                "select pid, pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and application_name = 'holdfast-availability'"
                " order by random() limit 1"
            )
            ended += [pid for pid, is_ended in await cursor.fetchall() if is_ended]


def kill(cluster: Path) -> int:
    """Kills every process of a PostgreSQL at once; returns how many there were."""
    pids = processes_in(cluster)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)
