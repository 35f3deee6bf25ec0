"""What the use cases need from outside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.presence.domain.hold import Holder, HoldKey, HoldRule, LiveHold
from shared.slots.quantum import Span


class HoldStore(Protocol):
    """Keeps holds, by its own clock. Each method may raise StoreUnavailable."""

    async def keep(self, key: HoldKey, span: Span, rule: HoldRule | None) -> datetime | None:
        """Renews a live hold of that span, else acquires or swaps it under ``rule``.

        One step: all quanta or none, and a refusal changes nothing.

        Returns:
            When the hold ends; None when no rule was given and there was nothing to renew.

        Raises:
            SlotHeld: The rule is exclusive and another holder's live hold is in the way.
            TooManyHolds: The holder may not have a further hold on the resource.
        """

    async def release(self, holder: Holder, resource_id: str, hold_id: str | None) -> int:
        """Releases one hold on a resource, or all of the holder's where ``hold_id`` is None.

        Returns:
            How many live holds ended.
        """

    async def release_all(self, holder: Holder) -> int:
        """Releases every hold of the holder; returns how many live ones ended."""

    async def live(
        self, organization_id: str, resource_ids: Sequence[str], span: Span
    ) -> list[LiveHold]:
        """Reads the live holds that overlap the span, by resource in the order given."""


class HoldRules(Protocol):
    """Knows which rule the holds of a resource follow."""

    def known(self, organization_id: str, resource_id: str) -> HoldRule | None:
        """Returns the rule if it can be told without asking anybody."""

    async def ask(self, organization_id: str, resource_id: str) -> HoldRule:
        """Finds the rule out; it is exclusive while nobody can be asked.

        Raises:
            ResourceNotFound: The resource is unknown or deleted.
        """
