"""Ends the holds over time that bookings and blocks have taken."""

from __future__ import annotations

from collections.abc import Sequence

from services.presence.app.port import HoldReader, HoldRules, HoldStore
from services.presence.app.rule import rules_of
from services.presence.domain.hold import ResourceName
from services.presence.domain.taken import SettledTime, Settlement


class SettleHolds:
    """Many bookings at once."""

    def __init__(self, store: HoldStore, reader: HoldReader, rules: HoldRules) -> None:
        self._store = store
        self._reader = reader
        self._rules = rules

    async def __call__(self, organization_id: str, settlements: Sequence[Settlement]) -> int:
        """Returns how many live holds ended.

        Raises:
            StoreUnavailable: The store cannot be reached. Some may be settled already; repeating
                the call settles the rest.
        """
        items = [
            (ResourceName(organization_id, item.resource_id), item, settlement)
            for settlement in settlements
            for item in settlement.booking.items
        ]
        # What is acquired after this reading is acquired after the commit, too: where nobody
        # holds now there is nothing to end, and nothing to ask about.
        reading = await self._reader.read({name for name, _, _ in items})
        held = [
            (name, item, settlement)
            for name, item, settlement in items
            if any(hold.span.overlaps(item.span) for hold in reading.holds[name])
        ]
        rules = await rules_of(self._rules, {name for name, _, _ in held})
        return await self._store.settle(
            [
                SettledTime(
                    name,
                    settlement.booking.holder,
                    item.span,
                    item.units,
                    settlement.committed_at,
                    settlement.reason,
                    rules[name],
                )
                for name, item, settlement in held
            ]
        )
