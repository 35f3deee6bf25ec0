"""GetDaySlots and GetMonthAvailability: offered starts less what is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.availability.app.port import BookingReader, DayReader, Offerings
from services.availability.domain import counter
from services.availability.domain.booking import BookingItem
from services.availability.domain.claim import FREE, DayState, short, units_free
from services.availability.domain.offering import Offering, SlotQuery
from shared.runtime.clock import Clock
from shared.slots.engine import FreeStarts, planned
from shared.slots.plan import Plan
from shared.slots.quantum import Span
from shared.slots.refusal import DurationNotOffered
from shared.slots.slot import Slot


class DaySlots(NamedTuple):
    """Free starts of one date.

    Attributes:
        starts: None where nothing is offered at all.
        zone: In which the date was read.
        states: What is taken of the resource on each of the plan's days.
        units: How many units are free for each start; None where that is one for all.
    """

    starts: FreeStarts | None
    zone: ZoneInfo
    states: Sequence[DayState]
    units: Sequence[int] | None = None


class FindSlots:
    """Finds free starts. Day, month and the write path ask one engine."""

    def __init__(
        self, offerings: Offerings, days: DayReader, bookings: BookingReader, clock: Clock
    ) -> None:
        self._offerings = offerings
        self._days = days
        self._bookings = bookings
        self._clock = clock

    async def of_day(self, query: SlotQuery) -> DaySlots:
        """Returns the free starts of the query's first date.

        Raises:
            NotFound: The resource or the event type is unknown or deleted.
            NotLinked: The event type does not book the resource.
            DurationNotOffered: This length is not offered.
        """
        offering = await self._offerings.offering(query.name)
        zone = offering.viewed_in(query.zone)
        if not offering.is_active:
            return DaySlots(None, zone, ())
        stock = await self._read(offering, query, zone)
        plan = stock.plan
        found = FreeStarts(plan, plan.free(stock.busy(query.units), self._clock.now()))
        units = stock.free(found.slots()) if offering.pool else None
        return DaySlots(found, zone, stock.states, units)

    async def of_dates(self, query: SlotQuery) -> tuple[Sequence[bool], ZoneInfo]:
        """Tells for each of the query's dates whether ``of_day`` would find a start.

        Raises:
            NotFound: The resource or the event type is unknown or deleted.
            NotLinked: The event type does not book the resource.
            DurationNotOffered: This length is not offered.
        """
        offering = await self._offerings.offering(query.name)
        zone = offering.viewed_in(query.zone)
        if not offering.is_active:
            return [False] * ((query.last - query.first).days + 1), zone
        stock = await self._read(offering, query, zone)
        return stock.plan.has_free(stock.busy(query.units), self._clock.now()), zone

    async def _read(self, offering: Offering, query: SlotQuery, zone: ZoneInfo) -> _Stock:
        offering.require_link()
        try:
            plan = planned(
                offering.schedule, offering.rules, query.first, query.last, query.duration, zone
            )
        except DurationNotOffered:
            raise offering.length_refusal() from None
        organization_id, resource_id, _ = query.name
        own = await self._own(query) if query.moving else ()
        states = await self._days.of_resource(organization_id, resource_id, plan.days)
        capacity = 1
        if offering.pool:
            found = await self._days.capacities(organization_id, [resource_id])
            capacity = found[resource_id]
        for item in own:
            states = _without(states, item, capacity)
        return _Stock(plan, [states.get(day, FREE) for day in plan.days], capacity)

    async def _own(self, query: SlotQuery) -> Sequence[BookingItem]:
        """Returns what the booking that is to be moved takes of the resource."""
        booking = await self._bookings.get(query.name.organization_id, query.moving)
        if booking is None or not booking.seen_at(self._clock.now()).occupies:
            return ()
        return [item for item in booking.items if item.resource_id == query.name.resource_id]


class _Stock(NamedTuple):
    """What is left of a resource on each of the days of a plan."""

    plan: Plan
    states: Sequence[DayState]
    capacity: int

    def busy(self, units: int) -> Sequence[int]:
        """Returns the quanta of each day at which too few units are left."""
        if units == 1:
            return [state.busy for state in self.states]
        return [short(state, self.capacity, units) for state in self.states]

    def free(self, slots: Sequence[Slot]) -> list[int]:
        """Returns how many units are free throughout each slot."""
        states = dict(zip(self.plan.days, self.states, strict=True))
        return [units_free(Span(slot.first, slot.stop), states, self.capacity) for slot in slots]


def _without(
    states: Mapping[int, DayState], item: BookingItem, capacity: int
) -> Mapping[int, DayState]:
    found = dict(states)
    for day, mask in item.occupancy.masks():
        state = found.get(day)
        if state is None:
            continue
        planes = counter.subtract(state.counted, mask, item.units)
        busy = counter.reaching(planes, capacity)
        found[day] = state._replace(busy=busy, taken=planes if state.taken else ())
    return found
