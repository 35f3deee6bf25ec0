"""GetDaySlots and GetMonthAvailability: offered starts less what is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.availability.app.port import DayReader, Offerings
from services.availability.domain.claim import FREE, DayState
from services.availability.domain.offering import Offering, SlotQuery
from shared.runtime.clock import Clock
from shared.slots.engine import day_slots, days_needed, month
from shared.slots.refusal import DurationNotOffered
from shared.slots.slot import Slot


class DaySlots(NamedTuple):
    """Free starts of one date, and the days they were computed from."""

    slots: Sequence[Slot]
    zone: ZoneInfo
    days: Sequence[tuple[int, DayState]]


class FindSlots:
    """Finds free starts. Day, month and the write path ask one engine."""

    def __init__(self, offerings: Offerings, days: DayReader, clock: Clock) -> None:
        self._offerings = offerings
        self._days = days
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
            return DaySlots((), zone, ())
        needed, states = await self._read(offering, query, zone)
        busy = {day: state.busy for day, state in states.items()}
        found = day_slots(
            offering.schedule,
            offering.rules,
            query.first,
            query.duration,
            self._clock.now(),
            busy,
            zone,
        )
        return DaySlots(found, zone, [(day, states.get(day, FREE)) for day in needed])

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
        _, states = await self._read(offering, query, zone)
        busy = {day: state.busy for day, state in states.items()}
        found = month(
            offering.schedule,
            offering.rules,
            query.first,
            query.last,
            query.duration,
            self._clock.now(),
            busy,
            zone,
        )
        return found, zone

    async def _read(
        self, offering: Offering, query: SlotQuery, zone: ZoneInfo
    ) -> tuple[range, Mapping[int, DayState]]:
        offering.require_link()
        try:
            needed = days_needed(
                offering.schedule, offering.rules, query.first, query.last, query.duration, zone
            )
        except DurationNotOffered:
            raise offering.length_refusal() from None
        organization_id, resource_id, _ = query.name
        return needed, await self._days.of_resource(organization_id, resource_id, needed)
