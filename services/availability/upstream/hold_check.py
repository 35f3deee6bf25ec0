"""Asks presence what others hold, for many bookings at once and for a moment only.

While a question of an organization is on its way, further bookings wait; the next question takes
them all. So a lone booking is asked about at once, and under load one call serves many: a question
about several bookings is followed by a pause of some milliseconds, since a call costs both sides
ten times what a booking in it does.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from holdfast.presence.v1 import hold_check_pb2 as pb
from services.availability.app.hold_gate import CountedHold
from services.availability.domain.booking import BookingItem
from services.availability.upstream.hold_metrics import HoldMetrics
from services.availability.upstream.outage import Outage
from services.availability.upstream.store_clock import StoreClock
from shared.slots.held import HeldUnits

Ask = Callable[..., Awaitable[pb.CheckHoldsResponse | None]]
"""CheckHolds of a stub; None is what gRPC answers where it cannot read what came."""

MOST_CHECKS: Final = 256
"""In one question."""

_MOST_TIMEOUTS: Final = 5
_PAUSE_SECONDS: Final = 1.0
# Organizations whose timeouts are counted: those that failed longest ago begin anew.
_MOST_STREAKS: Final = 4_096
# After a question, for each booking in it but the first, and at most.
_PACE_SECONDS: Final = 0.002
_LONGEST_PACE_SECONDS: Final = 0.01
# Checks that are due within this time are given up together.
_TOGETHER_SECONDS: Final = 0.004

_NOTHING: Final[Sequence[CountedHold]] = ()


@dataclass(slots=True, eq=False)
class _Check:
    """A booking that waits for what is held; ``deadline`` by the loop's clock."""

    session: str = field(repr=False)
    items: Sequence[BookingItem]
    answer: asyncio.Future[Sequence[CountedHold]]
    deadline: float


@dataclass(slots=True)
class _Streak:
    """Questions of one organization in a row to which no answer came in time."""

    timeouts: int = 0
    resumes_at: float = 0.0


class HoldChecks:
    """What others hold of bookings' time. Belongs to one event loop.

    A booking waits for its answer for the budget at most, and then goes on without. After a few
    questions of an organization in a row to which no answer came in time, none is asked for a
    second; then one without an answer is enough for the next pause. Others' go on: what is slow
    may be one organization's part of the store.
    """

    def __init__(
        self,
        ask: Ask,
        clock: StoreClock,
        metrics: HoldMetrics,
        outage: Outage,
        *,
        budget_seconds: float,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._metrics = metrics
        self._outage = outage
        self._budget_seconds = budget_seconds
        self._waiting: dict[str, list[_Check]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._streaks: OrderedDict[str, _Streak] = OrderedDict()

    async def counted(
        self, organization_id: str, session: str, items: Sequence[BookingItem]
    ) -> Sequence[CountedHold]:
        """Returns the holds that count against a booking; none where that is not told in time."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        streak = self._streaks.get(organization_id)
        if streak is not None and now < streak.resumes_at:
            self._metrics.paused.inc()
            return _NOTHING
        check = _Check(session, items, loop.create_future(), now + self._budget_seconds)
        waiting = self._waiting.get(organization_id)
        if waiting is None:
            self._begin(organization_id, check)
        else:
            waiting.append(check)
        return await check.answer

    async def close(self) -> None:
        """Ends the questions on their way; whoever waits goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A task that was cancelled before its first step has left its own.
        for waiting in self._waiting.values():
            _answer_all(waiting)
        self._waiting.clear()

    def _begin(self, organization_id: str, check: _Check) -> None:
        self._waiting[organization_id] = [check]
        # In no caller's context: a question is not bounded by one caller's deadline.
        task = asyncio.create_task(self._serve(organization_id), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, organization_id: str) -> None:
        waiting = self._waiting[organization_id]
        now = asyncio.get_running_loop().time
        try:
            while waiting:
                checks = waiting[:MOST_CHECKS]
                del waiting[:MOST_CHECKS]
                begun = now()
                await self._exchange(organization_id, checks)
                if len(waiting) < MOST_CHECKS:
                    pace = min((len(checks) - 1) * _PACE_SECONDS, _LONGEST_PACE_SECONDS)
                    await asyncio.sleep(begun + pace - now())
        finally:
            del self._waiting[organization_id]
            _answer_all(waiting)

    async def _exchange(self, organization_id: str, checks: Sequence[_Check]) -> None:
        checks = [check for check in checks if not check.answer.done()]  # whose caller stayed
        if not checks:
            return
        loop = asyncio.get_running_loop()
        patience: _Patience | None = None
        try:
            patience = _Patience(loop, checks)
            answer = await self._ask(
                _request(organization_id, checks),
                timeout=max(0.001, checks[-1].deadline - loop.time()),
            )
            received_at = time.monotonic()
            if answer is None or len(answer.results) != len(checks):
                self._go_on(organization_id, checks, None, "not every check was answered")
                return
            self._clock.learn(answer.store_time.ToMicroseconds(), received_at)
            self._streaks.pop(organization_id, None)
            told = zip(checks, answer.results, strict=True)
            self._metrics.answered.inc(sum(_answer(check, result) for check, result in told))
            self._outage.ends()
        except grpc.aio.AioRpcError as error:
            self._go_on(organization_id, checks, error.code(), error.code().name)
        except Exception as error:  # noqa: BLE001  # whatever it is, bookings go on
            self._go_on(organization_id, checks, None, type(error).__name__)
        finally:
            if patience is not None:
                patience.end()
                if patience.given_up:
                    self._metrics.timeout.inc(patience.given_up)
            _answer_all(checks)

    def _go_on(
        self,
        organization_id: str,
        checks: Sequence[_Check],
        code: grpc.StatusCode | None,
        cause: str,
    ) -> None:
        """Lets bookings past unchecked; no code: what came is no answer."""
        count = _answer_all(checks)
        self._outage.begins(cause)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._metrics.timeout.inc(count)
            self._note_timeout(organization_id)
        elif code is grpc.StatusCode.UNAVAILABLE:
            self._metrics.unavailable.inc(count)
        else:
            self._metrics.refused.inc(count)

    def _note_timeout(self, organization_id: str) -> None:
        streak = self._streaks.setdefault(organization_id, _Streak())
        self._streaks.move_to_end(organization_id)
        if len(self._streaks) > _MOST_STREAKS:
            self._streaks.popitem(last=False)
        streak.timeouts += 1
        if streak.timeouts >= _MOST_TIMEOUTS:
            streak.resumes_at = asyncio.get_running_loop().time() + _PAUSE_SECONDS


class _Patience:
    """Gives up each of some checks, ordered by deadline, when its time is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, checks: Sequence[_Check]) -> None:
        self._loop = loop
        self._checks = checks
        self._next = 0
        self.given_up = 0
        # The last ones' time ends with the question itself: most often that is all of them.
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        first = self._checks[self._next].deadline
        if first < self._checks[-1].deadline - _TOGETHER_SECONDS:
            self._timer = self._loop.call_at(first, self._give_up)

    def _give_up(self) -> None:
        due = self._loop.time() + _TOGETHER_SECONDS
        while self._checks[self._next].deadline <= due:
            self.given_up += _answer_all([self._checks[self._next]])
            self._next += 1
            if self._next == len(self._checks):
                return
        self._arm()


def _request(organization_id: str, checks: Sequence[_Check]) -> pb.CheckHoldsRequest:
    request = pb.CheckHoldsRequest(organization_id=organization_id)
    # Adding to a message in place is cheaper than building its parts and copying them.
    add = request.checks.add
    for check in checks:
        asked: Any = add(session=check.session)
        for item in check.items:
            span = item.occupancy
            asked.items.add(
                resource_id=item.resource_id,
                first_quantum=span.first,
                stop_quantum=span.stop,
                units=item.units,
            )
    return request


def _answer(check: _Check, result: pb.HoldCheckResult) -> bool:
    """Tells a check what was found, if its caller still waits."""
    if check.answer.done():
        return False
    holds = result.holds
    if holds:
        check.answer.set_result(
            [
                CountedHold(
                    hold.item,
                    HeldUnits(hold.first_quantum, hold.stop_quantum, max(hold.units, 1)),
                )
                for hold in holds
            ]
        )
    else:
        check.answer.set_result(_NOTHING)
    return True


def _answer_all(checks: Sequence[_Check]) -> int:
    """Lets those go on that still wait; returns how many there were."""
    waiting = [check for check in checks if not check.answer.done()]
    for check in waiting:
        check.answer.set_result(_NOTHING)
    return len(waiting)
