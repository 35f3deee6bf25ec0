"""Acquires, renews and swaps holds."""

from __future__ import annotations

from datetime import datetime

from services.presence.app.port import HoldRules, HoldStore
from services.presence.domain.hold import HoldKey
from shared.slots.quantum import Span


class KeepHold:
    """One heartbeat."""

    def __init__(self, store: HoldStore, rules: HoldRules) -> None:
        self._store = store
        self._rules = rules

    async def __call__(self, key: HoldKey, span: Span) -> datetime:
        """Returns when the hold ends unless it is renewed.

        Raises:
            ResourceNotFound: The resource is unknown, and this is not a renewal.
            SlotHeld: Another session's live hold is in the way.
            TooManyHolds: The session has as many holds on the resource as it may.
            StoreUnavailable: The store cannot be reached.
        """
        resource = (key.holder.organization_id, key.resource_id)
        expires_at = await self._store.keep(key, span, self._rules.known(*resource))
        if expires_at is None:
            # Only now the catalog is asked: a renewal goes on whatever became of the resource.
            expires_at = await self._store.keep(key, span, await self._rules.ask(*resource))
            assert expires_at is not None  # under a rule the store keeps or raises
        return expires_at
