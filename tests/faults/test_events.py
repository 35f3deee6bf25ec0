"""Every event is told at least once, and none is invented, though the server is killed again
and again."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import grpc
import pytest

from holdfast.availability.v1.booking_pb2 import WatchBookingsRequest
from tests.contract.availability.events import short
from tests.contract.availability.world import (
    HOUR,
    Caller,
    FakeCatalog,
    request_class,
    running,
    stamp,
)
from tests.integration.availability.database import rows

IS_FULL_DOSE: Final = os.environ.get("HOLDFAST_TEST_DOSE") == "full"
EVENTS: Final = 10_000 if IS_FULL_DOSE else 400
KILLS: Final = 30 if IS_FULL_DOSE else 3
WRITERS: Final = 8
LIFE_SECONDS: Final = 2.0
# For what must come, the start of a server included.
PATIENCE_SECONDS: Final = 60.0

# Whoever was cut off comes back soon, and finds the server where it was.
CHANNEL: Final = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
)


class Happened(NamedTuple):
    """Which event."""

    booking_id: str
    revision: int


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Server:
    """Availability as a process of its own, which does not live long."""

    url: str
    catalog: str
    port: int = field(default_factory=free_port)
    kills: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def live_and_die(self, is_over: asyncio.Event) -> None:
        """Starts it and kills it, over and over; the last one lives until it is cancelled."""
        while True:
            process = await self._started()
            try:
                await self._answers()
                try:
                    async with asyncio.timeout(LIFE_SECONDS):
                        await is_over.wait()
                except TimeoutError:
                    self.kills += 1
                else:
                    await asyncio.Event().wait()
            finally:
                process.kill()
                await process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        given = {
            "POSTGRES_URL": self.url,
            "CATALOG_ADDRESS": self.catalog,
            "LISTEN": self.address,
            "MANAGEMENT_KEY": "a key that only tests know, 32 long",
            "THROWAWAY_DATA": "1",
            "LOG_LEVEL": "ERROR",
        }
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HOLDFAST_")}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.availability"),
            env=kept | {f"HOLDFAST_{key}": value for key, value in given.items()},
        )

    async def _answers(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async with grpc.aio.insecure_channel(self.address, options=CHANNEL) as channel:
                await channel.channel_ready()


@dataclass
class Listener:
    """Follows all events, whatever becomes of the server."""

    told: list[Happened] = field(default_factory=list)
    breaks: int = 0
    kept: set[Happened] = field(default_factory=set)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, caller: Caller) -> None:
        """Goes on after the newest token each time that the stream breaks."""
        token = b""
        while True:
            request = WatchBookingsRequest(
                organization_id=caller.organization_id, resume_token=token, from_oldest=True
            )
            try:
                async for message in caller.bookings.WatchBookings(request):
                    if message.HasField("event"):
                        assert short(message)
                        self._take(Happened(message.event.booking_id, message.event.revision))
                    token = message.resume_token
            except grpc.aio.AioRpcError as error:
                require_break(error)
                self.breaks += 1
            await asyncio.sleep(0.02)

    async def until(self, count: int) -> None:
        """Waits until so many different events were told."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.kept) < count:
                self.came.clear()
                await self.came.wait()

    def _take(self, event: Happened) -> None:
        self.told.append(event)
        self.kept.add(event)
        self.came.set()


@dataclass
class Writer:
    """Makes bookings, and moves, confirms and cancels some, until each call is answered."""

    caller: Caller
    resource_id: str
    acknowledged: set[Happened] = field(default_factory=set)

    async def write(self, begin: datetime, is_over: asyncio.Event) -> None:
        """Writes until it is over."""
        number = 0
        while not is_over.is_set():
            booking_id = f"{self.resource_id}-{number}"
            start = begin + 2 * number * HOUR
            given: dict[str, Any] = {"provisional_duration": {"seconds": 3600}}
            order = self.caller.order(
                start,
                booking_id=booking_id,
                items=[{"resource_id": self.resource_id}],
                **(given if number % 4 == 1 else {}),
            )
            await self._patiently("CreateBooking", order)
            if number % 4 == 1:
                await self._change("ConfirmBooking", booking_id)
            if number % 2 == 0:
                await self._change("RescheduleBooking", booking_id, start_time=stamp(start + HOUR))
            if number % 3 == 0:
                await self._change("CancelBooking", booking_id)
            number += 1

    async def _change(self, method: str, booking_id: str, **fields: Any) -> None:
        request = request_class(method)(
            organization_id=self.caller.organization_id,
            request_id=str(uuid.uuid4()),
            booking_id=booking_id,
            **fields,
        )
        await self._patiently(method, request)

    async def _patiently(self, method: str, request: Any) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    answer = await self.caller.send(method, request, timeout=10)
                except grpc.aio.AioRpcError as error:
                    require_break(error)
                    await asyncio.sleep(0.05)
                    continue
                booking = answer.booking
                self.acknowledged.add(Happened(booking.booking_id, booking.revision))
                return


def require_break(error: grpc.aio.AioRpcError) -> None:
    """Lets pass only what a killed server explains."""
    broken = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert error.code() in broken, error


@asynccontextmanager
async def working(*work: Any) -> AsyncIterator[None]:
    """Runs work beside the block; what fails ends the test."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        yield
        for task in tasks:
            task.cancel()


@pytest.mark.timeout(3600 if IS_FULL_DOSE else 120)
async def test_ids_received_are_the_ids_committed(faults_url: str) -> None:
    catalog = FakeCatalog()
    organization = f"org-{uuid.uuid4().hex}"
    names = [f"studio-{number}" for number in range(WRITERS)]
    for name in names:
        catalog.offer(organization, name)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    written, over = asyncio.Event(), asyncio.Event()
    listeners = [Listener(), Listener()]

    async with (
        running(catalog) as catalog_address,
        grpc.aio.insecure_channel(
            (server := Server(faults_url, catalog_address)).address, options=CHANNEL
        ) as channel,
    ):
        caller = Caller(channel, organization)
        writers = [Writer(caller, name) for name in names]
        async with working(
            server.live_and_die(over), *(listener.listen(caller) for listener in listeners)
        ):
            writing = asyncio.gather(
                *(writer.write(today + timedelta(days=2), written) for writer in writers)
            )
            while server.kills < KILLS or len(listeners[0].kept) < EVENTS:
                assert not writing.done(), await writing
                await asyncio.sleep(0.1)
            written.set()
            await writing
            over.set()
            committed = [
                Happened(*row)
                for row in rows(
                    faults_url,
                    "select booking_id, revision from outbox"
                    " where organization_id = %s and booking_id <> '' order by feed, ordinal",
                    organization,
                )
            ]
            for listener in listeners:
                await listener.until(len(committed))

    acknowledged = set().union(*(writer.acknowledged for writer in writers))
    history = rows(
        faults_url,
        "select booking_id, revision from booking_history where organization_id = %s",
        organization,
    )
    assert acknowledged <= set(committed) == {Happened(*row) for row in history}
    assert len(committed) >= EVENTS
    assert server.kills >= KILLS
    for listener in listeners:
        assert listener.breaks >= KILLS
        assert listener.kept == set(committed)
        # Told again only what was told last before a break: else in the order of commits.
        assert list(dict.fromkeys(listener.told)) == committed
        assert len(listener.told) <= len(committed) + listener.breaks
