"""Tells what others hold of the time that bookings are about to take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from services.presence.app.port import HoldReader, HoldRules
from services.presence.app.rule import rules_of
from services.presence.domain.claim import Asked
from services.presence.domain.hold import ResourceName
from services.presence.domain.taken import Booking
from shared.slots.held import HeldUnits


class CountedUnits(NamedTuple):
    """Units that count against a booking; ``item`` is the place of what they overlap."""

    item: int
    held: HeldUnits


class Checked(NamedTuple):
    """What counts against each booking, in their order, and when that was by the store's clock."""

    counted: Sequence[Sequence[CountedUnits]]
    time: datetime


class CheckHolds:
    """Many bookings at once. Judges none of them."""

    def __init__(self, reader: HoldReader, rules: HoldRules) -> None:
        self._reader = reader
        self._rules = rules

    async def __call__(self, organization_id: str, bookings: Sequence[Booking]) -> Checked:
        """Returns the units of live holds that count against bookings.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        asked: defaultdict[ResourceName, list[_Item]] = defaultdict(list)
        for place, booking in enumerate(bookings):
            for item, taken in enumerate(booking.items):
                name = ResourceName(organization_id, taken.resource_id)
                asked[name].append(_Item(place, item, Asked(booking.holder_id, taken.span)))
        reading = await self._reader.claims(asked)
        # Nothing is asked about what nobody holds: that is nearly all of it.
        held = {name: claims for name, claims in reading.claims.items() if claims}
        rules = await rules_of(self._rules, held)
        found: list[list[CountedUnits]] = [[] for _ in bookings]
        for name, claims in held.items():
            items = asked[name]
            counted = claims.counted(rules[name].rule, [one.asked for one in items])
            for one, runs in zip(items, counted, strict=True):
                found[one.booking] += (CountedUnits(one.item, run) for run in runs)
        for counting in found:
            counting.sort()
        return Checked(found, reading.time)


class _Item(NamedTuple):
    """What a booking takes of one resource: the places of both, and what is asked of it."""

    booking: int
    item: int
    asked: Asked
