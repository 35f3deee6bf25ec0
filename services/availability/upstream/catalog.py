"""The catalog, mirrored for each organization in use, else asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from holdfast.catalog.v1 import catalog_pb2_grpc
from services.availability.domain.offering import Offering, OfferingName, ResourceFacts
from services.availability.upstream.asked import AskedCatalog
from services.availability.upstream.following import CatalogFollower
from services.availability.upstream.mirror import CatalogMirror
from shared.runtime.channel import upstream_channel
from shared.runtime.failure import Overloaded, StoreUnavailable

T = TypeVar("T")

_IDLE_SECONDS: Final = 60.0
# Organizations beyond that are asked about: whoever invents some must not take all memory.
_MOST_FOLLOWED: Final = 2_000
# A catalog that could not be asked is left in peace so long, where a mirror can answer.
_RESPITE_SECONDS: Final = 1.0


class Catalog:
    """The port ``Offerings`` over CatalogService. Belongs to one event loop.

    While an organization's watch lives, its mirror answers. Before that, and while the watch is
    broken, the catalog is asked; while it cannot be asked, the mirror answers as it is.
    """

    def __init__(
        self,
        address: str,
        *,
        fresh_seconds: float,
        stale_seconds: float = 900.0,
        idle_seconds: float = _IDLE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connects when it is first asked.

        Args:
            address: host:port, or another gRPC target; of several addresses all are used.
            fresh_seconds: How long an answer counts where the catalog is asked; with 0 it is
                asked every time.
            stale_seconds: How long a mirror counts while the catalog cannot be asked.
            idle_seconds: After how long without a question a mirror is given up.
            monotonic: The clock of mirrors.
        """
        self._channel = upstream_channel(address)
        stub = catalog_pb2_grpc.CatalogServiceStub(self._channel)
        self._watch = stub.WatchCatalog
        self._asked = AskedCatalog(stub, fresh_seconds=fresh_seconds, monotonic=monotonic)
        self._follows = fresh_seconds > 0
        self._stale_seconds = stale_seconds
        self._idle_seconds = idle_seconds
        self._monotonic = monotonic
        self._followers: dict[str, CatalogFollower] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ask_from = float("-inf")

    async def offering(self, name: OfferingName) -> Offering:
        """As in the port."""
        mirror = self._live(name.organization_id)
        if mirror is not None:
            return mirror.offerings.get(name) or mirror.offering(name)
        return await self._either(
            name.organization_id,
            lambda: self._asked.offering(name),
            lambda mirror: mirror.offering(name),
        )

    async def require_resources(self, organization_id: str, resource_ids: Sequence[str]) -> None:
        """As in the port."""
        await self._facts(organization_id, resource_ids)

    async def pools(self, organization_id: str, resource_ids: Sequence[str]) -> frozenset[str]:
        """As in the port."""
        facts = await self._facts(organization_id, resource_ids)
        return frozenset(found.resource_id for found in facts if found.pool)

    async def listed(
        self, organization_id: str, event_type_id: str, resource_type: str
    ) -> Sequence[Offering]:
        """As in the port."""
        mirror = self._live(organization_id)
        if mirror is not None:
            return mirror.listed(event_type_id, resource_type)
        return await self._either(
            organization_id,
            lambda: self._asked.listed(organization_id, event_type_id, resource_type),
            lambda mirror: mirror.listed(event_type_id, resource_type),
        )

    async def resources(self, organization_id: str, resource_type: str) -> Sequence[ResourceFacts]:
        """As in the port."""
        mirror = self._live(organization_id)
        if mirror is not None:
            return mirror.resources(resource_type)
        return await self._either(
            organization_id,
            lambda: self._asked.resources(organization_id, resource_type),
            lambda mirror: mirror.resources(resource_type),
        )

    async def close(self) -> None:
        """Ends watches and the questions in flight, and disconnects."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=_RESPITE_SECONDS)
        await self._asked.close()
        await self._channel.close()

    async def _facts(
        self, organization_id: str, resource_ids: Sequence[str]
    ) -> Sequence[ResourceFacts]:
        mirror = self._live(organization_id)
        if mirror is not None:
            return mirror.facts(resource_ids)
        return await self._either(
            organization_id,
            lambda: self._asked.facts(organization_id, resource_ids),
            lambda mirror: mirror.facts(resource_ids),
        )

    def _live(self, organization_id: str) -> CatalogMirror | None:
        """Returns the mirror while it is as new as the catalog; begins one where there is none."""
        follower = self._followers.get(organization_id)
        now = self._monotonic()
        if follower is None:
            if self._follows and len(self._followers) < _MOST_FOLLOWED:
                self._follow(organization_id)
            return None
        follower.used_at = now
        return follower.mirror if now < follower.live_until else None

    async def _either(
        self,
        organization_id: str,
        ask: Callable[[], Awaitable[T]],
        remember: Callable[[CatalogMirror], T],
    ) -> T:
        """Asks the catalog; answers by the mirror where it cannot be asked."""
        follower = self._followers.get(organization_id)
        mirror = follower.kept() if follower is not None else None
        if mirror is None:
            return await ask()
        if self._monotonic() < self._ask_from:
            return remember(mirror)
        try:
            return await ask()
        except (StoreUnavailable, Overloaded):
            self._ask_from = self._monotonic() + _RESPITE_SECONDS
            return remember(mirror)

    def _follow(self, organization_id: str) -> None:
        follower = CatalogFollower(
            organization_id,
            self._watch,
            # An answer from before the mirror's last news must not follow upon them.
            self._asked.forget,
            idle_seconds=self._idle_seconds,
            stale_seconds=self._stale_seconds,
            monotonic=self._monotonic,
        )
        self._followers[organization_id] = follower
        task = asyncio.create_task(follower.run())
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            del self._followers[organization_id]

        task.add_done_callback(ended)
