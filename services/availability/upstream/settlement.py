"""Tells presence what was committed, so that it ends what is held of that time.

Beside the bookings, never in their way: what cannot be told is let go, and holds end by
themselves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field
from typing import Final

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

# Organizations that are told about at once; and of those that failed, which must not be in the
# way of others.
_AT_ONCE: Final = 8
_FAILED_AT_ONCE: Final = 2
_LONGEST_AGAIN_SECONDS: Final = 1.0
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
        again_seconds: After what time to try again; after twice that the next time.
        most_seconds: How long after its commit a settlement is still tried.
        most_waiting: How many may wait; of further ones, holds end by themselves.
        doubt_seconds: How long a booking in doubt waits for what is to be told, and what is to be
            told for bookings in doubt.
    """

    gather_seconds: float = 0.02
    pause_seconds: float = 0.15
    answer_seconds: float = 1.0
    again_seconds: float = 0.25
    most_seconds: float = 10.0
    most_waiting: int = 20_000
    doubt_seconds: float = 0.1


@dataclass(slots=True, eq=False)
class _Settlement:
    """Something that was committed.

    Attributes:
        committed_at: By the monotonic clock.
        commit_time: In microseconds, by the store's clock; None until it is first told. It is
            kept then: by this presence knows again what it was told before.
    """

    committed_at: float
    session: str = field(repr=False)
    items: Sequence[BookingItem]
    is_block: bool
    commit_time: int | None = None


class _Queue:
    """What waits of one organization.

    Attributes:
        failures: In a row.
        resumes_at: When to try again after a failure, by the monotonic clock.
        doubts: Bookings that are asking presence once more: until they know, nothing is told.
        without_doubts: Set while there are none.
    """

    def __init__(self) -> None:
        self.waiting: deque[_Settlement] = deque()
        self.telling: asyncio.Task[None] | None = None
        self.failures = 0
        self.resumes_at = 0.0
        self.doubts = 0
        self.without_doubts = asyncio.Event()
        self.without_doubts.set()

    @property
    def is_idle(self) -> bool:
        return not self.waiting and self.telling is None and not self.doubts


class Settlements:
    """Those that wait to be told, by organization. Belongs to one event loop.

    Each organization's are told on their own: one that fails is tried again after a while, and
    others do not wait for it.
    """

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
        self._queues: dict[str, _Queue] = {}
        self._count = 0
        self._failing: set[str] = set()
        self._wanted = asyncio.Event()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._slots_of_failed = asyncio.Semaphore(_FAILED_AT_ONCE)

    def add(
        self, organization_id: str, session: str, items: Sequence[BookingItem], *, is_block: bool
    ) -> None:
        """Takes in what was committed just now."""
        if self._count >= self._terms.most_waiting:
            self._metrics.dropped.inc()
            return
        self._count += 1
        waiting = self._queue(organization_id).waiting
        waiting.append(_Settlement(self._monotonic(), session, items, is_block))
        self._wanted.set()

    def has_any(self, organization_id: str) -> bool:
        """Tells whether something of an organization waits, or is on its way."""
        queue = self._queues.get(organization_id)
        return queue is not None and bool(queue.waiting)

    @asynccontextmanager
    async def told(self, organization_id: str) -> AsyncIterator[bool]:
        """Tells at once what was committed of an organization, and then nothing for a moment.

        Whatever is committed within the block stays held as long as the block lasts: so what was
        free when it began, and what is held when presence answers, fit together.

        Yields:
            Whether all is told. Where it is not, in good time, what is held may be booked by now.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._terms.doubt_seconds
        while self.has_any(organization_id):
            queue = self._queues[organization_id]
            failures = queue.failures
            left = until - loop.time()
            if left > 0:
                await asyncio.wait([queue.telling or self._begin(organization_id)], timeout=left)
            if left <= 0 or queue.failures > failures:
                yield False
                return
        queue = self._queue(organization_id)
        queue.doubts += 1
        queue.without_doubts.clear()
        try:
            yield True
        finally:
            queue.doubts -= 1
            if not queue.doubts:
                queue.without_doubts.set()
                self._drop_idle(organization_id)

    async def run(self) -> None:
        """Tells what comes, until it is cancelled; ends for nothing else."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(self._terms.gather_seconds)
            self._wanted.clear()
            now = self._monotonic()
            for organization_id, queue in self._queues.items():
                if queue.waiting and queue.telling is None and queue.resumes_at <= now:
                    self._begin(organization_id)
            await asyncio.sleep(self._terms.pause_seconds)
            if self._count:
                self._wanted.set()

    async def close(self) -> None:
        """Tells what is left, once, and for so long as one call and its question may take."""
        tasks = [
            queue.telling or self._begin(organization_id)
            for organization_id, queue in self._queues.items()
            if queue.waiting
        ]
        if tasks:
            await asyncio.wait(tasks, timeout=2 * self._terms.answer_seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _queue(self, organization_id: str) -> _Queue:
        queue = self._queues.get(organization_id)
        if queue is None:
            queue = self._queues[organization_id] = _Queue()
        return queue

    def _drop_idle(self, organization_id: str) -> None:
        queue = self._queues.get(organization_id)
        if queue is not None and queue.is_idle:
            del self._queues[organization_id]

    def _begin(self, organization_id: str) -> asyncio.Task[None]:
        queue = self._queues[organization_id]
        # In no caller's context: no caller's deadline bounds it.
        task = asyncio.create_task(self._try(organization_id, queue), context=Context())
        queue.telling = task

        def ended(_: asyncio.Task[None]) -> None:
            queue.telling = None
            self._drop_idle(organization_id)

        task.add_done_callback(ended)
        return task

    async def _try(self, organization_id: str, queue: _Queue) -> None:
        """Tells what waits of an organization; plans another attempt where that fails."""
        if queue.doubts:
            await self._without_doubts(queue)
        slots = self._slots_of_failed if queue.failures else self._slots
        try:
            async with slots:
                await self._settle(organization_id, queue.waiting)
        except Exception as error:  # noqa: BLE001  # noted, and tried again
            self._note(error)
            again = self._terms.again_seconds * 2**queue.failures
            queue.resumes_at = self._monotonic() + min(again, _LONGEST_AGAIN_SECONDS)
            queue.failures += 1
            self._failing.add(organization_id)
            self._give_up_late(queue)
        else:
            queue.failures = 0
            self._failing.discard(organization_id)
            if not self._failing:
                self._outage.ends()
        if not queue.waiting:
            self._failing.discard(organization_id)

    def _note(self, failure: Exception) -> None:
        if isinstance(failure, grpc.aio.AioRpcError):
            self._outage.begins(failure.code().name)
        else:
            self._outage.begins(type(failure).__name__, failure)

    async def _settle(self, organization_id: str, waiting: deque[_Settlement]) -> None:
        while waiting:
            told = [waiting[at] for at in range(min(len(waiting), MOST_SETTLEMENTS))]
            await self._tell(
                await self._request(organization_id, told), timeout=self._terms.answer_seconds
            )
            for _ in told:
                waiting.popleft()
            self._count -= len(told)
            self._metrics.settled.inc(len(told))

    async def _without_doubts(self, queue: _Queue) -> None:
        # While something waits nobody else begins to doubt, so this does not go on for ever; and
        # whom the store of the days keeps waiting is not waited for.
        try:
            async with asyncio.timeout(self._terms.doubt_seconds):
                await queue.without_doubts.wait()
        except TimeoutError:
            pass

    async def _request(
        self, organization_id: str, told: Sequence[_Settlement]
    ) -> pb.SettleHoldsRequest:
        request = pb.SettleHoldsRequest(organization_id=organization_id)
        for settlement in told:
            at = settlement.commit_time
            if at is None:
                at = await self._commit_time(organization_id, settlement.committed_at)
                settlement.commit_time = at
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

    async def _commit_time(self, organization_id: str, instant: float) -> int:
        found = self._clock.at(instant, self._monotonic())
        if found is not None:
            return found
        answer = await self._ask(
            pb.CheckHoldsRequest(organization_id=organization_id),
            timeout=self._terms.answer_seconds,
        )
        if answer is not None:
            now = self._monotonic()
            self._clock.learn(answer.store_time.ToMicroseconds(), now)
            found = self._clock.at(instant, now)
        if found is None:
            raise ValueError("the store's clock cannot be told")
        return found

    def _give_up_late(self, queue: _Queue) -> None:
        oldest = self._monotonic() - self._terms.most_seconds
        while queue.waiting and queue.waiting[0].committed_at < oldest:
            queue.waiting.popleft()
            self._count -= 1
            self._metrics.late.inc()
