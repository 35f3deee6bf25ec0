"""Tells presence what was committed, so that it ends what is held of that time.

Beside the bookings, never in their way: what cannot be told is let go, and holds end by
themselves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import grpc

from holdfast.presence.v1 import hold_check_pb2 as pb
from holdfast.presence.v1 import holder_pb2
from services.availability.domain.booking import BookingItem
from services.availability.upstream.hold_check import Ask
from services.availability.upstream.hold_metrics import HoldMetrics
from services.availability.upstream.outage import Outage
from services.availability.upstream.store_clock import StoreClock

Tell = Callable[..., Awaitable[pb.SettleHoldsResponse]]
"""SettleHolds of a stub."""

MOST_SETTLEMENTS: Final = 256
"""In one call."""

# Organizations that are told about at once.
_AT_ONCE: Final = 8
_BOOKED: Final = holder_pb2.HOLD_END_REASON_BOOKED
_BLOCKED: Final = holder_pb2.HOLD_END_REASON_BLOCKED
_MICROS_PER_SECOND: Final = 1_000_000
_NANOS_PER_MICRO: Final = 1_000

logger = logging.getLogger("holdfast.availability.holds")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementTerms:
    """How settlements are told.

    Attributes:
        gather_seconds: Those that come within this time travel together.
        pause_seconds: Between two rounds: under load, few calls tell of many.
        answer_seconds: How long an answer is waited for.
        again_seconds: After what time to try again.
        most_seconds: How long after its commit a settlement is still tried.
        most_waiting: How many may wait; of further ones, holds end by themselves.
    """

    gather_seconds: float = 0.02
    pause_seconds: float = 0.15
    answer_seconds: float = 1.0
    again_seconds: float = 0.25
    most_seconds: float = 10.0
    most_waiting: int = 20_000


class _Settlement(NamedTuple):
    """Something that was committed; ``committed_at`` by the monotonic clock."""

    committed_at: float
    session: str
    items: Sequence[BookingItem]
    is_block: bool


class Settlements:
    """Those that wait to be told, by organization. Belongs to one event loop."""

    def __init__(
        self,
        tell: Tell,
        ask: Ask,
        clock: StoreClock,
        metrics: HoldMetrics,
        terms: SettlementTerms | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Has nothing to tell yet; ``run`` must run for anything to be told.

        Args:
            tell: Tells presence.
            ask: Asks it for the time, where nobody has of late.
            clock: The store's.
            metrics: Counts what became of them.
            terms: How they are told.
            monotonic: The clock that ``clock`` learns by.
        """
        self._tell = tell
        self._ask = ask
        self._clock = clock
        self._metrics = metrics
        self._terms = terms or SettlementTerms()
        self._monotonic = monotonic
        self._outage = Outage(logger, "holds are not settled", "holds are settled again")
        self._waiting: dict[str, deque[_Settlement]] = {}
        self._count = 0
        self._wanted = asyncio.Event()

    def add(
        self, organization_id: str, session: str, items: Sequence[BookingItem], *, is_block: bool
    ) -> None:
        """Takes in what was committed just now."""
        if self._count >= self._terms.most_waiting:
            self._metrics.dropped.inc()
            return
        self._count += 1
        waiting = self._waiting.get(organization_id)
        if waiting is None:
            waiting = self._waiting[organization_id] = deque()
        waiting.append(_Settlement(self._monotonic(), session, items, is_block))
        self._wanted.set()

    async def run(self) -> None:
        """Tells what comes, until it is cancelled; ends for nothing else."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(self._terms.gather_seconds)
            self._wanted.clear()
            if await self._round():
                await asyncio.sleep(self._terms.pause_seconds)
            else:
                self._wanted.set()
                await asyncio.sleep(self._terms.again_seconds)

    async def close(self) -> None:
        """Tells what is left, once."""
        await self._round()

    async def _round(self) -> bool:
        """Tells what waits; returns whether it all went well."""
        names = list(self._waiting)
        for begin in range(0, len(names), _AT_ONCE):
            work = (self._settle(name) for name in names[begin : begin + _AT_ONCE])
            for failure in await asyncio.gather(*work, return_exceptions=True):
                if failure is not None:
                    # Others would fail in the same way, and each take its time.
                    self._note(failure)
                    return False
        self._outage.ends()
        return True

    def _note(self, failure: BaseException) -> None:
        if isinstance(failure, grpc.aio.AioRpcError):
            self._outage.begins(failure.code().name)
        else:
            logger.error("a bug keeps holds from being settled", exc_info=failure)
        self._give_up_late()

    async def _settle(self, organization_id: str) -> None:
        waiting = self._waiting[organization_id]
        while waiting:
            told = [waiting[at] for at in range(min(len(waiting), MOST_SETTLEMENTS))]
            await self._tell(
                await self._request(organization_id, told), timeout=self._terms.answer_seconds
            )
            for _ in told:
                waiting.popleft()
            self._count -= len(told)
            self._metrics.settled.inc(len(told))
        del self._waiting[organization_id]

    async def _request(
        self, organization_id: str, told: Sequence[_Settlement]
    ) -> pb.SettleHoldsRequest:
        request = pb.SettleHoldsRequest(organization_id=organization_id)
        for settlement in told:
            at = self._clock.at(settlement.committed_at, self._monotonic())
            if at is None:
                at = await self._asked_time(organization_id, settlement.committed_at)
            added = request.settlements.add(
                session=settlement.session, reason=_BLOCKED if settlement.is_block else _BOOKED
            )
            added.commit_time.seconds, micros = divmod(at, _MICROS_PER_SECOND)
            added.commit_time.nanos = micros * _NANOS_PER_MICRO
            for item in settlement.items:
                span = item.occupancy
                added.items.add(
                    resource_id=item.resource_id,
                    first_quantum=span.first,
                    stop_quantum=span.stop,
                    units=item.units,
                )
        return request

    async def _asked_time(self, organization_id: str, instant: float) -> int:
        answer = await self._ask(
            pb.CheckHoldsRequest(organization_id=organization_id),
            timeout=self._terms.answer_seconds,
        )
        now = self._monotonic()
        self._clock.learn(answer.store_time.ToMicroseconds(), now)
        found = self._clock.at(instant, now)
        if found is None:
            raise ValueError("the store's clock cannot be told")
        return found

    def _give_up_late(self) -> None:
        oldest = self._monotonic() - self._terms.most_seconds
        for organization_id, waiting in list(self._waiting.items()):
            while waiting and waiting[0].committed_at < oldest:
                waiting.popleft()
                self._count -= 1
                self._metrics.late.inc()
            if not waiting:
                del self._waiting[organization_id]
