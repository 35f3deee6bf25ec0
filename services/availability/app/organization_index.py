"""Keeps organizations' days in memory for search, as new as reads of days are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from services.availability.app.day_feed import DayFeed
from services.availability.domain.claim import DayKey, DayState
from services.availability.domain.day_change import DayChange
from services.availability.domain.day_index import DayIndex, Gap, View
from shared.runtime.failure import Failure, Overloaded
from shared.runtime.mailbox import Changed, Mailbox

RowT = TypeVar("RowT")

# What changed is taken in this often, whoever searches.
_TICK_SECONDS: Final = 1.0
# Changes that may wait for that: past it, everything is read anew.
_MOST_WAITING: Final = 20_000
# Days of one reading: others must not wait long for the loop, nor for a connection.
_DAYS_A_READING: Final = 8_192


class StoredRange(NamedTuple, Generic[RowT]):
    """What is stored, at the moment of a feed number; to be gone through once."""

    feed: int
    rows: Iterable[RowT]


class RangeReader(Protocol):
    """What is stored of many resources at once."""

    async def days(
        self, organization_id: str, resource_ids: Sequence[str], days: range
    ) -> StoredRange[tuple[DayKey, DayState]]:
        """Returns days; those never booked are left out.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """

    async def capacities(
        self, organization_id: str, resource_ids: Sequence[str]
    ) -> StoredRange[tuple[str, int]]:
        """Returns the units of pools; those never set are left out.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """


@dataclass(frozen=True, slots=True)
class IndexTerms:
    """How much is kept, and how long.

    Attributes:
        idle: After how long days that nobody searches are forgotten.
        most_bytes: Of bitmaps at most, over all organizations.
    """

    idle: timedelta = timedelta(minutes=1)
    most_bytes: int = 256 * 2**20


class OrganizationIndexes:
    """The indexes of the organizations that are searched. Belongs to one event loop.

    The feed that it follows is that of ``DayFeed``, and so is what it promises: a search sees
    every commit that this process was told of, and others' that are older than a second.
    """

    def __init__(
        self,
        feed: DayFeed,
        reader: RangeReader,
        terms: IndexTerms | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Knows nothing yet; ``run`` must run for anything to be forgotten."""
        terms = terms or IndexTerms()
        self._feed = feed
        self._reader = reader
        self._idle_seconds = terms.idle.total_seconds()
        self._most_bytes = terms.most_bytes
        self._monotonic = monotonic
        self._followed: dict[str, _Followed] = {}

    def __len__(self) -> int:
        """Returns how many organizations are followed."""
        return len(self._followed)

    @property
    def size(self) -> int:
        """Bytes of bitmaps in memory."""
        return sum(followed.index.size for followed in self._followed.values())

    async def run(self) -> None:
        """Takes in what changed and forgets what is idle, until it is cancelled."""
        try:
            while True:
                await asyncio.sleep(_TICK_SECONDS)
                for followed in list(self._followed.values()):
                    await self._tidy(followed)
        finally:
            for name in list(self._followed):
                await self._followed.pop(name).end()

    async def view(
        self,
        organization_id: str,
        resource_ids: Sequence[str],
        pools: AbstractSet[str],
        days: range,
    ) -> tuple[View, list[int]]:
        """Returns days of resources as they are now, and the slot of each resource.

        Args:
            organization_id: Whose.
            resource_ids: Which.
            pools: Those of them that are pools.
            days: UTC day numbers, at least one.

        Raises:
            Overloaded: This is more than is kept in memory.
            StoreUnavailable: The store cannot be asked.
        """
        while True:
            followed = self._followed.setdefault(organization_id, _Followed(organization_id))
            followed.used_at = self._monotonic()
            if not await followed.catch_up(self._feed):
                continue
            # Nothing else runs from here until what is found is returned.
            index = followed.index
            slots = index.enter(resource_ids, pools)
            if next(index.gaps(slots, days, _DAYS_A_READING), None) is None:
                now = self._monotonic()
                found = index.view(days, now)
                self._make_room(now)
                return found, slots
            if index.size_with(days) > self._most_bytes:
                raise Overloaded("these are more days of resources than are kept in memory")
            await self._fill(followed, index, slots, days)

    async def _fill(
        self, followed: _Followed, index: DayIndex, slots: Sequence[int], days: range
    ) -> None:
        """Fills what is missing, unless the index is given up meanwhile."""
        async with followed.filling:
            for gap in index.gaps(slots, days, _DAYS_A_READING):
                if followed.index is not index or not await self._fill_gap(followed, index, gap):
                    break

    async def _fill_gap(self, followed: _Followed, index: DayIndex, gap: Gap) -> bool:
        name = followed.organization_id
        with followed.hearing() as heard:
            days = await self._reader.days(name, gap.resource_ids, gap.days)
            capacities: StoredRange[tuple[str, int]] = StoredRange(days.feed, ())
            if gap.pool_ids:
                capacities = await self._reader.capacities(name, gap.pool_ids)
            if not index.fill(gap, days.rows, capacities.rows, self._monotonic()):
                return False
            for change in heard:
                index.change(change.days, change.capacities)
        # Until the feed has come so far, what was read may be ahead of it, and fall back.
        followed.ahead = max(followed.ahead, days.feed, capacities.feed)
        return True

    async def _tidy(self, followed: _Followed) -> None:
        await followed.take()
        oldest = self._monotonic() - self._idle_seconds
        followed.index.forget(oldest)
        if followed.used_at < oldest:
            await followed.end()
            self._followed.pop(followed.organization_id, None)

    def _make_room(self, now: float) -> None:
        """Forgets what was searched longest ago; nothing of the search that has just begun."""
        while self.size > self._most_bytes:
            index = min((one.index for one in self._followed.values()), key=DayIndex.oldest)
            oldest = index.oldest()
            if oldest >= now:
                return
            index.forget(oldest)


class _Followed:
    """An organization's index, and what it is kept new by.

    Attributes:
        organization_id: Whose.
        index: What is known; another one once it may be wrong.
        used_at: When somebody last searched.
        ahead: A feed number that something in the index may be as new as.
        filling: Held while the index is filled.
    """

    def __init__(self, organization_id: str) -> None:
        self.organization_id = organization_id
        self.index = DayIndex()
        self.used_at = 0.0
        self.ahead = 0
        self.filling = asyncio.Lock()
        self._beginning = asyncio.Lock()
        self._mailbox = Mailbox[str, DayChange](limit=_MOST_WAITING)
        self._end: AsyncExitStack | None = None
        self._heard: list[DayChange] | None = None

    async def catch_up(self, feed: DayFeed) -> bool:
        """Makes the index as new as a read; tells whether it is: or else begin anew.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """
        async with self._beginning:
            if self._end is None:
                await self._begin(feed)
        # Whoever begins to watch is given a state that is new enough for that, and all that led
        # to it is in the mailbox by then.
        passing = Mailbox[str, DayChange]()
        async with feed.watched(self.organization_id, {}, passing, at_least=self.ahead):
            await self.take()
        return self._end is not None

    async def take(self) -> None:
        """Takes in what changed; lets nothing else run meanwhile, unless it ends."""
        try:
            while (news := await self._mailbox.take(0)) is not None:
                if isinstance(news, Changed):
                    self._change(news.update)
                else:
                    self._start_over()
        except Failure:  # the next search finds out whether it lasts
            await self.end()

    async def end(self) -> None:
        """Follows no longer, and forgets."""
        end, self._end = self._end, None
        self._start_over()
        if end is not None:
            await end.aclose()

    @contextmanager
    def hearing(self) -> Iterator[Sequence[DayChange]]:
        """Remembers what changes while the store is read; one reading at a time."""
        self._heard = heard = list[DayChange]()
        try:
            yield heard
        finally:
            self._heard = None

    async def _begin(self, feed: DayFeed) -> None:
        self._mailbox = Mailbox[str, DayChange](limit=_MOST_WAITING)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(feed.watched(self.organization_id, {}, self._mailbox))
            self._end = stack.pop_all()

    def _change(self, change: DayChange) -> None:
        self.index.change(change.days, change.capacities)
        if self._heard is not None:
            self._heard.append(change)

    def _start_over(self) -> None:
        self.index = DayIndex()
        self.ahead = 0
