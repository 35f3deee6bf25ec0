"""A day of one resource as one viewer sees it, live."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from shared.client.day_merge import ViewSlot, merge
from shared.client.days_fold import DayKey, DayState
from shared.client.live_hold import LiveHold
from shared.client.selection import OFFERED, Verdict
from shared.client.slot_source import SlotAnswer, SlotQuestion, SlotSource
from shared.slots.quantum import QUANTA_PER_DAY, QUANTUM, Span, covering, day_number, instant

if TYPE_CHECKING:  # the client makes views
    from shared.client.live_client import LiveClient

# Timers may ring a little early.
_A_MOMENT: Final = 0.01
_LONGEST_WAIT_SECONDS: Final = 60.0
_BEHIND: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class DayPicture:
    """What there is to see at one moment.

    Attributes:
        slots: Every start of the length, available or reserved, by time; none while the choice
            is withdrawn.
        holds: Live holds of the resource on the UTC days that the date and its starts touch,
            others' and one's own, by time.
        days: The taken quanta of those days.
        time_zone: The zone in which the date was read.
        holder_id: The viewer's own, to know own holds; empty before the first hold.
        is_stale: Whether something may have changed that could not be told yet: a stream is
            broken, or the starts could not be asked for again after a booking.
        capacity: How many units of the resource there are; None while that is not known.
        offer: What has become of the choice of resource, event type and length, and why: the
            catalog may withdraw it, and offer it again.
    """

    slots: tuple[ViewSlot, ...]
    holds: tuple[LiveHold, ...]
    days: Mapping[DayKey, DayState]
    time_zone: str
    holder_id: str
    is_stale: bool
    capacity: int | None = None
    offer: Verdict = OFFERED


class DayView:
    """A live day: ``async with client.day_view(...) as view: async for picture in view: ...``.

    Entering asks for the free starts once and subscribes to bookings, holds and the catalog. A hold
    changes the picture without any call; a booking on these days causes one, and so does a change
    of hours, buffers or other rules. A choice that the catalog withdraws is told as such, at once.
    Views of one client share
    calls and subscriptions. The last picture stays while something is asked again or a stream is
    resumed. Belongs to one event loop; one reader iterates.
    """

    _source: SlotSource

    def __init__(self, live: LiveClient, question: SlotQuestion, session: str | None) -> None:
        self._live = live
        self._question = question
        self._session = session
        self._stack = AsyncExitStack()
        self._changed = asyncio.Event()
        self._reached: int | None = None

    @property
    def picture(self) -> DayPicture:
        """What there is to see now."""
        source, answer, found = self._source, self._source.answer, self._source.stock()
        shown = _span(answer)
        known = source.presence.state.of(self._question.resource_id)
        holds = tuple(hold for hold in known if hold.span.overlaps(shown))
        own = self._live.holder_id(self._session)
        days = source.days.state.days
        basis, offer = source.offers.basis, source.offers.verdict
        resource = basis.resource if basis else None
        counted, stock = holds, found.stock
        if resource is not None:
            # Advice keeps nobody from booking.
            counted = () if resource.is_advisory and not resource.is_pool else holds
            stock = stock._replace(is_pool=resource.is_pool)
        merged: Sequence[ViewSlot] = ()
        if offer.is_offered:
            merged = merge(answer.slots, counted, own, stock=stock, taken=found.taken)
        return DayPicture(
            tuple(merged[self._passed(merged) :]),
            holds,
            {key: state for key, state in days.items() if key.date in answer.dates},
            answer.time_zone,
            own,
            source.is_late,
            found.capacity,
            offer,
        )

    def refresh(self) -> None:
        """Asks for the starts again: for what no watch tells."""
        self._source.refresh()

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

    async def __aiter__(self) -> AsyncIterator[DayPicture]:
        """Yields the present picture, then a new one whenever something visible has changed.

        Whoever takes them slowly misses pictures, never the newest.

        Raises:
            HoldfastError: The starts can no longer be told.
        """
        shown: DayPicture | None = None
        while True:
            self._changed.clear()
            if self._source.failure is not None:
                raise self._source.failure
            picture = self.picture
            if picture != shown:
                shown = picture
                yield picture
            await self._changed_or_passed()

    async def _changed_or_passed(self) -> None:
        """Waits for a change, or until the clock takes a start away or brings one."""
        waits: list[float] = []
        if self._source.is_clock_good:
            slots = self._source.answer.slots.available
            passed = self._passed(slots)
            if passed < len(slots):
                waits.append((slots[passed].start - self._earliest()).total_seconds() + _A_MOMENT)
            if (opens_in := self._opens_in()) is not None:
                waits.append(opens_in)
        # The clock may be set meanwhile.
        wait = max(min(*waits, _LONGEST_WAIT_SECONDS), 0.0) if waits else None
        try:
            async with asyncio.timeout(wait):
                await self._changed.wait()
        except TimeoutError:
            return

    def _passed(self, slots: Sequence[ViewSlot]) -> int:
        """Returns how many of the starts, by time, it is too late for."""
        if not self._source.is_clock_good:
            return 0
        return bisect_left(slots, self._earliest(), key=attrgetter("start"))

    def _earliest(self) -> datetime:
        """Returns the first moment at which a booking may still start."""
        return self._live.client.now() + self._source.offers.minimum_notice

    def _opens_in(self) -> float | None:
        """Returns in how many seconds the horizon reaches one more quarter hour of the date.

        Asks for the starts once it has: none was on offer before. None where it has no end, or
        lies behind the date.
        """
        horizon = self._source.offers.horizon
        if horizon is None:
            return None
        # A little later than by this clock: the services' may be a little behind.
        latest = self._live.client.now() + horizon - _BEHIND
        shown = _span(self._source.answer)
        reached = covering(latest, latest + QUANTUM).first
        if self._reached is not None and shown.first <= reached > self._reached < shown.stop:
            self._source.refresh()
        self._reached = reached
        if reached >= shown.stop:
            return None
        return (instant(reached + 1) - latest).total_seconds() + _A_MOMENT

    async def _begin(self) -> None:
        enter = self._stack.enter_async_context
        self._stack.enter_context(self._live.introduced(self._session))
        await enter(self._live.heard_by(self._changed.set))
        self._source = await enter(self._live.shared_slots(self._question))
        await self._source.began()
        self._source.listen(self._changed.set)
        self._stack.callback(self._source.unlisten, self._changed.set)


def _span(answer: SlotAnswer) -> Span:
    """Returns the days shown as one span."""
    first, last = day_number(answer.dates[0]), day_number(answer.dates[-1])
    return Span(first * QUANTA_PER_DAY, (last + 1) * QUANTA_PER_DAY)
