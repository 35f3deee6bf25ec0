"""CheckInventory: are resources free over a range, whatever the opening hours say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from services.availability.app.port import DayReader, Offerings
from services.availability.domain.claim import DayState, conflicts, units_free
from shared.slots.quantum import QUANTA_PER_DAY, Span


class WantedItem(NamedTuple):
    """A resource and how many units of it are wanted."""

    resource_id: str
    units: int


class ItemAvailability(NamedTuple):
    """What was found of one item."""

    resource_id: str
    units_free: int
    is_available: bool
    conflicts: Mapping[date, Sequence[int]]


class CheckInventory:
    """Compares a range with stored days."""

    def __init__(self, resources: Offerings, days: DayReader) -> None:
        self._resources = resources
        self._days = days

    async def __call__(
        self, organization_id: str, items: Sequence[WantedItem], span: Span
    ) -> list[ItemAvailability]:
        """Returns what is free of each item, in the order given.

        Raises:
            NotFound: A resource is unknown or deleted.
        """
        names = [item.resource_id for item in items]
        pools = await self._resources.pools(organization_id, names)
        touched = range(span.first // QUANTA_PER_DAY, (span.stop - 1) // QUANTA_PER_DAY + 1)
        found = await self._days.of_resources(organization_id, names, touched)
        capacities = await self._days.capacities(organization_id, pools) if pools else {}
        return [
            _availability(item, span, found[item.resource_id], capacities.get(item.resource_id, 1))
            for item in items
        ]


def _availability(
    item: WantedItem, span: Span, days: Mapping[int, DayState], capacity: int
) -> ItemAvailability:
    taken = conflicts(span, days, capacity, item.units)
    free = units_free(span, days, capacity)
    return ItemAvailability(item.resource_id, free, not taken, taken)
