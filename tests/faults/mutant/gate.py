"""Where transactions wait for one another, between what they read and what they write."""

from __future__ import annotations

import asyncio

import psycopg

_LOOK_SECONDS = 0.002


class Meeting:
    """Two meet here: neither goes on before the other one came, or is seen to wait for a lock.

    A correct engine makes the second one wait; a broken one lets both read the same.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._both = asyncio.Event()
        self._arrived = 0
        self.is_armed = False

    async def arrive(self) -> None:
        """Waits for the other one."""
        if not self.is_armed:
            return
        self._arrived += 1
        if self._arrived > 1:
            self._both.set()
        waiting = asyncio.create_task(self.somebody_waits())
        waiting.add_done_callback(lambda _: self._both.set())
        try:
            await self._both.wait()
        finally:
            waiting.cancel()

    async def somebody_waits(self) -> None:
        """Waits until a transaction waits for a lock."""
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as look:
            while True:
                cursor = await look.execute(
                    "select count(*) from pg_stat_activity"
                    " where datname = current_database() and wait_event_type = 'Lock'"
                )
                row = await cursor.fetchone()
                if row and row[0]:
                    return
                await asyncio.sleep(_LOOK_SECONDS)


class Gate:
    """The first who comes waits until it is opened; later ones pass."""

    def __init__(self) -> None:
        self.is_armed = False
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def arrive(self) -> None:
        """Passes, or waits."""
        if self.is_armed and not self.reached.is_set():
            self.reached.set()
            await self.opened.wait()
