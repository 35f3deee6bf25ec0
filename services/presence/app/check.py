"""Tells what others hold of the time that bookings are about to take."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from services.presence.app.port import HoldReader, HoldRules
from services.presence.app.rule import rules_of
from services.presence.domain.hold import ResourceName
from services.presence.domain.taken import Booking, CountedHold, counted


class Checked(NamedTuple):
    """What counts against each booking, in their order, and when that was by the store's clock."""

    counted: Sequence[Sequence[CountedHold]]
    time: datetime


class CheckHolds:
    """Many bookings at once. Judges none of them."""

    def __init__(self, reader: HoldReader, rules: HoldRules) -> None:
        self._reader = reader
        self._rules = rules

    async def __call__(self, organization_id: str, bookings: Sequence[Booking]) -> Checked:
        """Returns the live holds that count against bookings.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        asked = {
            ResourceName(organization_id, item.resource_id)
            for booking in bookings
            for item in booking.items
        }
        reading = await self._reader.read(asked)
        # Nothing is asked about what nobody holds: that is nearly all of it.
        held = {name: holds for name, holds in reading.holds.items() if holds}
        rules = await rules_of(self._rules, held)
        found: list[list[CountedHold]] = []
        for booking in bookings:
            counting: list[CountedHold] = []
            for place, item in enumerate(booking.items):
                name = ResourceName(organization_id, item.resource_id)
                if name in held:
                    holds = counted(rules[name], booking.holder, item.span, held[name])
                    counting += (CountedHold(place, hold) for hold in holds)
            found.append(counting)
        return Checked(found, reading.time)
