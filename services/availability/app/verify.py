"""VerifyInventory: stored bitmaps and counters against the bookings that occupy them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from services.availability.app.port import InventoryReader
from services.availability.domain.verification import (
    Difference,
    OccupancySweep,
    Occupied,
    OccupyingItem,
    StoredDay,
    difference,
)
from shared.runtime.clock import Clock
from shared.slots.quantum import SECONDS_PER_QUANTUM

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

    def __init__(self, inventory: InventoryReader, clock: Clock) -> None:
        self._inventory = inventory
        self._clock = clock

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
            now = int(self._clock.now().timestamp()) // SECONDS_PER_QUANTUM
            await _compare(days, occupied, now, found)
        return found


async def _occupied(
    items: AsyncIterator[OccupyingItem], found: Verification
) -> AsyncGenerator[Occupied]:
    sweep = OccupancySweep()
    async for item in items:
        found.bookings_checked += item.is_first
        for day in sweep.add(item):
            yield day
    for day in sweep.finish():
        yield day


async def _compare(
    days: AsyncIterator[StoredDay],
    occupied: AsyncIterator[Occupied],
    now: int,
    found: Verification,
) -> None:
    """Walks both, which are sorted by resource and date, side by side."""
    stored = await anext(days, None)
    taken = await anext(occupied, None)
    while stored or taken:
        if taken is None or (stored and stored.key < taken.key):
            _note(found, difference(stored, None, now))
            stored = await anext(days, None)
        elif stored is None or taken.key < stored.key:
            _note(found, difference(None, taken, now))
            taken = await anext(occupied, None)
        else:
            _note(found, difference(stored, taken, now))
            stored = await anext(days, None)
            taken = await anext(occupied, None)


def _note(found: Verification, differing: Difference | None) -> None:
    found.days_checked += 1
    if differing is not None:
        found.difference_count += 1
        if len(found.differences) < _TOLD:
            found.differences.append(differing)
