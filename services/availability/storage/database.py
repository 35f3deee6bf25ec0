"""PostgreSQL as the stores use it: a statement that is a transaction, or a transaction."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from services.availability.storage import bits, failure, session
from services.availability.storage.failure import ConnectionLost
from services.availability.storage.session import Connection
from shared.runtime.deadline import time_remaining
from shared.runtime.failure import (
    DeadlinePassed,
    Failure,
    Overloaded,
    StartRefused,
    StoreUnavailable,
)
from shared.runtime.postgres import first_line
from shared.runtime.unbroken import Unbroken

Row = tuple[Any, ...]
T = TypeVar("T")

_ATTEMPTS: Final = 4
# psycopg's pool waits longer after each failure, up to minutes; past this time it gives up
# instead, and the next call makes it try at once.
_RECONNECT_SECONDS: Final = 0.5
_WAIT_WHILE_DOWN: Final = 0.5
# Past the server's own limit: then it does not answer at all, and the connection is cut.
_GRACE_SECONDS: Final = 1.0
_CUT_SECONDS: Final = 0.3
_SNAPSHOT_STATEMENT: Final = timedelta(minutes=10)
# Then the pool looks at the spare connection again, and replaces one that is old.
_SPARED_SECONDS: Final = 60.0

logger = logging.getLogger("holdfast.availability.store")


class Database:
    """A bounded pool of connections; safe for concurrent use by tasks of one event loop.

    A caller may leave while it waits for a connection. A statement, once sent, is not disturbed
    by that: it ends by itself, bounded by the server's and our own limits, and the connection
    stays whole.
    """

    def __init__(
        self, url: str, *, connections: int, statement: timedelta, throwaway: bool
    ) -> None:
        """Connects to nothing yet.

        Args:
            url: A libpq URL.
            connections: Most at once; further statements wait for one.
            statement: How long the server works on one, and how long a free connection is
                waited for.
            throwaway: Whether the server may lose what it acknowledged.

        Raises:
            StartRefused: The URL is none.
        """
        self._seconds = statement.total_seconds()
        self._snapshot_options = session.options_for(url, _SNAPSHOT_STATEMENT, lookups_only=False)
        self._options = session.options_for(url, statement, lookups_only=True)
        self._configure = partial(session.configure, throwaway=throwaway)
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            connection_class=Connection,
            kwargs=self._options,
            min_size=min(2, connections),
            max_size=connections,
            configure=self._ready,
            reconnect_timeout=_RECONNECT_SECONDS,
            open=False,
            name="availability",
        )
        # The connection that was used last, kept out of the pool for whoever is next. The pool
        # hands out the one that has rested longest, whose server process has the least of all
        # this at hand.
        self._spare: Connection | None = None
        self._spared_until = 0.0
        # Rises when a connection is lost, and when all of them are closed: one from before is
        # left to the pool.
        self._generation = 0
        self._asking = 0
        self._is_down = False
        self._is_closed = False
        self._unbroken = Unbroken()

    async def open(self, *, head: str) -> None:
        """Connects.

        Args:
            head: The revision that the schema must have reached.

        Raises:
            StartRefused: The server cannot be reached, may lose what it acknowledged, or has
                an older schema.
        """
        try:
            async with await Connection.connect(**self._options) as connection:
                await self._configure(connection)
                await session.require_revision(connection, head)
        except psycopg.Error as error:
            raise StartRefused(f"PostgreSQL cannot be used: {first_line(error)}") from error
        try:
            await self._pool.open(wait=True, timeout=self._seconds)
        except PoolTimeout as error:
            raise StartRefused("PostgreSQL gives no second connection") from error

    async def close(self) -> None:
        """Waits for the statements in flight and disconnects."""
        await self._unbroken.finish(self._seconds)
        self._is_closed = True
        await self._give_up_spare()
        await self._pool.close()

    async def fetch(
        self,
        statement: LiteralString,
        parameters: Mapping[str, Any],
    ) -> list[Row]:
        """Runs a statement as a transaction of its own and returns its rows.

        It may run more than once: it must be a read, or carry a request key, or change
        nothing the second time.

        Args:
            statement: What to run.
            parameters: By name.

        Raises:
            Contended: Others kept the rows locked, or the server asked for too many retries.
            StoreUnavailable: The server cannot be reached, or took too long.
            Overloaded: No connection got free in time, or the server is out of room.
        """
        return await self._tried(partial(self._fetched, statement, parameters))

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Runs a transaction, begun and committed by ``work``, and returns its result.

        It runs again when the connection is lost, be it under the commit, or when the server
        asks for a retry: it must find out what it did before.

        Raises:
            Contended: Others kept rows locked, or the server asked for too many retries.
            StoreUnavailable: The server cannot be reached, or took too long: what was done last
                may have been committed.
            Overloaded: No connection got free in time, or the server is out of room.
            psycopg.Error: The server refused what it was given.
        """
        return await self._tried(work)

    async def _tried(self, attempt: Callable[[Connection], Awaitable[T]]) -> T:
        is_unsure = False
        for number in range(_ATTEMPTS):
            try:
                connection = await self._connection()
            except Overloaded as error:
                if is_unsure:
                    raise _unsure() from error
                raise
            try:
                return await self._unbroken(self._attempt(connection, attempt))
            except (psycopg.Error, ConnectionLost) as error:
                is_unsure = is_unsure or isinstance(error, ConnectionLost)
                if not await self._is_worth_a_retry(error) or number == _ATTEMPTS - 1:
                    told = _told(error)
                    if told is None:
                        raise
                    if is_unsure and not isinstance(told, StoreUnavailable):
                        told = _unsure()
                    raise told from error
        raise AssertionError  # the last attempt returned or raised

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A connection of its own, in a read-only transaction that sees one moment.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        try:
            async with await Connection.connect(**self._snapshot_options) as connection:
                await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
                await connection.set_read_only(True)
                bits.register(connection)
                # A cancelled statement would wait for a silent server's word, past its deadline.
                limit = asyncio.get_running_loop().call_later(
                    time_remaining(_SNAPSHOT_STATEMENT.total_seconds()) + _CUT_SECONDS,
                    _cut,
                    connection,
                )
                try:
                    async with connection.transaction():
                        yield connection
                finally:
                    limit.cancel()
        except psycopg.Error as error:
            told = failure.failure_of(error)
            if told is None:
                raise
            raise told from error

    async def _attempt(
        self, connection: Connection, attempt: Callable[[Connection], Awaitable[T]]
    ) -> T:
        limit = asyncio.get_running_loop().call_later(
            self._seconds + _GRACE_SECONDS, _cut, connection
        )
        try:
            return await attempt(connection)
        except psycopg.Error as error:
            if failure.is_wrong_server(error) or failure.has_forgotten(error):
                await connection.close()
            if connection.closed:
                raise ConnectionLost from error
            raise
        finally:
            limit.cancel()
            is_idle = connection.info.transaction_status is TransactionStatus.IDLE
            if connection.is_spoilt or not is_idle:
                # Not rolled back: the driver would forget what it has prepared, and mistake it
                # for prepared in the next pipeline.
                await connection.close()
            await self._put_back(connection)

    async def _fetched(
        self,
        statement: LiteralString,
        parameters: Mapping[str, Any],
        connection: Connection,
    ) -> list[Row]:
        cursor = await connection.execute(statement, parameters, binary=True)
        return await cursor.fetchall()

    async def _is_worth_a_retry(self, error: Exception) -> bool:
        if isinstance(error, ConnectionLost):
            if not self._is_down:
                self._is_down = True
                logger.warning("store connection lost", extra={"cause": str(error.__cause__)})
                # One that broke while idle is likely not the only one. They are replaced, not
                # asked: a server that hangs would not answer, and keep them all meanwhile.
                await self._give_up_spare()
                await self._pool.drain()
            return True
        if isinstance(error, psycopg.Error) and failure.is_contention(error):
            logger.warning("store asked for a retry", extra={"sqlstate": error.sqlstate})
            return True
        return False

    async def _connection(self) -> Connection:
        seconds = time_remaining(self._seconds)
        if seconds <= 0:
            raise DeadlinePassed
        if self._is_down:
            seconds = min(seconds, _WAIT_WHILE_DOWN)
        spare, self._spare = self._spare, None
        if spare is not None:
            return spare
        self._asking += 1
        try:
            connection = await self._pool.getconn(seconds)
        except PoolClosed as error:
            raise StoreUnavailable("the server is stopping") from error
        except PoolTimeout as error:
            if self._is_down:
                raise StoreUnavailable("the store cannot be reached") from error
            raise Overloaded("no connection to the store got free in time") from error
        finally:
            self._asking -= 1
        connection.generation = self._generation
        return connection

    async def _put_back(self, connection: Connection) -> None:
        now = asyncio.get_running_loop().time()
        is_due = now >= self._spared_until
        if is_due:
            self._spared_until = now + _SPARED_SECONDS
        is_old = connection.closed or connection.generation != self._generation
        if is_due or is_old or self._asking or self._is_closed or self._spare is not None:
            await self._pool.putconn(connection)
        else:
            self._spare = connection

    async def _give_up_spare(self) -> None:
        self._generation += 1
        spare, self._spare = self._spare, None
        if spare is not None:
            await self._pool.putconn(spare)

    async def _ready(self, connection: Connection) -> None:
        await self._configure(connection)
        if self._is_down:
            self._is_down = False
            logger.info("store connected again")


def _unsure() -> StoreUnavailable:
    """Returns what is told once a connection was lost: what it did may have been committed.

    Any other refusal would say that nothing was written.
    """
    return StoreUnavailable("the store cannot be reached")


def _told(error: Exception) -> Failure | None:
    """Returns what the caller is told; None for what can only be a bug."""
    cause = error.__cause__ if isinstance(error, ConnectionLost) else error
    return failure.failure_of(cause) if isinstance(cause, psycopg.Error) else None


def _cut(connection: Connection) -> None:
    # Closing it here would leave the task that waits for it asleep: a shut socket wakes it.
    with (
        suppress(OSError, psycopg.OperationalError),
        socket.socket(fileno=os.dup(connection.fileno())) as twin,
    ):
        twin.shutdown(socket.SHUT_RDWR)
