"""WatchDays: days as they are, then as they change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from services.availability.app.day_feed import DayFeed
from services.availability.app.organization_days import OrganizationDays
from services.availability.app.port import Offerings
from services.availability.domain.day_change import DayChange
from shared.runtime.mailbox import Mailbox


class WatchDays:
    """Lets watchers follow days of resources."""

    def __init__(self, resources: Offerings, feed: DayFeed) -> None:
        self._resources = resources
        self._feed = feed

    @asynccontextmanager
    async def __call__(
        self,
        organization_id: str,
        resource_ids: Sequence[str],
        days: Sequence[int],
        mailbox: Mailbox[str, DayChange],
        *,
        at_least: int,
    ) -> AsyncIterator[OrganizationDays]:
        """Subscribes a mailbox until the block ends; yields the state that it goes on from.

        Args:
            organization_id: Whose.
            resource_ids: Which resources.
            days: Which UTC days, by number.
            mailbox: Gets every change of the organization.
            at_least: A feed number that the watcher knows of already.

        Raises:
            NotFound: A resource is unknown or deleted.
            StoreUnavailable: The store or the catalog cannot be asked.
        """
        await self._resources.require_resources(organization_id, resource_ids)
        wanted = dict.fromkeys(resource_ids, days)
        async with self._feed.watched(organization_id, wanted, mailbox, at_least=at_least) as known:
            yield known
