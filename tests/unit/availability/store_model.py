"""A store that commits in order and answers when a test lets it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from services.availability.app.day_feed import DayFeed
from services.availability.app.organization_days import DayFeedTerms
from services.availability.domain.claim import FREE, DayState
from services.availability.domain.day_change import ChangedDay, DayChange, FeedPage
from shared.runtime.failure import StoreUnavailable

ORGANIZATION = "org"
DayKey = tuple[str, int]


class StoreModel:
    """The ports ``FeedReader`` and ``DayReader`` over plain lists.

    An answer is what was true at one moment of the call; ``hold`` says how long it takes to get
    there and back.
    """

    def __init__(self) -> None:
        self.epoch = 1
        self.log: dict[str, list[list[ChangedDay]]] = {}
        self.resized: dict[int, tuple[str, int]] = {}  # by feed number, of one organization
        self.reads = 0
        self.fails = False
        self.page_size = 1_000
        self.held: list[asyncio.Event] = []
        self.holds_days = False
        self.holds_feed = False
        self.jitter: random.Random | None = None

    def commit(
        self, days: Iterable[tuple[str, int]], bit: int, organization_id: str = ORGANIZATION
    ) -> list[ChangedDay]:
        """Flips a bit of some days in one transaction."""
        log = self.log.setdefault(organization_id, [])
        before = self.state_at(len(log), organization_id)
        log.append(
            [
                ChangedDay(
                    name, day, DayState(before.get((name, day), FREE).busy ^ bit, len(log) + 1)
                )
                for name, day in days
            ]
        )
        return log[-1]

    def resize(self, resource_id: str, units: int) -> None:
        """Gives a pool another number of units in one transaction."""
        log = self.log.setdefault(ORGANIZATION, [])
        log.append([])
        self.resized[len(log)] = resource_id, units

    def lose(self, count: int, organization_id: str = ORGANIZATION) -> None:
        """Goes back to an earlier state."""
        del self.log[organization_id][-count:]

    def state_at(self, number: int, organization_id: str = ORGANIZATION) -> dict[DayKey, DayState]:
        """The days that differ from never booked, after a feed number."""
        return {
            (name, day): state
            for changed in self.log.get(organization_id, [])[:number]
            for name, day, state in changed
        }

    def number(self, organization_id: str = ORGANIZATION) -> int:
        """The newest feed number."""
        return len(self.log.get(organization_id, []))

    async def read(self, positions: Mapping[str, int]) -> Mapping[str, FeedPage]:
        """As in the port ``FeedReader``."""
        await self._travel()
        found = {name: self._page(name, position) for name, position in positions.items()}
        await self._hold(is_held=self.holds_feed)
        return found

    async def of_resource(
        self, organization_id: str, resource_id: str, days: range
    ) -> Mapping[int, DayState]:
        """As in the port ``DayReader``."""
        return (await self.of_resources(organization_id, [resource_id], days))[resource_id]

    async def of_resources(
        self, organization_id: str, resource_ids: Sequence[str], days: Sequence[int]
    ) -> Mapping[str, Mapping[int, DayState]]:
        """As in the port ``DayReader``."""
        self.reads += 1
        await self._travel()
        stored = self.state_at(self.number(organization_id), organization_id)
        await self._hold(is_held=self.holds_days)
        return {
            name: {day: state for (of, day), state in stored.items() if of == name and day in days}
            for name in resource_ids
        }

    async def capacities(
        self, organization_id: str, resource_ids: Collection[str]
    ) -> Mapping[str, int]:
        """As in the port ``DayReader``."""
        self.reads += 1
        await self._travel()
        number = self.number(organization_id)
        told = dict(of for feed, of in sorted(self.resized.items()) if feed <= number)
        await self._hold(is_held=self.holds_days)
        return {name: told.get(name, 1) for name in resource_ids}

    def release(self) -> None:
        """Lets every held answer go."""
        for event in self.held:
            event.set()
        self.held.clear()

    def _page(self, organization_id: str, position: int) -> FeedPage:
        log = self.log.get(organization_id, [])
        newer = list(enumerate(log, 1))[position : position + self.page_size]
        changes = [
            DayChange(feed, changed, [self.resized[feed]] if feed in self.resized else [])
            for feed, changed in newer
        ]
        return FeedPage(self.epoch, len(log), changes)

    async def _travel(self) -> None:
        if self.fails:
            raise StoreUnavailable("told to")
        if self.jitter is not None:
            for _ in range(self.jitter.randrange(4)):
                await asyncio.sleep(0)

    async def _hold(self, *, is_held: bool) -> None:
        if is_held:
            event = asyncio.Event()
            self.held.append(event)
            await event.wait()
        await self._travel()


class StillClock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def following(
    store: StoreModel, clock: StillClock, *, most: int = 1_000, idle: float = 60
) -> AsyncIterator[DayFeed]:
    """A feed that runs over the store; its polls are the test's to ask for, by ``ring``."""
    terms = DayFeedTerms(timedelta(hours=1), timedelta(seconds=idle), most)
    feed = DayFeed(store, store, terms, monotonic=clock)
    running = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(reached: object) -> None:
    """Lets other tasks run until a condition, a callable, holds."""
    assert callable(reached)
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110  # whatever it is, nobody signals it
            await asyncio.sleep(0)
