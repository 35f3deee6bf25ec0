"""Makes wishes of what somebody wants to hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from services.presence.app.port import HoldRules
from services.presence.domain.hold import NO_BUFFERS, Buffers, HoldKey, Wanted
from services.presence.domain.refusal import EventTypeNotFound
from services.presence.domain.wish import Action, Doubt, Keep
from shared.runtime.failure import StoreUnavailable


class Want(NamedTuple):
    """What is wanted, and whether it was had before and is to go on."""

    wanted: Wanted
    is_renewal: bool


class WishHolds:
    """Adds what the catalog knows: buffers and, where it is at hand, the rule."""

    def __init__(self, rules: HoldRules) -> None:
        self._rules = rules

    async def __call__(self, wants: Mapping[HoldKey, Want]) -> list[Keep]:
        """Returns a wish for each; one whose buffers are not to be known says so itself."""
        if not any(want.wanted.event_type_id for want in wants.values()):
            return [self._wish(key, want, NO_BUFFERS) for key, want in wants.items()]
        named = {
            (key.holder.organization_id, want.wanted.event_type_id) for key, want in wants.items()
        }
        buffers = await self._buffers(named)
        return [
            self._wish(key, want, buffers[key.holder.organization_id, want.wanted.event_type_id])
            for key, want in wants.items()
        ]

    def _wish(self, key: HoldKey, want: Want, buffers: Buffers | Doubt) -> Keep:
        wanted, is_renewal = want
        units, event_type_id = wanted.units, wanted.event_type_id
        if not isinstance(buffers, Buffers):
            # A hold that is there outlives its event type, and the catalog's outage.
            return Keep(key, wanted.span(), Action.RESUME, None, units, event_type_id, buffers)
        action = Action.RENEW if is_renewal else Action.ACQUIRE
        rule = self._rules.known(*key.resource)
        return Keep(key, wanted.span(buffers), action, rule, units, event_type_id)

    async def _buffers(
        self, named: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], Buffers | Doubt]:
        async def ask(organization_id: str, event_type_id: str) -> Buffers | Doubt:
            if not event_type_id:
                return NO_BUFFERS
            try:
                return await self._rules.buffers(organization_id, event_type_id)
            except (EventTypeNotFound, StoreUnavailable) as doubt:
                return doubt

        names = list(named)
        if len(names) == 1:  # nearly always, and then a task would cost more than the answer
            return {names[0]: await ask(*names[0])}
        found = await asyncio.gather(*(ask(*name) for name in names))
        return dict(zip(names, found, strict=True))
