"""SetCapacity, GetCapacity: how many units a pool has."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from services.availability.app.port import DayReader, Ledger, Offerings
from services.availability.app.replay import former_answer
from services.availability.domain.refusal import NotAPool
from services.availability.domain.request_key import RequestKey
from shared.runtime.clock import Clock
from shared.runtime.failure import Failure


class Capacity(NamedTuple):
    """A resource and its units."""

    resource_id: str
    units: int


class Capacities:
    """Sets and reads units of resources."""

    def __init__(
        self,
        resources: Offerings,
        days: DayReader,
        ledger: Ledger,
        clock: Clock,
        encode: Callable[[Capacity], bytes],
    ) -> None:
        self._resources = resources
        self._days = days
        self._ledger = ledger
        self._clock = clock
        self._encode = encode

    async def set(self, key: RequestKey, wanted: Capacity) -> bytes:
        """Sets, and returns the encoded capacity; of a replay, the one first returned.

        Raises:
            NotFound: The resource is unknown or deleted.
            NotAPool: It has one unit.
            InUse: More are taken in a quarter hour that is not over.
        """
        try:
            pools = await self._resources.pools(key.organization_id, [wanted.resource_id])
            if not pools:
                raise NotAPool(wanted.resource_id)
        except Failure as refusal:
            return await former_answer(self._ledger, key, refusal)
        return await self._ledger.set_capacity(
            key, wanted.resource_id, wanted.units, self._encode(wanted), self._clock.now()
        )

    async def get(self, organization_id: str, resource_id: str) -> Capacity:
        """Returns how many units a resource has.

        Raises:
            NotFound: It is unknown or deleted.
        """
        pools = await self._resources.pools(organization_id, [resource_id])
        if not pools:
            return Capacity(resource_id, 1)
        found = await self._days.capacities(organization_id, [resource_id])
        return Capacity(resource_id, found[resource_id])
