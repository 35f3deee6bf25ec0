"""What the figures share: one event loop, one running system, one world in it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from functools import cached_property
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

import uvloop

from tests.load import history, world
from tests.load.closed_loop import Caller, Load, Request
from tests.load.echo import SERVICE, SIZE_BYTES
from tests.load.http2 import Method, framed
from tests.load.measure import Spread, interleaved, ratios
from tests.load.options import Options
from tests.load.process import cpu_of_process
from tests.load.progress import Progress
from tests.load.report import microseconds
from tests.load.system import BESIDE, Server, System
from tests.load.world import World

ResultT = TypeVar("ResultT")

READ_DAYS: Final = 30
_ORGANIZATION: Final = "bench"
_RESOURCES: Final = 1_000
_BOOKABLE_HOURS: Final = world.CLOSES - world.OPENS - world.MOST_BOOKED
# Faster than this no service of one process is.
_MOST_BOOKINGS_A_SECOND: Final = 4_000
_RAMPS: Final = 1.5  # a half takes so much longer than its time is counted
_PREFIX_BYTES: Final = 5
ECHO: Final = Method(f"/{SERVICE}/Echo")


class Bench:
    """Starts what a figure needs when it first needs it; ``close`` stops all of it."""

    def __init__(self, options: Options, folder: Path, progress: Progress) -> None:
        self.options = options
        self.folder = folder
        self.progress = progress
        self.stack = ExitStack()
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Runs a coroutine to its end, on the loop that every connection belongs to."""
        return self._runner.run(work)

    def close(self) -> None:
        """Stops everything that was started."""
        self._runner.close()
        self.stack.close()

    def stop_system(self) -> None:
        """Stops what runs, for a figure that is measured without neighbours."""
        self.stack.close()
        for name in ("system", "world"):
            self.__dict__.pop(name, None)

    @cached_property
    def system(self) -> System:
        """The services, their stores and the echo."""
        self.progress.step("starting PostgreSQL, Valkey, the services and the echo")
        return System(self.folder, self.stack)

    @cached_property
    def world(self) -> World:
        """A thousand resources with thirty days to read, and days after them to book on."""
        most = self.options.pairs * self.options.seconds * _RAMPS * _MOST_BOOKINGS_A_SECOND
        days_to_book = int(most / (_RESOURCES * _BOOKABLE_HOURS)) + 1
        first = world.today() + timedelta(days=1)
        found = World(_ORGANIZATION, _RESOURCES, first, READ_DAYS + days_to_book)
        self.add_world(found)
        return found

    def add_world(self, added: World) -> None:
        """Makes an organization with its bookings."""
        target = self.system.catalog.target
        self.progress.step(f"creating {added.resources:,} resources of {added.organization_id}")
        self.run(world.create_catalog(target, added))
        bar = self.progress.bar("bookings that are there already:", added.entry_count)
        url = self.system.availability_database
        history.load(url, added.organization_id, added.entries(), bar.at)
        history.settle(url)
        gc.freeze()  # what is there now need not be looked at again and again

    async def against_echo(
        self,
        what: str,
        method: Method,
        server: Server,
        requests: Sequence[Request],
        sizes: Sequence[int],
        further: Callable[[], Iterator[Request]] | None = None,
    ) -> Pairs:
        """Measures a method of a server and the echo in interleaved pairs.

        Args:
            what: For progress.
            method: The method.
            server: The server.
            requests: Sent over and over.
            sizes: Of the answers to the first of them: the echo's are as large.
            further: In place of ``requests``, for each half, where none may be sent twice.
        """
        echo = self.system.echo
        echoes = cycle(echoes_of(requests[: len(sizes)], sizes))
        own = cycle(requests)
        caller = await Caller.to(server.target, method)
        echo_caller = await Caller.to(echo.target, ECHO)

        async def measure(
            caller: Caller, cpu: Callable[[], Sequence[float]], following: Iterator[Request]
        ) -> Load:
            options = self.options
            return await caller.for_seconds(options.seconds, following, options.concurrency, cpu)

        async def measure_own() -> Load:
            return await measure(
                caller, self.system.cpu_beside(server), further() if further else own
            )

        async def measure_echo() -> Load:
            return await measure(echo_caller, lambda: [cpu_of_process(echo.pid)], echoes)

        def told(done: int) -> None:
            self.progress.step(f"{what}: pair {done + 1} of {self.options.pairs}")

        try:
            # Both get warm before anything counts.
            await measure_own()
            await measure_echo()
            found = await interleaved(self.options.pairs, measure_own, measure_echo, told)
        finally:
            caller.close()
            echo_caller.close()
        return Pairs(found)


class Pairs:
    """A service and the echo, measured in turns."""

    def __init__(self, found: Sequence[tuple[Load, Load]]) -> None:
        self._found = found

    @property
    def ratio(self) -> Spread:
        """The service's calls a second, of the echo's."""
        return ratios([(own.rate, echo.rate) for own, echo in self._found])

    @property
    def rates(self) -> tuple[Spread, Spread]:
        """Calls a second of both."""
        return (
            Spread.of([own.rate for own, _ in self._found]),
            Spread.of([echo.rate for _, echo in self._found]),
        )

    def cpu_text(self) -> str:
        """CPU a call, of the server and of the echo, in words."""
        own, echo = (_medians([load.cpu_per_call for load in side]) for side in self._sides)
        return f"CPU {microseconds(own[0])} per call, B {microseconds(echo[0])}"

    def beside_text(self) -> str:
        """The same of what the server leans on."""
        _, *beside = _medians([load.cpu_per_call for load in self._sides[0]])
        words = [
            f"{name} {microseconds(seconds)}" for name, seconds in zip(BESIDE, beside, strict=True)
        ]
        return f"CPU per call beside it: {', '.join(words)}"

    @property
    def _sides(self) -> tuple[list[Load], list[Load]]:
        return [own for own, _ in self._found], [echo for _, echo in self._found]

    def rates_text(self) -> str:
        """Calls a second in words."""
        own, echo = self.rates
        return f"{own.text(',.0f')} calls/s, B {echo.text(',.0f')}"

    def data(self) -> dict[str, Any]:
        """For programs: every half as it was measured."""
        return {
            "calls_per_second": [[own.rate, echo.rate] for own, echo in self._found],
            "cpu_seconds_per_call": [
                [own.cpu_per_call[0], echo.cpu_per_call[0]] for own, echo in self._found
            ],
            "cpu_seconds_per_call_beside": [
                dict(zip(BESIDE, own.cpu_per_call[1:], strict=True)) for own, _ in self._found
            ],
        }


def _medians(rows: Sequence[Sequence[float]]) -> list[float]:
    return [median(column) for column in zip(*rows, strict=True)]


def echoes_of(requests: Sequence[Request], sizes: Sequence[int]) -> list[Request]:
    """Requests to the echo, as large as these, for answers of these sizes."""
    return [
        _echo_of(len(request.message) - _PREFIX_BYTES, size)
        for request, size in zip(requests, sizes, strict=True)
    ]


def _echo_of(request_bytes: int, answer_bytes: int) -> Request:
    padding = bytes(max(request_bytes - SIZE_BYTES, 0))
    message = framed(answer_bytes.to_bytes(SIZE_BYTES, "big") + padding)

    def check(body: bytes) -> str:
        size = len(body)
        return "" if size == answer_bytes else f"the echo sent {size} bytes, not {answer_bytes}"

    return Request(message, check)
