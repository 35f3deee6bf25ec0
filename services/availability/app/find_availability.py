"""FindAvailability: which of many resources are free, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import nsmallest
from itertools import compress
from typing import Final, NamedTuple

from services.availability.app.check_inventory import WantedItem
from services.availability.app.organization_index import OrganizationIndexes
from services.availability.app.port import Offerings
from services.availability.domain.day_index import View
from services.availability.domain.free_search import Frame
from services.availability.domain.offering import Offering
from services.availability.domain.refusal import Inactive, Kind
from shared.runtime.clock import Clock
from shared.slots.rule import BookingRules
from shared.slots.schedule import Schedule
from shared.slots.slot import Slot

# Lanes searched at once: long enough for the arithmetic, short enough for the loop's other work.
_LANES_AT_ONCE: Final = 512
_TOLD_AT_ONCE: Final = 16
_ONE_UNIT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FindQuery:
    """What is looked for.

    Attributes:
        organization_id: Whose.
        event_type_id: Whose resources and rules; empty for all of a type, by inventory alone.
        resource_type: A lower-case word of the catalog's; empty for any.
        duration: How long.
        starts: The quanta at which a booking may begin.
        units: Wanted of the resource.
        with_items: What must be free with it.
        limit: Most resources found.
        starts_per_resource: Most starts of each.
    """

    organization_id: str
    event_type_id: str
    resource_type: str
    duration: timedelta
    starts: range
    units: int
    with_items: Sequence[WantedItem]
    limit: int
    starts_per_resource: int


class FreeResource(NamedTuple):
    """A resource, its first free starts, and the units free at each of them."""

    resource_id: str
    slots: Sequence[Slot]
    units_free: Sequence[int]


class Found(NamedTuple):
    """The resources with the earliest starts, and how many there are in all."""

    resources: Sequence[FreeResource]
    total: int


_NOTHING: Final = Found((), 0)


class _Candidates(NamedTuple):
    """Resources that are searched; many of them: no object is made for each.

    Attributes:
        resource_ids: Which.
        schedules: When each is open: None for always, where only the inventory is asked.
        pools: Those that are pools.
    """

    resource_ids: Sequence[str]
    schedules: Sequence[Schedule | None]
    pools: AbstractSet[str]

    def only(self, is_wanted: Callable[[str], bool]) -> _Candidates:
        """Returns some of them."""
        wanted = [is_wanted(resource_id) for resource_id in self.resource_ids]
        return _Candidates(
            list(compress(self.resource_ids, wanted)),
            list(compress(self.schedules, wanted)),
            self.pools,
        )


class _Lane(NamedTuple):
    """The free starts of a resource; sorts as they are told."""

    first_start: int
    resource_id: str
    slot: int
    bits: int


class FindAvailability:
    """Finds free starts of all resources that an event type books, or of all of a type.

    Of each resource it finds what GetDaySlots does.
    """

    def __init__(self, offerings: Offerings, indexes: OrganizationIndexes, clock: Clock) -> None:
        self._offerings = offerings
        self._indexes = indexes
        self._clock = clock
        # One at a time: between two parts of it the loop's other work gets its turn.
        self._turns = asyncio.Semaphore(1)

    async def __call__(self, query: FindQuery) -> Found:
        """Returns the resources with the earliest starts: by first start, then id.

        Raises:
            NotFound: The event type, or something that is wanted with it, is unknown or deleted.
            Inactive: The event type is not active.
            DurationNotOffered: This length is not offered.
            Overloaded: There are more resources and days than are kept in memory.
        """
        rules, candidates = await self._candidates(query)
        names = [item.resource_id for item in query.with_items]
        pools = await self._pools(query.organization_id, names)
        frame = _frame(query, rules, self._clock.now())
        if names:
            candidates = candidates.only(lambda resource_id: resource_id not in names)
        if query.units > _ONE_UNIT:
            candidates = candidates.only(candidates.pools.__contains__)
        if frame is None or not candidates.resource_ids:
            return _NOTHING
        view, slots = await self._indexes.view(
            query.organization_id,
            [*names, *candidates.resource_ids],
            candidates.pools | pools,
            frame.days,
        )
        starts = frame.all_starts
        for item, slot in zip(query.with_items, slots, strict=False):
            starts &= frame.free(view.short(slot, item.units))
        search = _Search(frame, view, query)
        offered = _Offered(frame, rules, query.duration, starts)
        own = slots[len(names) :]
        async with self._turns:
            for first in range(0, len(own) if starts else 0, _LANES_AT_ONCE):
                some = slice(first, first + _LANES_AT_ONCE)
                lanes = [offered(schedule) for schedule in candidates.schedules[some]]
                search.add(candidates.resource_ids[some], own[some], lanes)
                await asyncio.sleep(0)
            return await search.found()

    async def _candidates(self, query: FindQuery) -> tuple[BookingRules, _Candidates]:
        any_time = BookingRules(durations=(query.duration,))
        if not query.event_type_id:
            facts = await self._offerings.resources(query.organization_id, query.resource_type)
            return any_time, _Candidates(
                [fact.resource_id for fact in facts],
                [None] * len(facts),
                {fact.resource_id for fact in facts if fact.pool},
            )
        offerings = await self._offerings.listed(
            query.organization_id, query.event_type_id, query.resource_type
        )
        if not offerings:
            return any_time, _Candidates((), (), frozenset())
        _require_offered(offerings[0], query.duration)
        # The rules are the event type's: the same for all.
        return offerings[0].rules, _Candidates(
            [offering.name.resource_id for offering in offerings],
            [offering.schedule for offering in offerings],
            {offering.name.resource_id for offering in offerings if offering.pool},
        )

    async def _pools(self, organization_id: str, names: Sequence[str]) -> AbstractSet[str]:
        return await self._offerings.pools(organization_id, names) if names else frozenset()


class _Offered:
    """The starts that schedules offer, each worked out once, as lanes."""

    def __init__(self, frame: Frame, rules: BookingRules, duration: timedelta, starts: int) -> None:
        self._frame = frame
        self._rules = rules
        self._duration = duration
        self._starts = starts
        self._known: dict[int, bytes] = {}

    def __call__(self, schedule: Schedule | None) -> bytes:
        """Returns those of a schedule's starts that are searched at all."""
        # By identity: equal schedules are one object, and comparing their content costs more.
        key = id(schedule)
        known = self._known.get(key)
        if known is None:
            bits = self._starts
            if schedule is not None:
                bits &= self._frame.offered(schedule, self._rules, self._duration)
            known = self._known[key] = self._frame.lane(bits)
        return known


class _Search:
    """What is found so far."""

    def __init__(self, frame: Frame, view: View, query: FindQuery) -> None:
        self._frame = frame
        self._view = view
        self._query = query
        self._earliest: list[_Lane] = []
        self._total = 0

    def add(
        self, resource_ids: Sequence[str], slots: Sequence[int], offered: Sequence[bytes]
    ) -> None:
        """Searches some resources, given with their slots and the lanes of offered starts."""
        frame, view, units = self._frame, self._view, self._query.units
        taken: Iterable[bytes | bytearray]
        if units == _ONE_UNIT:
            taken = view.lanes(slots)
        else:
            taken = (frame.lane(view.short(slot, units)) for slot in slots)
        found = [
            _Lane(frame.first_start(bits), resource_id, slot, bits)
            for resource_id, slot, bits in zip(
                resource_ids, slots, frame.search(taken, offered), strict=True
            )
            if bits
        ]
        self._total += len(found)
        self._earliest = nsmallest(self._query.limit, self._earliest + found)

    async def found(self) -> Found:
        """Returns the earliest."""
        resources = []
        for number, lane in enumerate(self._earliest, 1):
            resources.append(self._resource(lane))
            if number % _TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
        return Found(resources, self._total)

    def _resource(self, lane: _Lane) -> FreeResource:
        slots = self._frame.slots(lane.bits, self._query.starts_per_resource)
        free = self._view.units_free(lane.slot, [slot.occupancy for slot in slots])
        # Some may have been taken since the search: then it was free a moment ago.
        return FreeResource(lane.resource_id, slots, [max(self._query.units, at) for at in free])


def _require_offered(offering: Offering, duration: timedelta) -> None:
    if not offering.event_type_active:
        raise Inactive(Kind.EVENT_TYPE, offering.name.event_type_id)
    if not offering.rules.offers(duration):
        raise offering.length_refusal()


def _frame(query: FindQuery, rules: BookingRules, now: datetime) -> Frame | None:
    """Returns where to search, or None where nothing can start."""
    earliest, latest = rules.start_bounds(now)
    first, stop = max(query.starts.start, earliest), query.starts.stop
    if latest is not None:
        stop = min(stop, latest + 1)
    if first >= stop:
        return None
    before = rules.quanta_before
    return Frame(range(first, stop), before, before + rules.quanta_from(query.duration))
