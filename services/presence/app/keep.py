"""Acquires, renews and swaps holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from services.presence.app.port import HoldRules, HoldStore
from services.presence.domain.hold import HoldKey, ResourceName, ResourceRule
from services.presence.domain.refusal import Refusal, ResourceNotFound
from services.presence.domain.wish import (
    Action,
    Judged,
    Keep,
    Kept,
    Left,
    Refused,
    Unjudged,
    Wish,
)
from shared.slots.quantum import Span


class KeepHolds:
    """Many wishes at once."""

    def __init__(self, store: HoldStore, rules: HoldRules) -> None:
        self._store = store
        self._rules = rules

    def wish(self, key: HoldKey, span: Span, action: Action) -> Keep:
        """Returns the wish to have a hold, with the rule if it is known already."""
        return Keep(key, span, action, self._rules.known(*key.resource))

    async def __call__(self, wishes: Sequence[Wish]) -> list[Judged | Left]:
        """Fulfils wishes in their order and returns what became of each.

        Raises:
            StoreUnavailable: The store cannot be reached. Some may be fulfilled already;
                repeating the call fulfils the rest.
        """
        verdicts = await self._store.fulfil(wishes)
        found: dict[int, Judged | Left] = {}
        unjudged: dict[int, Keep] = {}
        for place, (wish, verdict) in enumerate(zip(wishes, verdicts, strict=True)):
            if not isinstance(verdict, Unjudged):
                found[place] = verdict
            elif isinstance(wish, Keep):
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
                again[place] = replace(wish, rule=rule)
        verdicts = await self._store.fulfil(list(again.values()))
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

    def __init__(self, keep: KeepHolds) -> None:
        self._keep = keep

    async def __call__(self, key: HoldKey, span: Span) -> datetime:
        """Returns when the hold ends unless it is renewed.

        Raises:
            ResourceNotFound: The resource is unknown, and this is not a renewal.
            SlotHeld: Another session's live hold is in the way.
            TooManyHolds: The session has as many holds on the resource as it may.
            StoreUnavailable: The store cannot be reached.
        """
        (found,) = await self._keep([self._keep.wish(key, span, Action.ACQUIRE)])
        if isinstance(found, Refused):
            raise found.refusal
        assert isinstance(found, Kept)  # an acquisition meets no end
        return found.expires_at
