"""Which dates have a free start, live."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from holdfast.availability.v1.availability_pb2 import GetMonthAvailabilityRequest
from shared.client.days_fold import DaysState
from shared.client.failure import HoldfastError
from shared.client.live import Live
from shared.client.slot_source import PASSING
from shared.client.value import from_date, to_date, to_duration

if TYPE_CHECKING:  # the client makes views
    from shared.client.live_client import LiveClient

_DAY: Final = timedelta(days=1)
# Of one watch.
_MOST_DATES: Final = 93
# Changes within this time cause one question.
_PAUSE_SECONDS: Final = 0.05
_LONGEST_WAIT_SECONDS: Final = 2.0
# For the first states of the days: a watch that does not answer must not hide the dates.
_PATIENCE_SECONDS: Final = 2.0
# By then every server answers with what another one wrote.
_SETTLED_SECONDS: Final = 1.05


class MonthQuestion(NamedTuple):
    """Which dates: local ones, both inclusive, at most 93."""

    resource_id: str
    event_type_id: str
    first: date
    last: date
    duration: timedelta
    time_zone: str


@dataclass(frozen=True, slots=True)
class MonthPicture:
    """What there is to see at one moment.

    Attributes:
        dates: Whether each local date has a free start. Holds do not count: they pass.
        time_zone: The zone in which the dates were read.
        is_stale: Whether something may have changed that could not be told yet.
    """

    dates: Mapping[date, bool]
    time_zone: str
    is_stale: bool


class MonthView:
    """Live dates: ``async with client.month_view(...) as view: async for picture in view: ...``.

    Asks once, then again after bookings on the days that its starts may touch. While it asks, the
    last picture stays, marked as stale. Belongs to one event loop; one reader iterates.
    """

    def __init__(self, live: LiveClient, question: MonthQuestion) -> None:
        self._live = live
        self._question = question
        self._stack = AsyncExitStack()
        self._changed = asyncio.Event()
        self._watches: list[Live[DaysState]] = []
        self._states: list[DaysState] = []
        self._changes = 1
        self._asked = 0
        self._changed_at = -math.inf
        self._asked_at = -math.inf
        self._dates: Mapping[date, bool] = {}
        self._time_zone = ""

    @property
    def picture(self) -> MonthPicture:
        """What there is to see now."""
        is_stale = self._is_outdated or any(watch.is_stale for watch in self._watches)
        return MonthPicture(self._dates, self._time_zone, is_stale)

    async def __aenter__(self) -> Self:
        try:
            await self._begin()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def __aiter__(self) -> AsyncIterator[MonthPicture]:
        """Yields the present picture, then a new one whenever something visible has changed.

        Raises:
            HoldfastError: The dates can no longer be told: the resource or event type is gone,
                say.
        """
        shown: MonthPicture | None = None
        wait = _PAUSE_SECONDS
        while True:
            self._changed.clear()
            for watch in self._watches:
                if watch.failure is not None:
                    raise watch.failure
            picture = self.picture
            if picture != shown:
                shown = picture
                yield picture
            if not self._is_outdated:
                await self._wait_for_change()
                continue
            await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311  # spreads load
            try:
                await self._ask()
            except HoldfastError as failure:
                if failure.code not in PASSING:
                    raise
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
            else:
                wait = _PAUSE_SECONDS

    @property
    def _is_outdated(self) -> bool:
        return self._asked != self._changes

    async def _begin(self) -> None:
        enter = self._stack.enter_async_context
        resource_ids = [self._question.resource_id]
        for dates in _chunks(self._question):
            self._watches.append(await enter(self._live.live_days(resource_ids, dates)))
        await asyncio.gather(*(watch.tried(_PATIENCE_SECONDS) for watch in self._watches))
        # The first state may hold a change that the first answer does not know of, either.
        self._changed_at = asyncio.get_running_loop().time()
        self._states = [watch.state for watch in self._watches]
        for watch in self._watches:
            await enter(watch.heard_by(self._note))
        await self._ask()

    def _note(self) -> None:
        states = [watch.state for watch in self._watches]
        if any(new is not old for new, old in zip(states, self._states, strict=True)):
            self._states = states
            self._changes += 1
            self._changed_at = asyncio.get_running_loop().time()
        self._changed.set()

    async def _wait_for_change(self) -> None:
        """Waits for a change, or until the last one must have reached every server.

        An answer names no versions: one given before may not know of the change, and is asked
        for once more.
        """
        settled_at = self._changed_at + _SETTLED_SECONDS
        try:
            async with asyncio.timeout_at(settled_at if self._asked_at < settled_at else None):
                await self._changed.wait()
        except TimeoutError:
            try:
                await self._ask()
            except HoldfastError as failure:
                if failure.code not in PASSING:
                    raise
                self._changes += 1  # asked again, with waits

    async def _ask(self) -> None:
        asked, client = self._question, self._live.client
        changes = self._changes
        asked_at = asyncio.get_running_loop().time()
        answer = await client.call(
            client.availability.GetMonthAvailability,
            GetMonthAvailabilityRequest(
                organization_id=client.organization_id,
                resource_id=asked.resource_id,
                event_type_id=asked.event_type_id,
                first_date=to_date(asked.first),
                last_date=to_date(asked.last),
                duration=to_duration(asked.duration),
                time_zone=asked.time_zone,
            ),
        )
        self._asked, self._asked_at = changes, asked_at
        self._dates = {from_date(entry.date): entry.available for entry in answer.dates}
        self._time_zone = answer.time_zone


def _chunks(asked: MonthQuestion) -> list[list[date]]:
    """The UTC dates that starts on these local dates may touch, as many watches take them.

    Clocks are at most a day from UTC, and buffers at most a day long.
    """
    first, last = asked.first - 2 * _DAY, asked.last + (3 + asked.duration // _DAY) * _DAY
    days = [first + count * _DAY for count in range((last - first).days + 1)]
    return [days[start : start + _MOST_DATES] for start in range(0, len(days), _MOST_DATES)]
