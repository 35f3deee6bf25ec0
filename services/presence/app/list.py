"""Lists who holds a resource at an instant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from services.presence.app.port import HoldReader
from services.presence.domain.hold import LiveHold, ResourceName
from shared.slots.quantum import covering

MOST_LISTED: Final = 20

_MOMENT: Final = timedelta(microseconds=1)


class HoldersThen(NamedTuple):
    """The newest holds of an instant, the newest first, and how many there are in all."""

    newest: Sequence[LiveHold]
    total: int


class ListHolders:
    """The live holds of one resource whose time an instant lies in."""

    def __init__(self, reader: HoldReader) -> None:
        self._reader = reader

    async def __call__(self, resource: ResourceName, time: datetime) -> HoldersThen:
        """Returns the holds at an instant.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        quantum = covering(time, time + _MOMENT)
        reading = await self._reader.read([resource])
        found = [hold for hold in reading.holds[resource] if hold.span.overlaps(quantum)]
        # By name, too: those of the version before have no place in the order.
        found.sort(key=lambda h: (h.acquired_at, h.holder_id, h.hold_id), reverse=True)
        return HoldersThen(found[:MOST_LISTED], len(found))
