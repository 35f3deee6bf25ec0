"""A network that obeys the test: it cuts connections, freezes them, and lets nobody in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Carries bytes between a client and a server, for as long as it is told to."""

    def __init__(self) -> None:
        self.target = ""
        self.address = ""
        self.is_open = True
        self.refused = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._lines: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Breaks every connection; new ones are let in."""
        for line in list(self._lines):
            line.cancel()

    def freeze(self) -> None:
        """Carries nothing any more, in connections that stay open."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Carries again, what was said meanwhile first."""
        self._flowing.set()

    def shut(self) -> None:
        """Breaks every connection and lets nobody in."""
        self.is_open = False
        self.cut()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        line = asyncio.current_task()
        assert line is not None
        self._lines.add(line)
        try:
            self.refused += not self.is_open
            if self.is_open:
                host, _, port = self.target.rpartition(":")
                there, back = await asyncio.open_connection(host, int(port))
                try:
                    async with asyncio.TaskGroup() as both:
                        both.create_task(self._pump(reader, back))
                        both.create_task(self._pump(there, writer))
                finally:
                    back.close()
        except (OSError, asyncio.CancelledError, ExceptionGroup):
            pass  # cut, or one side has gone
        finally:
            self._lines.discard(line)
            writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while some := await source.read(65536):
            await self._flowing.wait()
            sink.write(some)
            await sink.drain()
        raise ConnectionResetError  # ends the other direction, too


@asynccontextmanager
async def proxied(target: str) -> AsyncIterator[Proxy]:
    """A network in front of a server."""
    proxy = Proxy()
    proxy.target = target
    server = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    proxy.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        proxy.thaw()
        proxy.shut()
        server.close()
        await server.wait_closed()
