"""VerifyInventory: stored bitmaps against the union of occupying bookings."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from services.availability.app.port import InventoryReader, OccupyingItem
from services.availability.domain.verification import (
    DayKey,
    Difference,
    OccupancySweep,
    Occupied,
    difference,
)

_TOLD: Final = 1_000


@dataclass(slots=True)
class Verification:
    """What was compared, and what differs: the first differences and their number."""

    differences: list[Difference] = field(default_factory=list)
    difference_count: int = 0
    days_checked: int = 0
    bookings_checked: int = 0


class Verify:
    """Compares an organization's inventory, in one snapshot and bounded memory."""

    def __init__(self, inventory: InventoryReader) -> None:
        self._inventory = inventory

    async def __call__(self, organization_id: str, resource_id: str) -> Verification:
        """Returns what differs; nothing is the only right answer.

        Args:
            organization_id: Whose inventory.
            resource_id: Only this resource; empty for all.
        """
        found = Verification()
        async with (
            self._inventory.snapshot(organization_id, resource_id) as snapshot,
            aclosing(snapshot.days()) as days,
            aclosing(snapshot.items()) as items,
            aclosing(_occupied(items, found)) as occupied,
        ):
            await _compare(days, occupied, found)
        return found


async def _occupied(
    items: AsyncIterator[OccupyingItem], found: Verification
) -> AsyncGenerator[Occupied]:
    sweep = OccupancySweep()
    async for item in items:
        found.bookings_checked += item.is_first
        for day in sweep.add(item.resource_id, item.occupancy):
            yield day
    for day in sweep.finish():
        yield day


async def _compare(
    days: AsyncIterator[tuple[DayKey, int]],
    occupied: AsyncIterator[Occupied],
    found: Verification,
) -> None:
    """Walks both, which are sorted by resource and date, side by side."""
    stored = await anext(days, None)
    taken = await anext(occupied, None)
    while stored or taken:
        if taken is None or (stored and stored[0] < taken.key):
            assert stored is not None  # one of the two is there
            _note(found, difference(*stored, 0, 0))
            stored = await anext(days, None)
        elif stored is None or taken.key < stored[0]:
            _note(found, difference(taken.key, 0, taken.union, taken.overlap))
            taken = await anext(occupied, None)
        else:
            _note(found, difference(*stored, taken.union, taken.overlap))
            stored = await anext(days, None)
            taken = await anext(occupied, None)


def _note(found: Verification, differing: Difference | None) -> None:
    found.days_checked += 1
    if differing is not None:
        found.difference_count += 1
        if len(found.differences) < _TOLD:
            found.differences.append(differing)
