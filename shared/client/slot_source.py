"""The free starts of one day for one length, asked again when a booking changed the day."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc

from holdfast.availability.v1.availability_pb2 import GetDaySlotsRequest, GetDaySlotsResponse, Slot
from shared.client.day_merge import OfferedSlots, ViewSlot
from shared.client.days_fold import DayKey, DaysState
from shared.client.failure import HoldfastError
from shared.client.live import Live
from shared.client.value import from_date, from_timestamp, to_date, to_duration
from shared.slots.quantum import Span, covering

if TYPE_CHECKING:  # the client makes sources
    from shared.client.client import Client

_LONGEST_WAIT_SECONDS: Final = 2.0
# What may pass by itself: everything else ends the view.
_PASSING: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)


class SlotQuestion(NamedTuple):
    """Which free starts; views that ask the same share one answer."""

    resource_id: str
    event_type_id: str
    date: date
    duration: timedelta
    time_zone: str


@dataclass(frozen=True, slots=True)
class SlotAnswer:
    """Free starts, and the days they were computed from."""

    slots: OfferedSlots
    time_zone: str
    versions: Mapping[DayKey, int]


class SlotSource:
    """Asks GetDaySlots once, then once more for each change of the days it read.

    Attributes:
        answer: The newest one.
        is_stale: Whether the days are known to have changed since.
        failure: Why no more answers come, when none do.
    """

    def __init__(self, client: Client, question: SlotQuestion) -> None:
        self.answer: SlotAnswer | None = None
        self.is_stale = False
        self.failure: HoldfastError | None = None
        self._client = client
        self._question = question
        self._days: Live[DaysState] | None = None
        self._resets = 0
        self._listeners: set[Callable[[], None]] = set()
        self._asking: asyncio.Task[None] | None = None
        self._first = asyncio.create_task(self._ask())

    async def began(self) -> SlotAnswer:
        """Waits for the first answer.

        Raises:
            HoldfastError: It was refused, or did not come in time.
        """
        await asyncio.shield(self._first)
        assert self.answer is not None  # or asking raised
        return self.answer

    def follow(self, days: Live[DaysState]) -> None:
        """Asks again from now on whenever these days are newer than the answer."""
        if self._days is not days:
            self._days = days
            self._resets = days.resets
        self.check()

    def check(self) -> None:
        """Asks again, unless the answer is as new as the days."""
        if self._is_outdated() and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask_until_new())

    def listen(self, listener: Callable[[], None]) -> None:
        """Calls a listener after each new answer and each change of staleness."""
        self._listeners.add(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        """Calls it no more."""
        self._listeners.discard(listener)

    async def close(self) -> None:
        """Asks no more."""
        tasks = [task for task in (self._first, self._asking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_outdated(self) -> bool:
        if self._days is None or self.answer is None or self.failure is not None:
            return False
        days = self._days.state.days
        if self._days.resets != self._resets:
            return True  # versions may have gone back: which is newer cannot be told
        # A read may see a commit a moment before the watch tells it, so the answer may be newer.
        return any(
            key in days and days[key].version > version
            for key, version in self.answer.versions.items()
        )

    async def _ask_until_new(self) -> None:
        wait = 0.05
        while self._is_outdated():
            self.is_stale = True
            self._tell()
            try:
                await self._ask()
            except HoldfastError as failure:
                if failure.code not in _PASSING:
                    self.failure = failure
                    self._tell()
                    return
                await asyncio.sleep(random.uniform(0, wait))  # noqa: S311  # spreads load
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        self.is_stale = False
        self._tell()

    async def _ask(self) -> None:
        asked = self._question
        resets = self._days.resets if self._days else 0
        answer = await self._client.call(
            self._client.availability.GetDaySlots,
            GetDaySlotsRequest(
                organization_id=self._client.organization_id,
                resource_id=asked.resource_id,
                event_type_id=asked.event_type_id,
                date=to_date(asked.date),
                duration=to_duration(asked.duration),
                time_zone=asked.time_zone,
            ),
        )
        self.answer = _read(answer, asked.duration)
        self._resets = resets

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()


def _read(answer: GetDaySlotsResponse, duration: timedelta) -> SlotAnswer:
    return SlotAnswer(
        OfferedSlots(_offered(slot, duration) for slot in answer.slots),
        answer.time_zone,
        {DayKey(day.resource_id, from_date(day.date)): day.version for day in answer.day_versions},
    )


def _offered(slot: Slot, duration: timedelta) -> tuple[Span, ViewSlot]:
    start = from_timestamp(slot.start_time)
    occupancy_start = from_timestamp(slot.occupancy_start_time)
    occupancy_end = from_timestamp(slot.occupancy_end_time)
    return covering(occupancy_start, occupancy_end), ViewSlot(
        start, start + duration, occupancy_start, occupancy_end, slot.units_free
    )
