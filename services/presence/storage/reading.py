"""Reads holds of many resources in one round trip, without a script."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from services.presence.domain.claim import Claims, ClaimsThen
from services.presence.domain.hold import HolderCount, LiveHold, Reading, ResourceName
from services.presence.storage.layout import holds_key
from services.presence.storage.packed import claims, hold_name, instant, stored_hold
from services.presence.storage.server import HoldServer

_MICROSECONDS: Final = 1_000_000
_NO_CLAIMS: Final = Claims(())


class RedisHoldReader:
    """The port ``HoldReader``.

    Most resources are held by nobody: to be told so costs less than to run a script that looks.
    """

    def __init__(self, server: HoldServer) -> None:
        """Sends nothing yet."""
        self._server = server

    async def read(self, resources: Collection[ResourceName]) -> Reading:
        """Reads the live holds of resources, each as it is at a moment after the reading's.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        now, found = await self._hashes(resources)
        holds = {
            resource: _live(resource, pairs, now)
            for resource, pairs in zip(resources, found, strict=True)
        }
        return Reading(instant(now), holds)

    async def claims(self, resources: Collection[ResourceName]) -> ClaimsThen:
        """As ``read``, for those who book.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        now, found = await self._hashes(resources)
        held = {
            resource: Claims(claims(pairs, now)) if pairs else _NO_CLAIMS
            for resource, pairs in zip(resources, found, strict=True)
        }
        return ClaimsThen(instant(now), held)

    async def count(
        self, organization_id: str, resource_ids: Collection[str], event_type_id: str
    ) -> HolderCount:
        """Counts live holds on resources: those that name an event type, or all if it is empty.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        now, found = await self._hashes([ResourceName(organization_id, r) for r in resource_ids])
        holders = [
            hold_name(field).holder_id
            for pairs in found
            for field, hold in ((f, stored_hold(value)) for f, value in pairs.items())
            if hold.expiry >= now and event_type_id in {"", hold.event_type_id}
        ]
        return HolderCount(len(set(holders)), len(holders))

    async def _hashes(
        self, resources: Iterable[ResourceName]
    ) -> tuple[int, list[dict[bytes, bytes]]]:
        (seconds, rest), found = await self._server.hashes([holds_key(r) for r in resources])
        return seconds * _MICROSECONDS + rest, found


def _live(resource: ResourceName, pairs: Mapping[bytes, bytes], now: int) -> list[LiveHold]:
    found = ((field, stored_hold(value)) for field, value in pairs.items())
    return [
        hold.live(resource.resource_id, hold_name(field))
        for field, hold in found
        if hold.expiry >= now
    ]
