"""Ends the holds over time that bookings and blocks have taken."""

from __future__ import annotations

from collections.abc import Sequence

from services.presence.app.port import HoldReader, HoldRules, HoldStore
from services.presence.app.rule import rules_of
from services.presence.domain.hold import HoldRule, ResourceName, ResourceRule
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
        claims = (await self._reader.claims({name for name, _, _ in items})).claims
        held = [item for item in items if claims[item[0]].overlap(item[1].span)]
        rules = await rules_of(self._rules, {name for name, _, _ in held})
        settled: list[SettledTime] = []
        for name, item, settlement in held:
            rule = _ended_by(rules[name])
            booking = settlement.booking
            # A crowd of others is no work.
            if rule is HoldRule.EXCLUSIVE or claims[name].own_overlap(booking.holder_id, item.span):
                settled.append(
                    SettledTime(
                        name,
                        booking.holder,
                        item.span,
                        item.units,
                        settlement.committed_at,
                        settlement.reason,
                        rule,
                    )
                )
        return await self._store.settle(settled)


def _ended_by(rule: ResourceRule) -> HoldRule:
    """Returns the rule by which holds end.

    Where none is known, others' holds are not ended for what may be a unit of a pool, nor more
    of the booker's own than it booked: what ends wrongly cannot be given back.
    """
    return rule.rule if rule.is_known else HoldRule.POOL
