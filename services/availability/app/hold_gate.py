"""Holds in the way of bookings: asked about before the ledger decides, ended once it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from services.availability.app.port import DayReader
from services.availability.domain import counter
from services.availability.domain.booking import BookingItem
from services.availability.domain.claim import FREE
from services.availability.domain.refusal import SlotHeld
from shared.slots.held import HeldUnits, held_short
from shared.slots.quantum import QUANTA_PER_DAY, Span, day_date

_NOTHING: Final[Mapping[str, Span]] = MappingProxyType({})
_MOST_DOUBTS: Final = 3


class CountedHold(NamedTuple):
    """A hold that counts against one of the items asked about."""

    item: int
    held: HeldUnits


class Holds(Protocol):
    """What others hold, as far as that can be told in time: without it, bookings go on."""

    async def counted(
        self, organization_id: str, session: str, items: Sequence[BookingItem]
    ) -> Sequence[CountedHold]:
        """Returns the holds that count against a booking; none where that cannot be told.

        Never refuses, and never takes longer than bookings may be held up.
        """

    def settle(
        self, organization_id: str, session: str, items: Sequence[BookingItem], *, is_block: bool
    ) -> None:
        """Ends soon what is held of time that was committed just now: never waits, never fails."""

    def is_unsettled(self, organization_id: str) -> bool:
        """Tells whether there is held what this process knows to be committed."""

    def settled(self, organization_id: str) -> AbstractAsyncContextManager[bool]:
        """Ends at once what is held of committed time, then nothing more until the block ends.

        Its value is whether that came about in good time; where it did not, nothing is put off.
        """


class HoldGate:
    """Lets bookings past that others' holds leave enough for."""

    def __init__(self, holds: Holds, days: DayReader) -> None:
        self._holds = holds
        self._days = days

    async def require_unheld(
        self,
        organization_id: str,
        session: str,
        items: Sequence[BookingItem],
        kept: Mapping[str, Span] = _NOTHING,
    ) -> None:
        """Refuses a booking whose time others hold.

        Args:
            organization_id: Whose.
            session: The booker's; empty for none.
            items: What the booking is to take.
            kept: By resource, what of it the booking has already.

        Raises:
            SlotHeld: Others' holds leave too few units; it tells of the first such item.
            StoreUnavailable: A pool is held, and how many units are free cannot be told.
        """
        if kept:
            items = [item for item in items if not _is_within(item, kept)]
        if not items:
            return
        counted = await self._holds.counted(organization_id, session, items)
        if not counted:
            return
        for number, item in enumerate(items):
            holds = [hold.held for hold in counted if hold.item == number]
            if not holds:
                continue
            mine = kept.get(item.resource_id)
            quanta = await self._short(organization_id, item, holds, mine)
            if quanta and item.is_pool:
                quanta = await self._surely_short(organization_id, session, item, mine, quanta)
            if quanta:
                raise SlotHeld(item.resource_id, _by_date(quanta))

    def settle(
        self,
        organization_id: str,
        session: str,
        items: Sequence[BookingItem],
        *,
        is_block: bool = False,
    ) -> None:
        """Ends soon what is held of time that was committed just now.

        To be called as soon as the commit is known: a hold that is taken later must stay.
        """
        self._holds.settle(organization_id, session, items, is_block=is_block)

    async def _short(
        self,
        organization_id: str,
        item: BookingItem,
        holds: Sequence[HeldUnits],
        mine: Span | None,
    ) -> list[int]:
        free: int | Mapping[int, int] = 1
        if item.is_pool:
            free = await self._free(organization_id, item.resource_id, item.occupancy)
        return _without(mine, held_short(item.occupancy, holds, free, item.units))

    async def _surely_short(
        self,
        organization_id: str,
        session: str,
        item: BookingItem,
        mine: Span | None,
        quanta: list[int],
    ) -> list[int]:
        """Asks once more about a pool that has too few units.

        Whoever booked a moment ago may have been counted twice: as having booked, and as holding
        still. So what is held of committed time ends first, and what is free is read before what
        is held: bookings that are committed in between count as held then, and only so.
        """
        for _ in range(_MOST_DOUBTS):
            async with self._holds.settled(organization_id) as is_settled:
                if not is_settled:
                    break
                free = await self._free(organization_id, item.resource_id, item.occupancy)
                counted = await self._holds.counted(organization_id, session, [item])
            holds = [hold.held for hold in counted]
            quanta = _without(mine, held_short(item.occupancy, holds, free, item.units))
            # A read of the days may have brought a booking that the ledger was yet to tell of.
            if not quanta or not self._holds.is_unsettled(organization_id):
                break
        return quanta

    async def _free(
        self, organization_id: str, resource_id: str, occupancy: Span
    ) -> Mapping[int, int]:
        """Returns the units of a pool that bookings leave free, by quantum."""
        days = range(occupancy.first // QUANTA_PER_DAY, (occupancy.stop - 1) // QUANTA_PER_DAY + 1)
        states = await self._days.of_resource(organization_id, resource_id, days)
        capacities = await self._days.capacities(organization_id, [resource_id])
        capacity = capacities.get(resource_id, 1)
        return {
            day * QUANTA_PER_DAY + index: capacity - taken
            for day in days
            for index, taken in enumerate(counter.counts(states.get(day, FREE).counted))
        }


def _is_within(item: BookingItem, kept: Mapping[str, Span]) -> bool:
    mine = kept.get(item.resource_id)
    wanted = item.occupancy
    return mine is not None and mine.first <= wanted.first and wanted.stop <= mine.stop


def _without(mine: Span | None, quanta: list[int]) -> list[int]:
    if mine is None:
        return quanta
    return [at for at in quanta if not mine.first <= at < mine.stop]


def _by_date(quanta: Sequence[int]) -> dict[date, list[int]]:
    found: dict[date, list[int]] = {}
    for quantum in quanta:
        day, index = divmod(quantum, QUANTA_PER_DAY)
        found.setdefault(day_date(day), []).append(index)
    return found
