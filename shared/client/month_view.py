"""Which dates have a free start, live."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import grpc

from holdfast.availability.v1.availability_pb2 import GetMonthAvailabilityRequest
from shared.client.days_fold import DaysState
from shared.client.failure import HoldfastError
from shared.client.live import Live
from shared.client.value import from_date, to_date, to_duration

if TYPE_CHECKING:  # the client makes views
    from shared.client.live_client import LiveClient

_DAY: Final = timedelta(days=1)
# Of one watch.
_MOST_DATES: Final = 93
# Changes within this time cause one question.
_PAUSE_SECONDS: Final = 0.05
_LONGEST_WAIT_SECONDS: Final = 2.0
_PASSING: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)


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

    Asks once, then once more after bookings on the days that its starts may touch. While it asks
    again, the last picture stays, marked as stale. Belongs to one event loop; one reader
    iterates.
    """

    def __init__(self, live: LiveClient, question: MonthQuestion) -> None:
        self._live = live
        self._question = question
        self._stack = AsyncExitStack()
        self._changed = asyncio.Event()
        self._outdated = True
        self._watches: list[Live[DaysState]] = []
        self._dates: Mapping[date, bool] = {}
        self._time_zone = ""

    async def __aenter__(self) -> Self:
        try:
            for dates in _chunks(self._question):
                watch = await self._stack.enter_async_context(
                    self._live.live_days([self._question.resource_id], dates)
                )
                await self._stack.enter_async_context(watch.heard_by(self._note))
                self._watches.append(watch)
            for watch in self._watches:
                await watch.began()
            await self._ask()
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
            picture = self._picture()
            if picture != shown:
                shown = picture
                yield picture
            if self._outdated:
                await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311  # spreads load
                try:
                    await self._ask()
                except HoldfastError as failure:
                    if failure.code not in _PASSING:
                        raise
                    wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
                else:
                    wait = _PAUSE_SECONDS
            else:
                await self._changed.wait()

    def _picture(self) -> MonthPicture:
        is_stale = self._outdated or any(watch.is_stale for watch in self._watches)
        return MonthPicture(self._dates, self._time_zone, is_stale)

    def _note(self) -> None:
        self._outdated = True
        self._changed.set()

    async def _ask(self) -> None:
        asked, client = self._question, self._live.client
        self._outdated = False
        try:
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
        except HoldfastError:
            self._outdated = True
            raise
        self._dates = {from_date(entry.date): entry.available for entry in answer.dates}
        self._time_zone = answer.time_zone


def _chunks(asked: MonthQuestion) -> list[list[date]]:
    """The UTC dates that starts on these local dates may touch, as many watches take them.

    Clocks are at most a day from UTC, and buffers are taken for less than a day.
    """
    first, last = asked.first - 2 * _DAY, asked.last + 2 * _DAY + asked.duration
    days = [first + count * _DAY for count in range((last - first).days + 1)]
    return [days[start : start + _MOST_DATES] for start in range(0, len(days), _MOST_DATES)]
