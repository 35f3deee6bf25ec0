"""Which dates have a free start, live."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from holdfast.availability.v1.availability_pb2 import GetMonthAvailabilityRequest
from shared.client.days_fold import DaysState
from shared.client.failure import HoldfastError
from shared.client.live import Live
from shared.client.offer_watch import OfferWatch, watched_offer
from shared.client.selection import OFFERED, Selection, Verdict
from shared.client.slot_source import PASSING, SETTLED_SECONDS
from shared.client.value import from_date, to_date, to_duration
from shared.slots.quantum import QUANTUM
from shared.slots.zone import UnknownZone, zone

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
_QUARTER_SECONDS: Final = QUANTUM.total_seconds()
# After a quarter hour began, by when it has begun by the services' clock, too.
_CLOCKS_DIFFER_SECONDS: Final = 60.0
_LONGEST_LOOK_SECONDS: Final = 60.0
# Timers may ring a little early.
_A_MOMENT: Final = 0.01


class MonthQuestion(NamedTuple):
    """Which dates: local ones, both inclusive, at most 93."""

    resource_id: str
    event_type_id: str
    first: date
    last: date
    duration: timedelta
    time_zone: str
    units: int = 1


@dataclass(frozen=True, slots=True)
class MonthPicture:
    """What there is to see at one moment.

    Attributes:
        dates: Whether each local date has a free start; none has while the choice is withdrawn,
            nor one that has passed. Holds do not count: they pass.
        time_zone: The zone in which the dates were read.
        is_stale: Whether something may have changed that could not be told yet.
        offer: What has become of the choice of resource, event type and length, and why.
    """

    dates: Mapping[date, bool]
    time_zone: str
    is_stale: bool
    offer: Verdict = OFFERED


class MonthView:
    """Live dates: ``async with client.month_view(...) as view: async for picture in view: ...``.

    Asks once, then again after bookings on the days that its starts may touch, after changes in
    the catalog, and as quarter hours pass: it gets too late for some starts, and others come in
    reach. While it asks, the last picture stays, marked as stale. A choice that the catalog
    withdraws is told as such, at once. Belongs to one event loop; one reader iterates.
    """

    _offers: OfferWatch

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
        self._asked_quarter = (0.0, False)
        self._is_clock_good = True
        self._is_entered = False
        self._dates: Mapping[date, bool] = {}
        self._time_zone = ""

    @property
    def picture(self) -> MonthPicture:
        """What there is to see now."""
        is_broken = self._offers.is_stale or any(watch.is_stale for watch in self._watches)
        is_late = self._is_outdated and self._offers.refused is None
        offer = self._offers.verdict
        first = self._first_date() if offer.is_offered else date.max
        dates = {day: is_open and day >= first for day, is_open in self._dates.items()}
        return MonthPicture(dates, self._time_zone, is_broken or is_late, offer)

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
            HoldfastError: The dates can no longer be told.
        """
        shown: MonthPicture | None = None
        wait, ask_at = _PAUSE_SECONDS, math.inf
        loop = asyncio.get_running_loop()
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
                wait, ask_at = _PAUSE_SECONDS, math.inf
                await self._changed_until(self._next_look())
                await self._look()
            elif ask_at == math.inf:
                ask_at = loop.time() + random.uniform(wait / 2, wait)  # noqa: S311  # spreads load
            elif loop.time() < ask_at:
                await self._changed_until(ask_at)
            else:
                wait, ask_at = min(2 * wait, _LONGEST_WAIT_SECONDS), math.inf
                await self._tried()

    @property
    def _is_outdated(self) -> bool:
        if self._offers.withdrawn is not None:
            return False  # there is nothing to ask
        is_refused = self._offers.refused is not None
        return is_refused or self._offers.is_outdated or self._asked != self._changes

    async def _begin(self) -> None:
        asked, enter = self._question, self._stack.enter_async_context
        selection = Selection(asked.resource_id, asked.event_type_id, asked.duration)
        self._offers = await enter(watched_offer(self._live, selection, self._note_offer))
        for dates in _chunks(asked):
            self._watches.append(await enter(self._live.live_days([asked.resource_id], dates)))
        await asyncio.gather(*(watch.tried(_PATIENCE_SECONDS) for watch in self._watches))
        # The first state may hold a change that the first answer does not know of, either.
        self._changed_at = asyncio.get_running_loop().time()
        self._states = [watch.state for watch in self._watches]
        for watch in self._watches:
            await enter(watch.heard_by(self._note))
        await self._ask()
        self._is_entered = True

    def _note(self) -> None:
        states = [watch.state for watch in self._watches]
        if any(new is not old for new, old in zip(states, self._states, strict=True)):
            self._states = states
            self._note_change()
        self._changed.set()

    def _note_offer(self) -> None:
        if self._offers.is_outdated:
            self._note_change()
        self._changed.set()

    def _note_change(self) -> None:
        self._changes += 1
        self._changed_at = asyncio.get_running_loop().time()

    async def _changed_until(self, moment: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(None if moment == math.inf else moment):
                await self._changed.wait()

    @property
    def _settled_at(self) -> float:
        """By when every server must have heard of the last change; never if it was asked since.

        An answer names no versions: one given before may not know of the change, and is asked
        for once more.
        """
        settled_at = self._changed_at + SETTLED_SECONDS
        return settled_at if self._asked_at < settled_at else math.inf

    def _next_look(self) -> float:
        """Returns when to look again, by the loop's clock, if nothing is told till then."""
        if self._offers.withdrawn is not None:
            return math.inf
        begun = self._earliest().timestamp() % _QUARTER_SECONDS
        is_new = begun < _CLOCKS_DIFFER_SECONDS
        left = (_CLOCKS_DIFFER_SECONDS if is_new else _QUARTER_SECONDS) - begun + _A_MOMENT
        # The clock may be set meanwhile.
        look_at = asyncio.get_running_loop().time() + min(left, _LONGEST_LOOK_SECONDS)
        return min(self._settled_at, look_at)

    async def _look(self) -> None:
        """Asks again where something is different that nobody tells."""
        is_settled = asyncio.get_running_loop().time() >= self._settled_at
        if self._is_outdated or self._offers.withdrawn is not None:
            return
        if (is_settled or self._quarter() != self._asked_quarter) and not await self._tried():
            self._changes += 1  # asked again, with waits

    async def _tried(self) -> bool:
        """Asks; returns whether there was an answer.

        Raises:
            HoldfastError: Refused, and not as a choice that is withdrawn.
        """
        try:
            await self._ask()
        except HoldfastError as failure:
            if failure.code not in PASSING:
                raise
            return False
        return True

    async def _ask(self) -> None:
        asked, client = self._question, self._live.client
        changes, basis, quarter = self._changes, self._offers.basis, self._quarter()
        asked_at = asyncio.get_running_loop().time()
        request = GetMonthAvailabilityRequest(
            organization_id=client.organization_id,
            resource_id=asked.resource_id,
            event_type_id=asked.event_type_id,
            first_date=to_date(asked.first),
            last_date=to_date(asked.last),
            duration=to_duration(asked.duration),
            time_zone=asked.time_zone,
            units=asked.units,
        )
        try:
            answer = await client.call(client.availability.GetMonthAvailability, request)
        except HoldfastError as failure:
            if not self._is_entered or not self._offers.note_refusal(basis, failure):
                raise
            self._asked_at = asked_at
            return
        self._offers.note_answer(basis)
        self._asked, self._asked_at, self._asked_quarter = changes, asked_at, quarter
        self._dates = {from_date(entry.date): entry.available for entry in answer.dates}
        self._time_zone = answer.time_zone
        # A clock that offers what is past is not the services': it takes nothing away.
        self._is_clock_good = True
        first = self._first_date()
        self._is_clock_good = not any(self._dates[day] for day in self._dates if day < first)

    @property
    def _notice(self) -> timedelta:
        basis = self._offers.basis
        event_type = basis.event_type if basis else None
        return event_type.rules.minimum_notice if event_type else timedelta()

    def _earliest(self) -> datetime:
        """Returns the first moment at which a booking may still start."""
        return self._live.client.now() + self._notice

    def _quarter(self) -> tuple[float, bool]:
        """Returns in which quarter hour that is, and whether every clock says so."""
        number, begun = divmod(self._earliest().timestamp(), _QUARTER_SECONDS)
        return number, begun >= _CLOCKS_DIFFER_SECONDS

    def _first_date(self) -> date:
        """Returns the first date that has not passed."""
        if not self._is_clock_good:
            return date.min
        try:
            return self._earliest().astimezone(zone(self._time_zone)).date()
        except UnknownZone:  # a service may know newer zones
            return date.min


def _chunks(asked: MonthQuestion) -> list[list[date]]:
    """The UTC dates that starts on these local dates may touch, as many watches take them.

    Clocks are at most a day from UTC, and buffers at most a day long.
    """
    first, last = asked.first - 2 * _DAY, asked.last + (3 + asked.duration // _DAY) * _DAY
    days = [first + count * _DAY for count in range((last - first).days + 1)]
    return [days[start : start + _MOST_DATES] for start in range(0, len(days), _MOST_DATES)]
