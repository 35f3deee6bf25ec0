"""The free starts of one day for one length, asked again when a booking changed the day."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc

from holdfast.availability.v1.availability_pb2 import GetDaySlotsRequest, GetDaySlotsResponse, Slot
from shared.client.day_merge import OfferedSlots, ViewSlot
from shared.client.day_stock import DayStock, day_stock
from shared.client.days_fold import DayKey, DaysState
from shared.client.failure import HoldfastError
from shared.client.live import Live
from shared.client.offer_watch import OfferWatch, watched_offer
from shared.client.presence_fold import PresenceState
from shared.client.selection import Selection
from shared.client.value import from_date, from_timestamp, to_date, to_duration
from shared.slots.quantum import Span, covering
from shared.slots.zone import UnknownZone, zone

if TYPE_CHECKING:  # which makes sources
    from shared.client.live_client import LiveClient

_DAY: Final = timedelta(days=1)
_FIRST_WAIT_SECONDS: Final = 0.05
_LONGEST_WAIT_SECONDS: Final = 2.0
# For the first holds: a presence that does not answer must not hide what is free.
_PATIENCE_SECONDS: Final = 2.0
# Sooner nobody minds: what was booked meanwhile is known, and taken out of the picture.
_SOON_SECONDS: Final = 0.5
# By then every availability has heard of what the catalog told.
SETTLED_SECONDS: Final = 1.05
# Of two machines whose clocks are set right.
_CLOCKS_DIFFER: Final = timedelta(minutes=1)
PASSING: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)
"""What may pass by itself: everything else ends a view, unless it withdraws what was chosen."""


class SlotQuestion(NamedTuple):
    """Which free starts; views that ask the same share one answer."""

    resource_id: str
    event_type_id: str
    date: date
    duration: timedelta
    time_zone: str
    units: int = 1


@dataclass(frozen=True, slots=True)
class SlotAnswer:
    """Free starts, and what they were computed from.

    Attributes:
        slots: The starts.
        time_zone: The zone in which the date was read.
        versions: Of the days read.
        dates: Every UTC date that the local date or its starts touch, ascending.
    """

    slots: OfferedSlots
    time_zone: str
    versions: Mapping[DayKey, int]
    dates: tuple[date, ...]


class SlotSource:
    """Asks GetDaySlots once, then once more for each change of what its answer follows from.

    That is the days it read, and what the catalog says. While the catalog offers it no more,
    nothing is asked. At most one question is under way; changes meanwhile cause one more.

    Attributes:
        answer: The newest one.
        days: The bookings of its days.
        presence: The holds of its days.
        offers: What the catalog makes of the choice.
        is_stale: Whether something has changed and it could not be asked again yet.
        is_clock_good: Whether the client's clock agrees with the newest answer.
        failure: Why no more answers come, when none do.
    """

    answer: SlotAnswer
    days: Live[DaysState]
    presence: Live[PresenceState]
    offers: OfferWatch

    def __init__(self, live: LiveClient, question: SlotQuestion) -> None:
        """Begins to ask."""
        self.is_stale = False
        self.is_clock_good = True
        self.failure: Exception | None = None
        self._live = live
        self._question = question
        self._resets = 0
        self._refresh = False
        self._settled_at: float | None = None
        self._watched: frozenset[date] = frozenset()
        self._watches = AsyncExitStack()
        self._began = asyncio.Event()
        self._days_changed = asyncio.Event()
        self._listeners: set[Callable[[], None]] = set()
        self._stock: DayStock | None = None
        self._stock_of: tuple[SlotAnswer, DaysState]
        self._task = asyncio.create_task(self._run())

    async def began(self) -> None:
        """Waits for the first answer.

        Raises:
            HoldfastError: It was refused, or did not come in time.
        """
        await self._began.wait()
        if self.failure is not None:
            raise self.failure

    def listen(self, listener: Callable[[], None]) -> None:
        """Calls a listener after each change of answer, days, holds, offer or staleness."""
        self._listeners.add(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        """Calls it no more."""
        self._listeners.discard(listener)

    @property
    def is_late(self) -> bool:
        """Whether something may have changed that could not be told yet."""
        is_broken = self.offers.is_stale or self.days.is_stale or self.presence.is_stale
        return self.is_stale or self.offers.is_outdated or is_broken

    def stock(self) -> DayStock:
        """Returns what the bookings leave, as the newest answer and days have it."""
        made_of = (self.answer, self.days.state)
        if self._stock is None or any(
            new is not old for new, old in zip(made_of, self._stock_of, strict=True)
        ):
            self._stock_of = made_of
            known = self._stock.capacity if self._stock else None
            answer, days = made_of
            self._stock = day_stock(
                answer.slots, self._question.resource_id, answer.versions, days, known
            )
        return self._stock

    def refresh(self) -> None:
        """Asks again: what no watch tells may have changed."""
        self._refresh = True
        self._days_changed.set()

    async def close(self) -> None:
        """Asks no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        asked = self._question
        selection = Selection(asked.resource_id, asked.event_type_id, asked.duration)
        try:
            async with watched_offer(self._live, selection, self._note_offer) as self.offers:
                await self._ask()
                await self._watch()
                self._began.set()
                await self._stay_new()
        except Exception as failure:  # noqa: BLE001  # whoever looks is told, whatever it is
            self.failure = failure
            self._began.set()
            self._tell()
        finally:
            await self._watches.aclose()

    async def _stay_new(self) -> None:
        wait = _FIRST_WAIT_SECONDS
        while True:
            self._days_changed.clear()
            for watch in (self.days, self.presence):
                if watch.failure is not None:
                    raise watch.failure
            if not self._is_outdated():
                wait = _FIRST_WAIT_SECONDS
                self._note(is_stale=False)
                await self._wait_for_change()
                continue
            late = asyncio.get_running_loop().call_later(_SOON_SECONDS, self._note_late)
            try:
                await self._ask()
                await self._watch()
                self._tell()
            except HoldfastError as failure:
                if failure.code not in PASSING:
                    raise
            finally:
                late.cancel()
            if self._is_outdated():
                # Not answered, or by a server that has yet to hear of the change. One that
                # refuses, of which the catalog tells nothing, is right as far as is known.
                self._note(is_stale=self.offers.refused is None)
                await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311  # spreads load
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)

    async def _wait_for_change(self) -> None:
        """Waits for one, or until the catalog's last one has reached every server."""
        try:
            async with asyncio.timeout_at(self._settled_at):
                await self._days_changed.wait()
        except TimeoutError:
            self._settled_at = None
            self._refresh = True

    def _is_outdated(self) -> bool:
        if self.offers.withdrawn is not None:
            return False  # there is nothing to ask
        if self.offers.refused is not None or self.offers.is_outdated:
            return True
        if self._refresh or self.days.resets != self._resets:
            return True  # versions may have gone back: which is newer cannot be told
        days = self.days.state.days
        # A read may see a commit a moment before the watch tells it: the answer may be newer.
        return any(
            key in days and days[key].version > version
            for key, version in self.answer.versions.items()
        )

    async def _ask(self) -> None:
        asked, client = self._question, self._live.client
        resets = self.days.resets if self._watched else 0
        was_refresh, self._refresh = self._refresh, False
        request = GetDaySlotsRequest(
            organization_id=client.organization_id,
            resource_id=asked.resource_id,
            event_type_id=asked.event_type_id,
            date=to_date(asked.date),
            duration=to_duration(asked.duration),
            time_zone=asked.time_zone,
            units=asked.units,
        )
        asked_at, basis = client.now(), self.offers.basis
        try:
            answer = await client.call(client.availability.GetDaySlots, request)
        except HoldfastError as failure:
            if self._began.is_set() and self.offers.note_refusal(basis, failure):
                return
            self._refresh = self._refresh or was_refresh
            raise
        self.offers.note_answer(basis)
        self.answer = _read(answer, asked)
        # A clock that offers what is past is not the services': it takes nothing away.
        starts = self.answer.slots.available
        earliest = asked_at + self.offers.minimum_notice - _CLOCKS_DIFFER
        self.is_clock_good = not starts or starts[0].start > earliest
        self._resets = resets

    async def _watch(self) -> None:
        """Follows the days of the answer, and those around it.

        So that views of one date share two streams, whatever their lengths.
        """
        around = (self._question.date - _DAY, self._question.date, self._question.date + _DAY)
        wanted = frozenset((*around, *self.answer.dates))
        if wanted <= self._watched:
            return
        wanted |= self._watched
        async with AsyncExitStack() as stack:
            resource_ids = [self._question.resource_id]
            days = await stack.enter_async_context(self._live.live_days(resource_ids, wanted))
            presence = await stack.enter_async_context(
                self._live.live_presence(resource_ids, wanted)
            )
            await asyncio.gather(days.tried(_PATIENCE_SECONDS), presence.tried(_PATIENCE_SECONDS))
            await stack.enter_async_context(days.heard_by(self._note_days))
            await stack.enter_async_context(presence.heard_by(self._note_presence))
            before, self._watches = self._watches, stack.pop_all()
        self.days, self.presence, self._watched = days, presence, wanted
        self._resets = days.resets
        await before.aclose()

    def _note_days(self) -> None:
        self._days_changed.set()
        self._tell()

    def _note_presence(self) -> None:
        if self.presence.failure is not None:
            self._days_changed.set()
        self._tell()

    def _note_offer(self) -> None:
        if self.offers.is_outdated:
            self._settled_at = asyncio.get_running_loop().time() + SETTLED_SECONDS
            self._days_changed.set()
        self._tell()

    def _note_late(self) -> None:
        self._note(is_stale=True)

    def _note(self, *, is_stale: bool) -> None:
        if self.is_stale is not is_stale:
            self.is_stale = is_stale
            self._tell()

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()


def _read(answer: GetDaySlotsResponse, asked: SlotQuestion) -> SlotAnswer:
    versions = {
        DayKey(day.resource_id, from_date(day.date)): day.version for day in answer.day_versions
    }
    return SlotAnswer(
        OfferedSlots((_offered(slot, asked.duration) for slot in answer.slots), asked.units),
        answer.time_zone,
        versions,
        tuple(sorted({key.date for key in versions} | _utc_dates(asked.date, answer.time_zone))),
    )


def _utc_dates(day: date, time_zone: str) -> set[date]:
    """Returns the UTC dates that a local date touches."""
    try:
        here = zone(time_zone)
    except UnknownZone:  # a service may know newer zones
        return {day}
    begin = datetime(day.year, day.month, day.day, tzinfo=here)
    last = datetime.combine(day + _DAY, begin.timetz()) - timedelta(microseconds=1)
    return {begin.astimezone(UTC).date(), last.astimezone(UTC).date()}


def _offered(slot: Slot, duration: timedelta) -> tuple[Span, ViewSlot]:
    start = from_timestamp(slot.start_time)
    occupancy_start = from_timestamp(slot.occupancy_start_time)
    occupancy_end = from_timestamp(slot.occupancy_end_time)
    return covering(occupancy_start, occupancy_end), ViewSlot(
        start, start + duration, occupancy_start, occupancy_end, slot.units_free
    )
