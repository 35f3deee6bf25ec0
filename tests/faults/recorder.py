"""Sends calls and writes down what became of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import psycopg

from holdfast.availability.v1 import availability_pb2_grpc, booking_pb2_grpc
from tests.contract.availability.world import read_refusal
from tests.faults.history import Answered, Call, History, Lost, Outcome, Refused, Sighting

_PATIENCE_SECONDS = 20.0
_LOOK_SECONDS = 0.02
# Of these alone nobody knows what became of the call.
_UNKNOWN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
    }
)


class Recorder:
    """Calls several servers of one store, each call one of them in turn."""

    def __init__(self, history: History, channels: Sequence[grpc.aio.Channel]) -> None:
        self.history = history
        self._stubs = [
            (
                availability_pb2_grpc.AvailabilityServiceStub(channel),
                booking_pb2_grpc.BookingServiceStub(channel),
            )
            for channel in channels
        ]
        self._turn = 0

    async def call(
        self, method: str, request: Any, *, give_up_after: float | None = None
    ) -> Outcome:
        """Sends a request; ``give_up_after`` seconds the caller loses interest."""
        availability, bookings = self._stubs[self._turn % len(self._stubs)]
        self._turn += 1
        stub = availability if hasattr(availability, method) else bookings
        started = time.monotonic()
        sent = getattr(stub, method)(request, timeout=_PATIENCE_SECONDS)
        if give_up_after is not None:
            asyncio.get_running_loop().call_later(give_up_after, sent.cancel)
        outcome: Outcome = Lost(grpc.StatusCode.CANCELLED)
        try:
            outcome = await _outcome(sent)
        finally:
            self.history.calls.append(Call(method, request, started, time.monotonic(), outcome))
        return outcome


async def _outcome(sent: Any) -> Outcome:
    try:
        return Answered(await sent)
    except grpc.aio.AioRpcError as error:
        if error.code() in _UNKNOWN:
            return Lost(error.code())
        refusal = read_refusal(error)
        return Refused(refusal.reason, refusal.metadata)
    except asyncio.CancelledError:
        if not sent.cancelled() or (task := asyncio.current_task()) is None or task.cancelling():
            raise
        return Lost(grpc.StatusCode.CANCELLED)


@asynccontextmanager
async def watching(history: History, url: str, organization_id: str) -> AsyncIterator[None]:
    """Looks at the outbox again and again, as one does who tails it."""
    task = asyncio.create_task(_keep_looking(history, url, organization_id))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep_looking(history: History, url: str, organization_id: str) -> None:
    newest = 0
    while True:
        with suppress(psycopg.OperationalError):
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                while True:
                    newest = await look(history, connection, organization_id, newest)
                    await asyncio.sleep(_LOOK_SECONDS)
        await asyncio.sleep(_LOOK_SECONDS)


async def look(
    history: History,
    connection: psycopg.AsyncConnection[Any],
    organization_id: str,
    known: int = 0,
) -> int:
    """Looks at what follows a feed number, once; returns the newest."""
    started = time.monotonic()
    cursor = await connection.execute(
        "select max(feed), count(distinct feed) from outbox"
        " where organization_id = %s and feed > %s",
        (organization_id, known),
    )
    row = await cursor.fetchone()
    highest, number = row if row and row[1] else (known, 0)
    sighting = Sighting(started, time.monotonic(), known + 1, highest, number)
    history.sightings.append(sighting)
    return int(highest)
