"""What a viewer sees as reserved is what a booking is refused for, whatever is held and taken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.availability.app.hold_gate import CountedHold, HoldGate
from services.availability.domain import counter
from services.availability.domain.booking import BookingItem
from services.availability.domain.claim import DayState
from services.availability.domain.refusal import SlotHeld
from services.presence.domain import hold as presence
from services.presence.domain.claim import Asked, Claim, Claims
from shared.client.day_merge import OfferedSlots, SlotState, Stock, ViewSlot, merge
from shared.client.live_hold import HoldName, LiveHold
from shared.slots.held import HeldUnits
from shared.slots.quantum import QUANTA_PER_DAY, Span, instant
from tests.slot_presence import slot_presence

DAY: Final = 20_520
# Around midnight, so that two days are counted.
BASE: Final = DAY * QUANTA_PER_DAY + 90
QUANTA: Final = 12
NOW: Final = instant(BASE)
EXCLUSIVE, POOL = presence.HoldRule.EXCLUSIVE, presence.HoldRule.POOL


class Held(NamedTuple):
    """A hold: whose, of how many units, and which of the quanta."""

    session: str
    units: int
    first: int
    length: int

    @property
    def span(self) -> Span:
        return Span(BASE + self.first, BASE + self.first + self.length)


_held = st.builds(
    Held, st.sampled_from("abc"), st.integers(1, 3), st.integers(0, QUANTA - 1), st.integers(1, 6)
)
_holds = st.lists(_held, max_size=7)
_occupancy = st.builds(
    lambda first, length: Span(BASE + first, BASE + first + length),
    st.integers(0, QUANTA - 1),
    st.integers(1, 6),
)
_taken = st.lists(st.integers(0, 4), min_size=2 * QUANTA, max_size=2 * QUANTA)


class World:
    """Some holds of a resource, in the order of their acquisition, and what is booked of it."""

    def __init__(
        self, rule: presence.HoldRule, holds: Sequence[Held], capacity: int, taken: Sequence[int]
    ) -> None:
        self._rule = rule
        self._holds = holds
        self._capacity = capacity
        self._taken = {BASE + place: min(units, capacity) for place, units in enumerate(taken)}

    @property
    def free(self) -> dict[int, int]:
        return {quantum: self._capacity - units for quantum, units in self._taken.items()}

    def of_presence(self) -> list[presence.LiveHold]:
        return [
            presence.LiveHold(
                "r",
                _holder_id(hold.session),
                str(place),
                hold.span,
                NOW,
                is_overdue=False,
                units=hold.units,
                acquired_at=NOW + timedelta(seconds=place),
            )
            for place, hold in enumerate(self._holds)
        ]

    def of_client(self) -> list[LiveHold]:
        return [
            LiveHold(
                "r",
                HoldName(hold.holder_id, hold.hold_id),
                hold.span,
                instant(hold.span.first),
                instant(hold.span.stop),
                NOW,
                is_overdue=False,
                units=hold.units,
                acquired_at=hold.acquired_at,
            )
            for hold in self.of_presence()
        ]

    async def counted(
        self, organization_id: str, session: str, items: Sequence[BookingItem]
    ) -> Sequence[CountedHold]:
        """Answers as CheckHolds does."""
        (item,) = items
        claims = Claims(
            Claim(place, hold.span.first, hold.span.stop, hold.units, _holder_id(hold.session))
            for place, hold in enumerate(self._holds)
        )
        asked = Asked(_holder_id(session) if session else "", item.occupancy)
        (found,) = claims.counted(self._rule, [asked])
        return [CountedHold(0, HeldUnits(*run)) for run in found]

    def settle(
        self, organization_id: str, session: str, items: Sequence[BookingItem], *, is_block: bool
    ) -> None:
        raise AssertionError("nothing is committed here")

    def is_unsettled(self, organization_id: str) -> bool:
        return False

    @asynccontextmanager
    async def settled(self, organization_id: str) -> AsyncIterator[bool]:
        yield True

    async def of_resource(
        self, organization_id: str, resource_id: str, days: range
    ) -> Mapping[int, DayState]:
        """Answers as the store's days."""
        found: dict[int, DayState] = {}
        for quantum, units in self._taken.items():
            day, place = divmod(quantum, QUANTA_PER_DAY)
            state = found.get(day, DayState(0, 1))
            found[day] = state._replace(taken=counter.add(state.taken, 1 << place, units))
        return {day: state for day, state in found.items() if day in days}

    async def of_resources(
        self, organization_id: str, resource_ids: Sequence[str], days: Sequence[int]
    ) -> Mapping[str, Mapping[int, DayState]]:
        raise AssertionError("one resource is asked about at a time")

    async def capacities(
        self, organization_id: str, resource_ids: Collection[str]
    ) -> Mapping[str, int]:
        return dict.fromkeys(resource_ids, self._capacity)

    async def refused(self, session: str, occupancy: Span, units: int) -> list[int]:
        """The quanta for which CreateBooking refuses."""
        item = BookingItem("r", units, occupancy, is_pool=self._rule is POOL)
        try:
            await HoldGate(self, self).require_unheld("org", session, [item])
        except SlotHeld as refusal:
            return [
                (day.toordinal() - instant(0).toordinal()) * QUANTA_PER_DAY + index
                for day, indexes in refusal.quanta.items()
                for index in indexes
            ]
        return []


def _holder_id(session: str) -> str:
    return presence.holder_of("org", session * 22).holder_id


def is_reserved(world: World, session: str, occupancy: Span, units: int, stock: Stock) -> bool:
    """What DayView shows of a start."""
    start, end = instant(occupancy.first), instant(occupancy.stop)
    slot = ViewSlot(start, end, start, end, max(units, 1))
    offered = OfferedSlots([(occupancy, slot)], units)
    own = _holder_id(session) if session else ""
    (seen,) = merge(offered, world.of_client(), own, stock=stock)
    return seen.state is SlotState.RESERVED


@given(_holds, _occupancy, st.sampled_from(["", "a"]))
async def test_of_a_room(holds: list[Held], occupancy: Span, session: str) -> None:
    world = World(EXCLUSIVE, holds, 1, [0] * 2 * QUANTA)
    own = _holder_id(session) if session else ""

    refused = await world.refused(session, occupancy, 1)

    assert bool(refused) == is_reserved(world, session, occupancy, 1, Stock(1))
    assert bool(refused) == slot_presence(occupancy, world.of_client(), own).is_reserved


@pytest.mark.parametrize("session", ["", "a"])
@given(_holds, _occupancy, st.integers(1, 3), st.integers(1, 6), _taken)
async def test_of_a_pool(
    session: str,
    holds: list[Held],
    occupancy: Span,
    units: int,
    capacity: int,
    taken: list[int],
) -> None:
    world = World(POOL, holds, capacity, taken)

    refused = await world.refused(session, occupancy, units)

    stock = Stock(world.free, is_pool=True)
    assert bool(refused) == is_reserved(world, session, occupancy, units, stock)


@given(_holds, _occupancy, st.integers(1, 3), st.integers(1, 6), st.sampled_from(["", "a"]))
async def test_of_a_pool_of_which_nothing_is_booked(
    holds: list[Held], occupancy: Span, units: int, capacity: int, session: str
) -> None:
    world = World(POOL, holds, capacity, [0] * 2 * QUANTA)
    own = _holder_id(session) if session else ""

    refused = await world.refused(session, occupancy, units)

    seen = slot_presence(
        occupancy, world.of_client(), own, units_free=capacity, units=units, is_pool=True
    )
    assert bool(refused) == seen.is_reserved


@given(_holds, _occupancy, st.integers(1, 3), st.integers(1, 6), _taken)
async def test_the_quanta_told_are_those_of_the_rule(
    holds: list[Held], occupancy: Span, units: int, capacity: int, taken: list[int]
) -> None:
    world = World(POOL, holds, capacity, taken)

    refused = await world.refused("", occupancy, units)

    held = {
        at: sum(hold.units for hold in holds if hold.span.first <= at < hold.span.stop)
        for at in range(occupancy.first, occupancy.stop)
    }
    assert refused == [at for at, n in held.items() if n and world.free[at] - n < units]
