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
from typing import Any, Final, TypeVar

import uvloop

from tests.load import history, world
from tests.load.closed_loop import Request
from tests.load.echo import SERVICE, SIZE_BYTES
from tests.load.http2 import Method, framed
from tests.load.options import Options
from tests.load.orders import Orders
from tests.load.pairs import Pacing, Pairs, Side, in_turns
from tests.load.process import cpu_of_process
from tests.load.progress import Progress
from tests.load.rival import Rival, Rivals
from tests.load.system import BESIDE, Server, System
from tests.load.world import World

ResultT = TypeVar("ResultT")
Requests = Callable[[], Iterator[Request]]

READ_DAYS: Final = 30
# With bookings that are there already, like the days that are read; whoever books more than they
# have room for goes on with days after them.
BOOKED_DAYS: Final = range(READ_DAYS, READ_DAYS + 12)
_ORGANIZATION: Final = "bench"
_RESOURCES: Final = 1_000
_PREFIX_BYTES: Final = 5
ECHO: Final = Method(f"/{SERVICE}/Echo")


class Bench:
    """Starts what a figure needs when it first needs it; ``close`` stops all of it."""

    def __init__(self, options: Options, folder: Path, progress: Progress) -> None:
        self.options = options
        self.folder = folder
        self.progress = progress
        self.stack = ExitStack()
        self._systems = 0
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
        for name in ("system", "world", "orders", "rivals"):
            self.__dict__.pop(name, None)

    @cached_property
    def system(self) -> System:
        """The services, their stores and the echo."""
        self.progress.step("starting PostgreSQL, Valkey, the services and the echo")
        self._systems += 1
        try:
            return System(self.folder / f"system-{self._systems}", self.stack)
        except BaseException:
            self.stop_system()  # else the next figure would find half of it
            raise

    @cached_property
    def world(self) -> World:
        """A thousand resources with thirty days to read, and days after them to book on."""
        first = world.today() + timedelta(days=1)
        found = World(_ORGANIZATION, _RESOURCES, first, BOOKED_DAYS.stop)
        self.add_world(found)
        return found

    @cached_property
    def orders(self) -> Orders:
        """What the service is to book in the world, whichever figure asks."""
        return Orders(self.world, READ_DAYS)

    @cached_property
    def rivals(self) -> Rivals:
        """Baselines that book, too, each with the same world in a database of its own."""
        return Rivals(self.system, self.world, READ_DAYS, self.progress)

    def rival(self, name: str) -> Rival:
        """A baseline that books, by its module's name."""
        return self.rivals.get(name)

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

    @property
    def pacing(self) -> Pacing:
        """How long everything is measured, and under how much load."""
        options = self.options
        return Pacing(options.pairs, options.seconds, options.concurrency)

    def own_side(self, method: Method, server: Server, requests: Requests, name: str = "") -> Side:
        """The service, as one side of pairs: what it is asked for each half."""
        cpu = self.system.cpu_beside(server)
        return Side(name, server.target, method, requests, cpu, BESIDE)

    def rival_side(self, method: Method, rival: Rival, requests: Requests) -> Side:
        """A baseline that books, as the other side."""
        cpu = self.system.cpu_beside(rival.server)
        return Side(rival.name, rival.server.target, method, requests, cpu, BESIDE)

    def echo_side(self, requests: Sequence[Request], sizes: Sequence[int]) -> Side:
        """The echo, as the other side.

        Args:
            requests: What the service is asked: the echo's are as large.
            sizes: Of the answers to the first of them: the echo's are as large.
        """
        echo = self.system.echo
        echoes = cycle(echoes_of(requests[: len(sizes)], sizes))
        return Side("B", echo.target, ECHO, lambda: echoes, lambda: [cpu_of_process(echo.pid)])

    async def in_turns(self, what: str, own: Side, other: Side) -> Pairs:
        """Measures two sides in interleaved pairs.

        Args:
            what: For progress.
            own: The service.
            other: What it is compared with.
        """
        return await in_turns(
            own,
            other,
            self.pacing,
            lambda done: self.progress.step(f"{what}: pair {done + 1} of {self.options.pairs}"),
        )


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
