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


class Basis(NamedTuple):
    """All that the free starts of a date follow from, beside the question.

    Attributes:
        offering: What may be booked when.
        plan: The starts that follow from that.
        states: What is taken of the resource on each of the plan's days.
        startable: Which of the starts notice and horizon allow, as bits of the plan.
    """

    offering: Offering
    plan: Plan
    states: Sequence[DayState]
    startable: int


class DaySlots(NamedTuple):
    """Free starts of one date.

    Attributes:
        starts: None where nothing is offered at all.
        zone: In which the date was read.
        states: What is taken of the resource on each of the plan's days.
        units: How many units are free for each of them; None where that is one for all.
        basis: What they follow from; None where that is more.
    """

    starts: FreeStarts | None
    zone: ZoneInfo
    states: Sequence[DayState]
    units: Sequence[int] | None = None
    basis: Basis | None = None


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
        plan, states, _ = stock
        startable = self._startable(offering, plan)
        found = FreeStarts(plan, plan.free(stock.busy(query.units), startable))
        if offering.pool:
            return DaySlots(found, zone, states, stock.free(found.slots()))
        basis = None if query.moving else Basis(offering, plan, states, startable)
        return DaySlots(found, zone, states, basis=basis)

    async def is_still(self, basis: Basis) -> bool:
        """Tells whether what follows from a basis follows from the present, too.

        Raises:
            NotFound: The resource or the event type is unknown or deleted.
        """
        offering, plan, states, startable = basis
        name = offering.name
        found = await self._offerings.offering(name)
        if found is not offering and found != offering:
            return False
        if self._startable(offering, plan) != startable:
            return False
        known = await self._days.of_resource(name.organization_id, name.resource_id, plan.days)
        return [known.get(day, FREE) for day in plan.days] == states

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
        startable = self._startable(offering, stock.plan)
        return stock.plan.has_free(stock.busy(query.units), startable), zone

    def _startable(self, offering: Offering, plan: Plan) -> int:
        return plan.startable(offering.rules.start_bounds(self._clock.now()))

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
