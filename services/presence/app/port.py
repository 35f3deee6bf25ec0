"""What the use cases need from outside."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from services.presence.domain.change import History, LogEntry, Position, Snapshot
from services.presence.domain.claim import ClaimsThen
from services.presence.domain.hold import (
    Buffers,
    Holder,
    HolderCount,
    LiveHold,
    Reading,
    ResourceName,
    ResourceRule,
)
from services.presence.domain.taken import SettledTime
from services.presence.domain.wish import Verdict, Wish
from shared.slots.quantum import Span


class HoldKeeper(Protocol):
    """Gives holds to those who wish for them."""

    async def fulfil(self, wishes: Sequence[Wish]) -> list[Verdict]:
        """Fulfils wishes in their order and returns what became of each.

        Each hold gets all its quanta or none, and a refusal changes nothing. What is wished
        of resources that share a scope happens in one step, unless it is very much.

        Raises:
            StoreUnavailable: The store cannot be reached. Some may be fulfilled already;
                repeating the call fulfils the rest.
        """


class HoldStore(HoldKeeper, Protocol):
    """Keeps holds, by its own clock. Each method may raise StoreUnavailable."""

    async def fulfil_each(self, wishes: Sequence[Wish]) -> list[Verdict | Exception]:
        """As ``fulfil``; where it failed for one scope, that is told in place of the verdicts."""

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

    async def settle(self, settled: Sequence[SettledTime]) -> int:
        """Ends the holds over time that is taken; told again, it ends no others.

        Returns:
            How many live ones ended.
        """


class HoldReader(Protocol):
    """Reads holds and changes nothing. Each method may raise StoreUnavailable."""

    async def read(self, resources: Collection[ResourceName]) -> Reading:
        """Reads the live holds of resources, each as it is at a moment after the reading's."""

    async def claims(self, resources: Collection[ResourceName]) -> ClaimsThen:
        """As ``read``, for those who book: cheaper, since they need less of each hold."""

    async def count(
        self, organization_id: str, resource_ids: Collection[str], event_type_id: str
    ) -> HolderCount:
        """Counts live holds on resources: those that name an event type, or all if it is empty."""


class HoldLog(Protocol):
    """Knows how holds changed. Each method but ``scope`` may raise StoreUnavailable."""

    def scope(self, resource: ResourceName) -> int:
        """Returns the scope in which a resource's revisions count."""

    async def snapshot(self, resources: Iterable[ResourceName]) -> dict[ResourceName, Snapshot]:
        """Reads the live holds of resources; one moment for all that share a scope.

        If the store may have lost writes since the scope's last change, its epoch is a new one.
        """

    async def since(self, revisions: Mapping[ResourceName, int]) -> dict[ResourceName, History]:
        """Reads what changed on each resource after a revision."""

    async def positions(self, scopes: Sequence[int]) -> dict[int, Position]:
        """Reads where scopes stand; one that has been lost stands at epoch 0."""

    async def sweep(self) -> None:
        """Ends the holds that expired and marks those that are overdue, each once."""


class HoldTail(Protocol):
    """Reads changes as they come."""

    async def read(self, revisions: Mapping[int, int]) -> list[tuple[int, LogEntry]]:
        """Returns what came after a revision of each scope, with its scope, in its order.

        Waits a moment for something to come, and may return nothing.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """


class HoldRules(Protocol):
    """Knows which rules the holds of a resource follow, and what an event type adds."""

    def known(self, organization_id: str, resource_id: str) -> ResourceRule | None:
        """Returns the rule of a resource if it can be told without asking anybody."""

    async def ask(self, organization_id: str, resource_id: str) -> ResourceRule:
        """Finds the rule out; it is ``UNKNOWN_RULE`` where nobody can be asked.

        Raises:
            ResourceNotFound: The resource is unknown or deleted.
        """

    async def buffers(self, organization_id: str, event_type_id: str) -> Buffers:
        """Finds out what an event type keeps free around its bookings.

        Raises:
            EventTypeNotFound: The event type is unknown or deleted.
            StoreUnavailable: It is not remembered, and nobody can be asked.
        """

    async def booked_by(self, organization_id: str, event_type_id: str) -> Sequence[str]:
        """Finds out which resources an event type books; none if it is unknown.

        Raises:
            StoreUnavailable: It is not remembered, and nobody can be asked.
        """
