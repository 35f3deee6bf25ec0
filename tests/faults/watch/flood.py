"""Watchers who do not read, and watchers who all come back at once."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from array import array
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import grpc

from holdfast.common.v1 import watch_pb2
from tests.contract.presence.client import Client, new_session
from tests.contract.presence.streams import Watching
from tests.faults.watch.stage import SMALL_WINDOW, Replica, channels, staged
from tests.load.measure import percentile

_ROOM: Final = "room"
_CONNECTIONS: Final = 10
_READERS: Final = 50
_CHANGES_A_SECOND: Final = 20
_HOUR: Final = timedelta(hours=1)
_PATIENCE_SECONDS: Final = 60.0
_JITTER_SECONDS: Final = 0.5


@dataclass(slots=True)
class Stopped:
    """What stopped watchers cost.

    Attributes:
        calm, beside: Seconds from a hold's call to a reader's message, without stopped watchers
            and beside them.
        grown_bytes: Of the server's memory, from the one to the other.
    """

    calm: array[float] = field(default_factory=lambda: array("d"))
    beside: array[float] = field(default_factory=lambda: array("d"))
    grown_bytes: int = 0

    @property
    def p99_growth(self) -> float:
        """How much later the slowest hundredth is told, as a part of what it was."""
        return percentile(self.beside, 99) / percentile(self.calm, 99) - 1


async def stopped(folder: Path, *, count: int, rounds: int, seconds: float) -> Stopped:
    """Measures readers by turns without stopped watchers and beside them.

    Args:
        folder: For the servers.
        count: Watchers who stop reading after their first message.
        rounds: How often each is measured; what drifts meets both alike.
        seconds: How long each time.
    """
    found = Stopped()
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(staged(folder, 1))
        through = await stack.enter_async_context(channels(stage, _CONNECTIONS))
        readers = [Client(channel, "flooded") for channel in through]
        await _measured(readers, seconds)  # warm
        least, most = 1 << 60, 0
        for _ in range(rounds):
            found.calm.extend(await _measured(readers, seconds))
            least = min(least, _memory(stage.replicas[0]))
            async with channels(stage, _CONNECTIONS, *SMALL_WINDOW) as narrow:
                calls = [await _opened(narrow[n % _CONNECTIONS]) for n in range(count)]
                found.beside.extend(await _measured(readers, seconds))
                most = max(most, _memory(stage.replicas[0]))
                for call in calls:
                    call.cancel()
        found.grown_bytes = max(0, most - least)
    return found


async def _measured(readers: Sequence[Client], seconds: float) -> array[float]:
    """Makes changes one after the other, and notes when each reader is told of each."""
    latencies: array[float] = array("d")
    watches = [readers[n % len(readers)].watch(_ROOM, dates=(_day(),)) for n in range(_READERS)]
    for watch in watches:
        await watch.next()
    session, client = new_session(), readers[0]
    sent = 0.0

    async def told(watch: Any) -> None:
        await watch.next()
        latencies.append(time.monotonic() - sent)

    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        waiting = [asyncio.create_task(told(watch)) for watch in watches]
        sent = time.monotonic()
        number += 1
        await client.heartbeat(session, _ROOM, start=_noon() + number % 8 * _HOUR)
        await asyncio.gather(*waiting)
        await asyncio.sleep(max(0.0, sent + 1 / _CHANGES_A_SECOND - time.monotonic()))
    await client.leave(session)
    for watch in watches:
        watch.cancel()
    return latencies


async def _opened(channel: grpc.aio.Channel) -> Any:
    """A watch that reads one message and no more."""
    watch = Client(channel, "flooded").watch(_ROOM, dates=(_day(),))
    await watch.next()
    return watch


def _memory(replica: Replica) -> int:
    """Resident bytes of a server."""
    status = Path(f"/proc/{replica.process.pid}/status").read_text("utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


async def storm(folder: Path, *, count: int, seed: int) -> list[float]:
    """Kills a server with so many watchers; they all resume on the other.

    Returns:
        Seconds from the kill until each was told something again.
    """
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(staged(folder, 2))
        source = random.Random(seed)
        # Every second connection is to the server that dies.
        both = await stack.enter_async_context(channels(stage, 2 * _CONNECTIONS))
        clients = [Client(channel, "stormed") for channel in both]
        watches = []
        for number in range(count):
            watch = clients[2 * (number % _CONNECTIONS)].watch(_ROOM, dates=(_day(),))
            await watch.read()
            watches.append(watch)
        coming = [
            asyncio.create_task(
                _come_back(
                    watch, clients[2 * (n % _CONNECTIONS) + 1], source.uniform(0, _JITTER_SECONDS)
                )
            )
            for n, watch in enumerate(watches)
        ]
        await asyncio.sleep(0)  # all of them read
        killed_at = time.monotonic()
        stage.replicas[0].process.send(signal.SIGKILL)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return [told_at - killed_at for told_at in await asyncio.gather(*coming)]


async def _come_back(watch: Watching, elsewhere: Client, jitter_seconds: float) -> float:
    """Reads to the end of a watch, resumes it elsewhere, and returns when it was told again."""
    try:
        while await watch.call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.UNAVAILABLE, error  # noqa: PT017  # else a bug
    await asyncio.sleep(jitter_seconds)
    following = elsewhere.watch(_ROOM, dates=(_day(),), token=watch.token)
    # All at once there are more of them than the patience of one is for.
    message = await following.call.read()
    assert message.event == watch_pb2.WATCH_EVENT_BOOKMARK, "nothing has changed meanwhile"
    told_at = time.monotonic()
    following.cancel()
    return told_at


def _day() -> date:
    return datetime.now(UTC).date() + timedelta(days=1)


def _noon() -> datetime:
    return datetime.combine(_day(), datetime.min.time(), UTC) + 12 * _HOUR
