"""Acquires, renews and swaps holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from services.presence.app.port import HoldKeeper, HoldRules
from services.presence.app.want import Want, WishHolds
from services.presence.domain.hold import HoldKey, ResourceName, ResourceRule
from services.presence.domain.refusal import HoldEnded, Refusal, ResourceNotFound
from services.presence.domain.wish import (
    Action,
    Ended,
    Judged,
    Keep,
    Kept,
    Left,
    Refused,
    Unjudged,
    Wish,
)


class KeepHolds:
    """Many wishes at once."""

    def __init__(self, keeper: HoldKeeper, rules: HoldRules) -> None:
        self._keeper = keeper
        self._rules = rules

    async def __call__(self, wishes: Sequence[Wish]) -> list[Judged | Left]:
        """Fulfils wishes in their order and returns what became of each.

        Raises:
            StoreUnavailable: The store cannot be reached. Some may be fulfilled already;
                repeating the call fulfils the rest.
        """
        verdicts = await self._keeper.fulfil(wishes)
        found: dict[int, Judged | Left] = {}
        unjudged: dict[int, Keep] = {}
        for place, (wish, verdict) in enumerate(zip(wishes, verdicts, strict=True)):
            if not isinstance(verdict, Unjudged):
                found[place] = verdict
            elif isinstance(wish, Keep):
                if wish.doubt is not None:
                    found[place] = Refused(wish.doubt)
                else:
                    unjudged[place] = wish
        if unjudged:
            # Only now the catalog is asked: a renewal goes on whatever became of the resource.
            found |= await self._judged(unjudged)
        return [found[place] for place in range(len(wishes))]

    async def _judged(self, wishes: dict[int, Keep]) -> dict[int, Judged | Left]:
        rules = await self._asked({wish.key.resource for wish in wishes.values()})
        found: dict[int, Judged | Left] = {}
        again: dict[int, Keep] = {}
        for place, wish in wishes.items():
            rule = rules[wish.key.resource]
            if not isinstance(rule, ResourceRule):
                found[place] = Refused(rule)
            else:
                action = Action.RENEW if wish.action is Action.STAY else wish.action
                again[place] = replace(wish, rule=rule, action=action)
        verdicts = await self._keeper.fulfil(list(again.values()))
        for place, verdict in zip(again, verdicts, strict=True):
            assert not isinstance(verdict, Unjudged)  # under a rule the store judges
            found[place] = verdict
        return found

    async def _asked(
        self, resources: Iterable[ResourceName]
    ) -> dict[ResourceName, ResourceRule | Refusal]:
        async def ask(resource: ResourceName) -> ResourceRule | Refusal:
            try:
                return await self._rules.ask(*resource)
            except ResourceNotFound as refusal:
                return refusal

        asked = list(resources)
        return dict(zip(asked, await asyncio.gather(*map(ask, asked)), strict=True))


class KeepHold:
    """One heartbeat."""

    def __init__(self, keep: KeepHolds, wish: WishHolds) -> None:
        self._keep = keep
        self._wish = wish

    async def __call__(self, key: HoldKey, want: Want) -> Kept:
        """Returns the hold as it is had.

        Raises:
            ResourceNotFound: The resource is unknown, and this is not a renewal.
            EventTypeNotFound: The event type is unknown, and this is not a renewal.
            SlotHeld: Another session's live hold is in the way.
            HoldTooLong: No booking of the resource could take that long.
            HoldEnded: Another call has ended the hold.
            TooManyHolds: The session has as many holds on the resource as it may.
            StoreUnavailable: The store cannot be reached, or the catalog to ask for buffers.
        """
        (found,) = await self._keep(await self._wish({key: want}))
        if isinstance(found, Refused):
            raise found.refusal
        if isinstance(found, Ended):
            raise HoldEnded(found.reason)
        assert isinstance(found, Kept)  # nothing was to be left
        return found
