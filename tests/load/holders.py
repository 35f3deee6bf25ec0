"""Both ways to keep holds alive, each as fast as it is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Final

from holdfast.common.v1 import watch_pb2
from holdfast.presence.v1 import presence_pb2 as pb
from tests.load.http2 import Answer, CallFailed, Connection, Method, connect, framed

_CONNECTIONS: Final = 8
_WARM_SECONDS: Final = 0.3
_PATIENCE_SECONDS: Final = 20.0
_EMPTY: Final = framed(b"")
_BOOKMARK: Final = bytes((0x08, watch_pb2.WATCH_EVENT_BOOKMARK))
_EVERY_NTH: Final = 64  # answer is looked into


@dataclass(slots=True)
class Renewed:
    """What a while of renewals was.

    Attributes:
        renewals: Of single holds.
        told: Messages, bookmarks apart, that a watcher of all of them got meanwhile.
    """

    renewals: int = 0
    cpu_seconds: float = 0.0
    told: int = 0

    @property
    def per_cpu_second(self) -> float:
        """Renewals in a second of one core."""
        return self.renewals / self.cpu_seconds


class _Running:
    """Connections, and what went wrong on one of them."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.failure = ""
        self.is_open = True
        self.answers = 0

    async def connect(self, target: str) -> None:
        """Opens the connections."""
        self.connections = [await connect(target) for _ in range(_CONNECTIONS)]

    def close(self) -> None:
        """Closes them."""
        self.is_open = False
        for connection in self.connections:
            connection.close()

    async def measured(self, seconds: float, cpu: Callable[[], float]) -> tuple[int, float]:
        """Returns answers and CPU seconds of a while, once it is warm."""
        await asyncio.sleep(_WARM_SECONDS)
        answers, used, end = self.answers, cpu(), time.perf_counter() + seconds
        while time.perf_counter() < end and not self.failure:  # noqa: ASYNC110  # it is time
            await asyncio.sleep(0.05)
        if self.failure:
            raise CallFailed(self.failure)
        return self.answers - answers, cpu() - used

    def fail(self, why: str) -> None:
        """Notes the first failure."""
        if self.is_open:
            self.failure = self.failure or why


@dataclass(frozen=True, slots=True)
class Holders:
    """Streams that keep holds, beside somebody who watches all of them.

    Attributes:
        openings: The first message of each stream.
        holds: That each keeps.
    """

    target: str
    method: Method
    watch: tuple[Method, bytes]
    openings: Sequence[bytes]
    holds: int

    async def run(self, seconds: float, cpu: Callable[[], float]) -> Renewed:
        """Renews for a while; what is held stays until it expires.

        Raises:
            CallFailed: A stream ended, or a hold was not kept.
        """
        running = _Running()
        told = [0]
        try:
            await running.connect(self.target)
            opened = asyncio.Event()
            streams = [0] * len(self.openings)

            def answered(number: int, connection: Connection, message: bytes) -> None:
                running.answers += 1
                if running.answers <= len(self.openings):
                    if running.answers == len(self.openings):
                        opened.set()
                elif running.answers % _EVERY_NTH == 0:
                    self._check(running, message)
                connection.say(streams[number], _EMPTY)

            for number, opening in enumerate(self.openings):
                connection = running.connections[number % _CONNECTIONS]
                streams[number] = connection.start(
                    self.method,
                    framed(opening),
                    partial(_ended, running),
                    partial(answered, number, connection),
                    goes_on=True,
                )
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await opened.wait()
            # Only now: what has been overdue since the last while is told, too.
            running.connections[0].start(
                self.watch[0],
                framed(self.watch[1]),
                partial(_ended, running),
                partial(_watched, told),
            )
            answers, used = await running.measured(seconds, cpu)
        finally:
            running.close()
        # The first one is the state.
        return Renewed(answers * self.holds, used, told[0] - 1)

    def _check(self, running: _Running, message: bytes) -> None:
        results = pb.HoldStreamResponse.FromString(message).results
        kept = sum(result.state == pb.HOLD_STATE_HELD for result in results)
        if kept != self.holds:
            running.fail(f"a stream kept {kept} holds, not {self.holds}")


@dataclass(frozen=True, slots=True)
class Beats:
    """Unary heartbeats, so many under way at once."""

    target: str
    method: Method
    messages: Sequence[bytes]
    at_once: int

    async def run(self, seconds: float, cpu: Callable[[], float]) -> Renewed:
        """Renews for a while.

        Raises:
            CallFailed: A heartbeat did.
        """
        running = _Running()
        requests = cycle([framed(message) for message in self.messages])

        def beat(connection: Connection) -> None:
            connection.start(self.method, next(requests), partial(answered, connection))

        def answered(connection: Connection, answer: Answer) -> None:
            if answer.failure:
                running.fail(answer.failure)
                return
            running.answers += 1
            if running.is_open:
                beat(connection)

        try:
            await running.connect(self.target)
            for number in range(self.at_once):
                beat(running.connections[number % _CONNECTIONS])
            answers, used = await running.measured(seconds, cpu)
        finally:
            running.close()
        return Renewed(answers, used)


def _watched(told: list[int], message: bytes) -> None:
    told[0] += not message.startswith(_BOOKMARK)


def _ended(running: _Running, answer: Answer) -> None:
    running.fail(f"a stream ended: {answer.failure or 'as if all were over'}")
