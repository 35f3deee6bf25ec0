"""WatchBookings: every event of an organization, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import Enum, auto

from services.availability.app.event_feed import EventFeed, OrganizationEvents
from services.availability.domain.booking_event import EventPosition, LoggedEvent


class Beginning(Enum):
    """Where a watch without a token begins."""

    OLDEST = auto()
    NOW = auto()


class Following:
    """How far one watcher has been told."""

    def __init__(self, known: OrganizationEvents, position: EventPosition) -> None:
        self._known = known
        self.position = position
        """After everything that ``next`` returned."""

    async def next(self, seconds: float) -> Sequence[LoggedEvent]:
        """Returns what followed, as soon as there is something; nothing after ``seconds``.

        Raises:
            TokenExpired: Some of what followed is not kept any more.
            StoreUnavailable: The store cannot be asked.
        """
        until = asyncio.get_running_loop().time() + seconds
        while True:
            # Before the reading: what happens meanwhile rings this one.
            bell = self._known.bell
            page = await self._known.after(self.position)
            page.require_continues(self.position)
            if page.entries:
                self.position = page.entries[-1].position
                return page.entries
            try:
                async with asyncio.timeout_at(until):
                    await asyncio.shield(bell)
            except TimeoutError:
                return ()


class WatchBookings:
    """Lets watchers follow what happens to bookings."""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed

    @asynccontextmanager
    async def __call__(
        self, organization_id: str, begin: EventPosition | Beginning
    ) -> AsyncIterator[Following]:
        """Follows until the block ends.

        Args:
            organization_id: Whose bookings.
            begin: After which event, or where.

        Raises:
            TokenExpired: Some of what followed the position is not kept any more.
            StoreUnavailable: The store cannot be asked.
        """
        with self._feed.followed(organization_id) as known:
            if begin is Beginning.OLDEST:
                yield Following(known, await known.oldest())
            elif begin is Beginning.NOW:
                yield Following(known, await known.newest())
            else:
                (await known.after(begin)).require_continues(begin)
                yield Following(known, begin)
