"""The catalog, mirrored for each organization in use, else asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Final, TypeVar

from holdfast.catalog.v1 import catalog_pb2_grpc
from services.availability.domain.offering import Offering, OfferingName, ResourceFacts
from services.availability.domain.refusal import NotFound
from services.availability.upstream.asked import AskedCatalog
from services.availability.upstream.mirror import CatalogMirror
from shared.catalog.follow import CatalogFollower
from shared.runtime.channel import upstream_channel
from shared.runtime.deadline import time_remaining
from shared.runtime.failure import Overloaded, StoreUnavailable

T = TypeVar("T")

_IDLE_SECONDS: Final = 60.0
# Organizations beyond that are asked about: whoever invents some must not take all memory.
_MOST_FOLLOWED: Final = 2_000
# A catalog that could not be asked is left in peace so long, where a mirror can answer.
_RESPITE_SECONDS: Final = 1.0
# Asking for a long list, resource by resource, takes longer than being told all of it.
_FILLING_SECONDS: Final = 10.0


class Catalog:
    """The port ``Offerings`` over CatalogService. Belongs to one event loop.

    While an organization's watch lives, its mirror answers; what it would refuse may only not
    have been told yet, so the catalog is asked first, and the newer of the two counts. Before
    that, and while the watch is broken, the catalog is asked, but lists wait for a mirror that
    is being filled; while it cannot be asked, the mirror answers as it is.
    """

    def __init__(
        self,
        address: str,
        *,
        fresh_seconds: float,
        stale_seconds: float = 900.0,
        timeout_seconds: float = 1.0,
        idle_seconds: float = _IDLE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connects when it is first asked.

        Args:
            address: host:port, or another gRPC target; of several addresses all are used.
            fresh_seconds: How long an answer counts where the catalog is asked; with 0 it is
                asked every time.
            stale_seconds: How long a mirror counts while the catalog cannot be asked.
            timeout_seconds: How long an answer is waited for.
            idle_seconds: After how long without a question a mirror is given up.
            monotonic: The clock of mirrors.
        """
        self._channel = upstream_channel(address)
        stub = catalog_pb2_grpc.CatalogServiceStub(self._channel)
        self._watch = stub.WatchCatalog
        self._asked = AskedCatalog(
            stub,
            fresh_seconds=fresh_seconds,
            timeout_seconds=timeout_seconds,
            monotonic=monotonic,
        )
        self._follows = fresh_seconds > 0
        self._stale_seconds = stale_seconds
        self._idle_seconds = idle_seconds
        self._monotonic = monotonic
        self._followers: dict[str, CatalogFollower[CatalogMirror]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ask_from = float("-inf")

    async def offering(self, name: OfferingName) -> Offering:
        """As in the port."""
        mirror = self._live(name.organization_id)
        if mirror is not None:
            found = mirror.offerings.get(name)
            if found is not None and found.linked and found.is_active:
                return found
            return await self._offering(mirror, name)
        return await self._either(
            name.organization_id,
            lambda: self._told(name),
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
        mirror = await self._filled(organization_id)
        if mirror is None:
            return await self._either(
                organization_id,
                lambda: self._asked.listed(organization_id, event_type_id, resource_type),
                lambda mirror: mirror.listed(event_type_id, resource_type),
            )
        if not mirror.books(event_type_id):
            known_active = mirror.is_event_type_active(event_type_id)
            asked = await self._second(
                lambda: self._news(
                    organization_id, event_type_id, resource_type, known_active=known_active
                )
            )
            mirror = self._newest(organization_id, mirror)
            if asked is not None and not mirror.books(event_type_id):
                return asked
        return mirror.listed(event_type_id, resource_type)

    async def resources(self, organization_id: str, resource_type: str) -> Sequence[ResourceFacts]:
        """As in the port."""
        mirror = await self._filled(organization_id)
        if mirror is None:
            return await self._either(
                organization_id,
                lambda: self._asked.resources(organization_id, resource_type),
                lambda mirror: mirror.resources(resource_type),
            )
        found = mirror.resources(resource_type)
        if found:
            return found
        asked = await self._second(lambda: self._asked.resources(organization_id, resource_type))
        return self._newest(organization_id, mirror).resources(resource_type) or asked or found

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
        if mirror is None:
            return await self._either(
                organization_id,
                lambda: self._asked.facts(organization_id, resource_ids),
                lambda mirror: mirror.facts(resource_ids),
            )
        unknown = mirror.unknown(resource_ids)
        if unknown:
            asked = await self._second(lambda: self._asked.known(organization_id, unknown)) or {}
            mirror = self._newest(organization_id, mirror)
            news = {key: asked[key] for key in mirror.unknown(resource_ids) if key in asked}
            told = mirror.facts(key for key in resource_ids if key not in news)
            return [*told, *news.values()]
        return mirror.facts(resource_ids)

    async def _told(self, name: OfferingName) -> Offering:
        """Asks for an offering where there is no mirror yet, or none that counts."""
        found = await self._asked.dated(name)
        follower = self._followers.get(name.organization_id)
        if follower is not None and found.version > follower.asked_version:
            follower.asked_version = found.version
        return found.offering

    async def _offering(self, mirror: CatalogMirror, name: OfferingName) -> Offering:
        """Answers by the mirror, unless the catalog knows better of what cannot be booked."""
        try:
            found = mirror.offering(name)
        except NotFound:
            pass
        else:
            if found.linked and found.is_active:
                return found
        asked = await self._second(lambda: self._asked.dated(name))
        mirror = self._newest(name.organization_id, mirror)
        if asked is not None and asked.version > mirror.version:
            return asked.offering
        return mirror.offering(name)

    async def _news(
        self,
        organization_id: str,
        event_type_id: str,
        resource_type: str,
        *,
        known_active: bool | None,
    ) -> Sequence[Offering] | None:
        """Asks what an event type books for which a mirror has nothing to book.

        Returns:
            None where it is not active either, as the mirror knows.
        """
        if not known_active:
            is_now = await self._asked.is_event_type_active(organization_id, event_type_id)
            if is_now is known_active:
                return None
        return await self._asked.listed(organization_id, event_type_id, resource_type)

    async def _second(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """Asks about what a live mirror would refuse; None if there is nothing to learn."""
        if self._monotonic() < self._ask_from:
            return None
        try:
            return await ask()
        except NotFound:
            return None
        except (StoreUnavailable, Overloaded):
            self._ask_from = self._monotonic() + _RESPITE_SECONDS
            return None

    def _newest(self, organization_id: str, mirror: CatalogMirror) -> CatalogMirror:
        """Returns what became of a mirror meanwhile."""
        follower = self._followers.get(organization_id)
        return (follower.mirror if follower is not None else None) or mirror

    async def _filled(self, organization_id: str) -> CatalogMirror | None:
        """Returns the mirror while it is as new as the catalog, after waiting for it."""
        mirror = self._live(organization_id)
        follower = self._followers.get(organization_id)
        if mirror is not None or follower is None:
            return mirror
        patience = _FILLING_SECONDS
        if follower.kept() is not None:
            # It can answer as it is, should this take long.
            if self._monotonic() < self._ask_from:
                return None
            patience = _RESPITE_SECONDS
        await follower.filled(time_remaining(patience))
        return self._live(organization_id)

    def _live(self, organization_id: str) -> CatalogMirror | None:
        """Returns the mirror while it is as new as the catalog; begins one where there is none."""
        follower = self._followers.get(organization_id)
        now = self._monotonic()
        if follower is None:
            if self._follows and len(self._followers) < _MOST_FOLLOWED:
                self._follow(organization_id)
            return None
        follower.used_at = now
        mirror = follower.mirror
        if mirror is None or now >= follower.live_until or mirror.version < follower.asked_version:
            return None
        return mirror

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
            partial(CatalogMirror, organization_id),
            idle_seconds=self._idle_seconds,
            stale_seconds=self._stale_seconds,
            monotonic=self._monotonic,
            # An answer from before the mirror's last news must not follow upon them.
            outdated=self._asked.forget,
            removed=self._asked.drop,
        )
        self._followers[organization_id] = follower
        # It outlives its first caller, whose request it is no part of.
        task = asyncio.create_task(follower.run(), context=Context())
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            del self._followers[organization_id]

        task.add_done_callback(ended)
