"""Many streams of one server, and when each of them told of a change."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from holdfast.common.v1 import watch_pb2
from tests.load.http2 import Answer, CallFailed, Connection, Method, connect, framed

_CONNECTIONS: Final = 10
_PATIENCE_SECONDS: Final = 30.0
# Every watch message of the contracts begins with its event, the first field.
_CHANGES: Final = bytes((0x08, watch_pb2.WATCH_EVENT_CHANGES))
_BOOKMARK: Final = bytes((0x08, watch_pb2.WATCH_EVENT_BOOKMARK))
_EVERY_NTH: Final = 64  # stream's messages are looked into
_NOT_OPEN: Final = -1


class Change(NamedTuple):
    """A call that changes what is watched.

    Attributes:
        method: The method.
        message: The request.
        check: Says what is wrong with a message that tells of it; empty when nothing is.
    """

    method: Method
    message: bytes
    check: Callable[[bytes], str]


@dataclass(slots=True)
class Seen:
    """What a while of changes was.

    Attributes:
        changes: How many; every watcher was told of each.
        messages: Those told.
        wall_seconds: From the first call to the last message.
        cpu_seconds: What the server's process used meanwhile.
        latencies: From a call's start to a watcher's message, in seconds.
        message: The last that was told.
    """

    changes: int = 0
    messages: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies: array[float] = field(default_factory=lambda: array("d"))
    message: bytes = b""

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.wall_seconds

    @property
    def cpu_per_message(self) -> float:
        """Seconds of the server's processors a message."""
        return self.cpu_seconds / self.messages


class Watchers:
    """Streams that are told the same changes, each of them every one and in the same order."""

    def __init__(self, connections: Sequence[Connection], count: int) -> None:
        self._connections = connections
        self._told = [_NOT_OPEN] * count  # by stream: how many changes
        self._open = 0
        self._sent: list[tuple[float, Change]] = []
        self._reached: list[int] = []  # by change: how many streams
        self._seen = Seen()
        self._wake = asyncio.Event()
        self._failure = ""

    @classmethod
    async def open(cls, target: str, method: Method, request: bytes, count: int) -> Watchers:
        """Opens streams to ``host:port``, and waits until each has told something.

        Raises:
            CallFailed: One ended.
        """
        connections = [await connect(target) for _ in range(_CONNECTIONS + 1)]
        watchers = cls(connections, count)
        message = framed(request)
        for number in range(count):
            connections[1 + number % _CONNECTIONS].start(
                method, message, watchers._ended, partial(watchers._message, number)
            )
        await watchers._until(lambda: watchers._open == count)
        return watchers

    def close(self) -> None:
        """Ends the streams."""
        self._failure = "the streams were closed here"
        for connection in self._connections:
            connection.close()

    async def follow(
        self,
        changes: Iterator[Change],
        *,
        at_once: int,
        cpu: Callable[[], float],
        seconds: float | None = None,
    ) -> Seen:
        """Makes changes, and waits until every stream has told of each.

        Args:
            changes: Made in this order.
            at_once: How many may be made before all streams have told of the first of them.
            cpu: Tells the seconds that the server's process has used so far.
            seconds: How long changes are made; None for all of them.

        Raises:
            CallFailed: A call did, a stream ended, or it told something else.
        """
        self._told = [0] * len(self._told)
        self._sent, self._reached = [], []
        seen = self._seen = Seen()
        began, used = time.perf_counter(), cpu()
        while True:
            await self._until(partial(self._is_told, len(self._sent) - at_once))
            now = time.perf_counter()
            if seconds is not None and now - began >= seconds:
                break
            # Only now: what is taken is made, or whoever makes changes would lose count.
            change = next(changes, None)
            if change is None:
                break
            self._sent.append((now, change))
            self._reached.append(0)
            self._connections[0].start(change.method, framed(change.message), self._called)
        await self._until(partial(self._is_told, len(self._sent) - 1))
        seen.wall_seconds = time.perf_counter() - began
        seen.cpu_seconds = cpu() - used
        seen.changes = len(self._sent)
        seen.messages = len(seen.latencies)
        return seen

    def _is_told(self, number: int) -> bool:
        """Whether every stream told of a change; one before the first counts as told."""
        return number < 0 or self._reached[number] == len(self._told)

    def _message(self, stream: int, message: bytes) -> None:
        number = self._told[stream]
        if number == _NOT_OPEN:
            self._told[stream] = 0
            self._open += 1
            self._wake.set()
            return
        if not message.startswith(_CHANGES):
            if not message.startswith(_BOOKMARK):
                self._fail(f"a watcher was told {message[:16]!r}, which is no change")
            return
        if number >= len(self._sent):
            self._fail("a watcher was told of a change that nobody made")
            return
        sent_at, change = self._sent[number]
        self._seen.latencies.append(time.perf_counter() - sent_at)
        if stream % _EVERY_NTH == 0:
            self._seen.message = message
            if wrong := change.check(message):
                self._fail(wrong)
        self._told[stream] = number + 1
        self._reached[number] += 1
        if self._reached[number] == len(self._told):
            self._wake.set()

    def _called(self, answer: Answer) -> None:
        if answer.failure:
            self._fail(answer.failure)

    def _ended(self, answer: Answer) -> None:
        self._fail(f"a stream ended: {answer.failure or 'as if all had been told'}")

    def _fail(self, why: str) -> None:
        self._failure = self._failure or why
        self._wake.set()

    async def _until(self, is_true: Callable[[], bool]) -> None:
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while True:
            if self._failure:
                raise CallFailed(self._failure)
            if is_true():
                return
            self._wake.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._wake.wait()
            except TimeoutError:
                raise CallFailed("some streams did not tell of a change") from None
