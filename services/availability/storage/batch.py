"""Statements that travel together: one wait for all of them, however many they are.

The driver's own pipeline gives each statement a turn of the event loop, with its own watch of the
socket: at ten statements a transaction that cost more than the transaction. Here statements are
put one after the other into the connection's buffer, and the loop is asked once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, LiteralString, NamedTuple

import psycopg
from psycopg import errors
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult

from services.availability.storage.session import Connection

_NAMED: Final = re.compile(r"%\((\w+)\)s")
_FAILED: Final = frozenset({ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED})


class _Statement(NamedTuple):
    """A statement as the server knows it."""

    name: bytes
    text: bytes
    parameters: Sequence[str]


class Reply:
    """The rows of a statement, once its batch has run."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []


class Batch:
    """Gathers statements for a connection that nobody else uses, and runs them together.

    Each distinct text is prepared once a connection. Parameters are text, and their types are
    those that the server infers; rows come as Python's own types. Transactions are the caller's
    to begin and to commit.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: list[tuple[_Statement, Sequence[bytes], Reply]] = []

    def send(self, text: LiteralString, **parameters: str | int) -> Reply:
        """Adds a statement; its rows are in the reply once ``run`` has returned."""
        found = _statement(text)
        values = [str(parameters[name]).encode() for name in found.parameters]
        reply = Reply()
        self._waiting.append((found, values, reply))
        return reply

    async def run(self) -> None:
        """Runs what was added since the last time.

        Raises:
            psycopg.Error: One failed, and none after it was run; or the connection broke. What
                the connection has prepared is not known any more: nobody may go on with it.
        """
        # Until every statement has succeeded: what was to be prepared may not be.
        self._connection.is_spoilt = True
        replies = self._send()
        results = await self._results(len(replies))
        self._connection.pgconn.exit_pipeline_mode()
        transformer = Transformer.from_context(self._connection)
        for reply, result in zip(replies, results, strict=True):
            if result.status in _FAILED:
                raise errors.error_from_result(result)
            if reply is not None and result.ntuples:
                transformer.set_pgresult(result)
                reply.rows = transformer.load_rows(0, result.ntuples, tuple)
        self._connection.is_spoilt = False

    def _send(self) -> list[Reply | None]:
        """Puts everything into the connection's buffer; a preparation has no reply."""
        pgconn, prepared = self._connection.pgconn, self._connection.prepared
        replies: list[Reply | None] = []
        pgconn.enter_pipeline_mode()
        for (name, text, _), values, reply in self._waiting:
            if name not in prepared:
                prepared.add(name)
                pgconn.send_prepare(name, text)
                replies.append(None)
            pgconn.send_query_prepared(name, values, result_format=Format.BINARY)
            replies.append(reply)
        pgconn.pipeline_sync()
        self._waiting = []
        return replies

    async def _results(self, count: int) -> list[PGresult]:
        pgconn = self._connection.pgconn
        results: list[PGresult] = []
        try:
            while pgconn.flush():
                # More than the socket takes at once. A server that cannot send its answers reads
                # nothing either: both ways are watched.
                await _ready(pgconn.socket, is_writing=True)
                pgconn.consume_input()
            while True:
                while pgconn.is_busy():
                    await _ready(pgconn.socket)
                    pgconn.consume_input()
                result = pgconn.get_result()
                if result is None:
                    _require_whole(pgconn)  # else it is the end of one statement's results
                elif result.status == ExecStatus.PIPELINE_SYNC:
                    break
                else:
                    results.append(result)
        except psycopg.OperationalError as lost:
            # The server may have said why before it went.
            for result in results:
                if result.status == ExecStatus.FATAL_ERROR:
                    raise errors.error_from_result(result) from lost
            raise
        assert len(results) == count  # each has exactly one, be it that it was not run
        return results


def _require_whole(pgconn: PGconn) -> None:
    if pgconn.status == ConnStatus.BAD:
        raise psycopg.OperationalError("the connection is lost")


async def _ready(socket: int, *, is_writing: bool = False) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.add_reader(socket, _wake, future)
    if is_writing:
        loop.add_writer(socket, _wake, future)
    try:
        await future
    finally:
        loop.remove_reader(socket)
        if is_writing:
            loop.remove_writer(socket)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@lru_cache(maxsize=256)
def _statement(text: str) -> _Statement:
    names: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    numbered_text = _NAMED.sub(numbered, text).encode()
    name = f"holdfast_{blake2b(numbered_text, digest_size=8).hexdigest()}"
    return _Statement(name.encode(), numbered_text, names)
