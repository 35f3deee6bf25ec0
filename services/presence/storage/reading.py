"""Reads holds of many resources in one round trip, without a script."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from services.presence.domain.hold import HolderCount, LiveHold, Reading, ResourceName
from services.presence.storage.layout import holds_key
from services.presence.storage.packed import hold_name, instant, stored_hold
from services.presence.storage.server import HoldServer

_MICROSECONDS = 1_000_000


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
        (seconds, rest), found = await self._server.hashes([holds_key(r) for r in resources])
        now = seconds * _MICROSECONDS + rest
        holds = {
            resource: _live(resource, pairs, now)
            for resource, pairs in zip(resources, found, strict=True)
        }
        return Reading(instant(now), holds)

    async def count(
        self, organization_id: str, resource_ids: Collection[str], event_type_id: str
    ) -> HolderCount:
        """Counts live holds on resources: those that name an event type, or all if it is empty.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        keys = [holds_key(ResourceName(organization_id, r)) for r in resource_ids]
        (seconds, rest), found = await self._server.hashes(keys)
        now = seconds * _MICROSECONDS + rest
        holders = [
            hold_name(field).holder_id
            for pairs in found
            for field, hold in ((f, stored_hold(value)) for f, value in pairs.items())
            if hold.expiry >= now and event_type_id in {"", hold.event_type_id}
        ]
        return HolderCount(len(set(holders)), len(holders))


def _live(resource: ResourceName, pairs: Mapping[bytes, bytes], now: int) -> list[LiveHold]:
    found = ((field, stored_hold(value)) for field, value in pairs.items())
    return [
        hold.live(resource.resource_id, hold_name(field))
        for field, hold in found
        if hold.expiry >= now
    ]
