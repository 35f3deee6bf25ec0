"""Load: so many calls under way at any time, each answer checked, the next call at once."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.load.http2 import Answer, CallFailed, Connection, Method, connect

_RAMP_SECONDS: Final = 0.25
_END_SECONDS: Final = 30.0  # for the calls under way when the time is over
_EVERY_NTH: Final = 64  # answer is looked into


@dataclass(frozen=True, slots=True)
class Request:
    """A request ready to be sent, and what its answer must be.

    Attributes:
        message: As ``framed`` makes it.
        check: Says what is wrong with an answer; empty when nothing is.
    """

    message: bytes
    check: Callable[[bytes], str]


@dataclass(slots=True)
class Load:
    """What a while of load was.

    Attributes:
        calls: Answered while the clock ran; every one with grpc-status 0.
        wall_seconds: How long it ran.
        cpu_seconds: What each of the processes watched used meanwhile; the server's comes first.
        answered: All answers, those before and after the clock ran included.
        latencies: Of the calls counted, in seconds.
        sizes: Of the answers, in the order of the requests; only where asked for.
    """

    calls: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: Sequence[float] = ()
    answered: int = 0
    latencies: array[float] = field(default_factory=lambda: array("d"))
    sizes: list[int] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.wall_seconds

    @property
    def cpu_per_call(self) -> Sequence[float]:
        """Seconds a call of each process watched."""
        return [seconds / self.calls for seconds in self.cpu_seconds]


class Caller:
    """Calls one method of one server over a few connections."""

    def __init__(self, connections: Sequence[Connection], method: Method) -> None:
        self._connections = connections
        self._method = method

    @classmethod
    async def to(cls, target: str, method: Method, connections: int = 4) -> Caller:
        """Connects to ``host:port``."""
        return cls([await connect(target) for _ in range(connections)], method)

    def close(self) -> None:
        """Ends the connections."""
        for connection in self._connections:
            connection.close()

    async def for_seconds(
        self,
        seconds: float,
        requests: Iterator[Request],
        concurrency: int,
        cpu: Callable[[], Sequence[float]],
    ) -> Load:
        """Calls for a while, after a moment to get going.

        Args:
            seconds: How long the calls are counted.
            requests: Sent in this order; it must not end.
            concurrency: Calls under way at any time.
            cpu: Tells the seconds that the processes watched have used so far, the server's first.

        Raises:
            CallFailed: A call did, or an answer was not what it had to be.
        """
        run = _Run(self._connections, self._method, requests)
        run.begin(concurrency)
        try:
            await run.sleep(_RAMP_SECONDS)
            run.load.latencies = array("d")
            calls, began, used = run.load.answered, time.perf_counter(), cpu()
            await run.sleep(seconds)
            load = run.load
            load.calls = load.answered - calls
            load.wall_seconds = time.perf_counter() - began
            load.cpu_seconds = [now - before for now, before in zip(cpu(), used, strict=True)]
            counted, load.latencies = load.latencies, array("d")
        finally:
            run.end()
        await run.ended()
        load.latencies = counted
        if not load.calls:
            raise CallFailed(f"{self._method.path}: no call ended in {seconds:g} s")
        return load

    async def all_of(
        self, requests: Sequence[Request], concurrency: int, *, every_answer: bool = False
    ) -> Load:
        """Calls with each request once; the answers' sizes are kept.

        Raises:
            CallFailed: A call did, or an answer was not what it had to be.
        """
        run = _Run(self._connections, self._method, iter(requests), len(requests))
        run.every_nth = 1 if every_answer else _EVERY_NTH
        began = time.perf_counter()
        run.begin(min(concurrency, len(requests)))
        await run.ended()
        run.load.calls = run.load.answered
        run.load.wall_seconds = time.perf_counter() - began
        return run.load


class _Run:
    """Calls under way. The first failure ends it."""

    def __init__(
        self,
        connections: Sequence[Connection],
        method: Method,
        requests: Iterator[Request],
        count: int = 0,
    ) -> None:
        self.load = Load(sizes=[0] * count)
        self.every_nth = _EVERY_NTH
        self._connections = connections
        self._method = method
        self._requests = requests
        self._keeps_sizes = bool(count)
        self._sent = 0
        self._under_way = 0
        self._is_over = False
        self._failure = ""
        self._failed = asyncio.Event()
        self._idle = asyncio.Event()

    def begin(self, concurrency: int) -> None:
        """Makes the first calls; each is followed by another on its connection."""
        for number in range(concurrency):
            self._next(self._connections[number % len(self._connections)])

    def end(self) -> None:
        """Makes no further call."""
        self._is_over = True

    async def sleep(self, seconds: float) -> None:
        """Lets it run for a while.

        Raises:
            CallFailed: A call did meanwhile.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._failed.wait()
        except TimeoutError:
            return
        self._raise()

    async def ended(self) -> None:
        """Waits for the calls that are under way.

        Raises:
            CallFailed: One did.
        """
        waits = self._keeps_sizes  # for all of them, however many
        async with asyncio.timeout(None if waits else _END_SECONDS):
            if self._under_way:
                await self._idle.wait()
        self._raise()

    def _raise(self) -> None:
        if self._failure:
            raise CallFailed(f"{self._method.path}: {self._failure}")

    def _next(self, connection: Connection) -> None:
        request = None if self._is_over else next(self._requests, None)
        if request is None:
            if not (self._is_over or self._keeps_sizes):
                self._fail("there are no more requests to send")
            if not self._under_way:
                self._idle.set()
            return
        number = self._sent
        self._sent += 1
        self._under_way += 1
        load = self.load
        begun = time.perf_counter()

        def ended(answer: Answer) -> None:
            self._under_way -= 1
            load.answered += 1
            load.latencies.append(time.perf_counter() - begun)
            if self._keeps_sizes:
                load.sizes[number] = len(answer.body)
            wrong = answer.failure
            if not wrong and number % self.every_nth == 0:
                wrong = request.check(answer.body)
            if wrong:
                self._fail(wrong)
            self._next(connection)

        connection.start(self._method, request.message, ended)

    def _fail(self, why: str) -> None:
        self._failure = self._failure or why
        self._is_over = True
        self._failed.set()
