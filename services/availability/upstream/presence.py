"""Presence, as far as bookings need it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from holdfast.presence.v1 import presence_pb2_grpc
from services.availability.app.hold_gate import CountedHold
from services.availability.domain.booking import BookingItem
from services.availability.upstream.hold_check import HoldChecks
from services.availability.upstream.hold_metrics import HoldMetrics
from services.availability.upstream.outage import Outage
from services.availability.upstream.settlement import Settlements
from services.availability.upstream.store_clock import StoreClock
from shared.runtime.channel import upstream_channel

_NOTHING: Final[Sequence[CountedHold]] = ()

logger = logging.getLogger("holdfast.availability.holds")


class Presence:
    """The port ``Holds`` over PresenceService. Belongs to one event loop."""

    def __init__(self, address: str, metrics: HoldMetrics, *, budget_seconds: float) -> None:
        """Connects when it is first asked.

        Args:
            address: host:port, or another gRPC target; of several addresses all are used.
            metrics: Counts what comes of it.
            budget_seconds: How long a booking waits for what is held.
        """
        self._channel = upstream_channel(address)
        stub = presence_pb2_grpc.PresenceServiceStub(self._channel)
        clock = StoreClock()
        self._checks = HoldChecks(
            stub.CheckHolds,
            clock,
            metrics,
            Outage(logger, "holds are not checked", "holds are checked again"),
            budget_seconds=budget_seconds,
        )
        self._settlements = Settlements(stub.SettleHolds, stub.CheckHolds, clock, metrics)

    async def counted(
        self, organization_id: str, session: str, items: Sequence[BookingItem]
    ) -> Sequence[CountedHold]:
        """As in the port."""
        return await self._checks.counted(organization_id, session, items)

    def settle(
        self, organization_id: str, session: str, items: Sequence[BookingItem], *, is_block: bool
    ) -> None:
        """As in the port."""
        self._settlements.add(organization_id, session, items, is_block=is_block)

    def is_unsettled(self, organization_id: str) -> bool:
        """As in the port."""
        return self._settlements.has_any(organization_id)

    def settled(self, organization_id: str) -> AbstractAsyncContextManager[bool]:
        """As in the port."""
        return self._settlements.told(organization_id)

    async def run(self) -> None:
        """Settles, until it is cancelled; ends for nothing else."""
        await self._settlements.run()

    async def close(self) -> None:
        """Settles what is left, and disconnects."""
        await self._settlements.close()
        await self._checks.close()
        await self._channel.close()


class NoPresence:
    """The port ``Holds`` where no presence is named: nothing is held."""

    def __init__(self, metrics: HoldMetrics) -> None:
        self._metrics = metrics

    async def counted(
        self, organization_id: str, session: str, items: Sequence[BookingItem]
    ) -> Sequence[CountedHold]:
        """As in the port."""
        del organization_id, session, items
        self._metrics.off.inc()
        return _NOTHING

    def settle(
        self, organization_id: str, session: str, items: Sequence[BookingItem], *, is_block: bool
    ) -> None:
        """As in the port."""
        del organization_id, session, items, is_block

    def is_unsettled(self, organization_id: str) -> bool:
        """As in the port."""
        del organization_id
        return False

    @asynccontextmanager
    async def settled(self, organization_id: str) -> AsyncIterator[bool]:
        """As in the port."""
        del organization_id
        yield True

    async def run(self) -> None:
        """Does nothing, until it is cancelled."""
        logger.warning("no presence is named: bookings are not checked against holds")
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Does nothing."""
