"""A day of one resource as one viewer sees it, live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from shared.client.day_merge import ViewSlot, merge
from shared.client.days_fold import DayKey, DaysState, DayState
from shared.client.live_hold import LiveHold
from shared.client.slot_source import SlotAnswer, SlotQuestion, SlotSource
from shared.slots.quantum import QUANTA_PER_DAY, Span, day_number

if TYPE_CHECKING:  # the client makes views
    from shared.client.live_client import LiveClient


@dataclass(frozen=True, slots=True)
class DayPicture:
    """What there is to see at one moment.

    Attributes:
        slots: Every start of the length, available or reserved, by time.
        holds: Live holds of the resource on the UTC days that the date and its starts touch,
            others' and one's own, by time.
        days: The taken quanta of those days.
        time_zone: The zone in which the date was read.
        holder_id: The viewer's own, to know own holds; empty before the first hold.
        is_stale: Whether something may have changed that could not be told yet: a stream is
            broken, or the starts could not be asked for again after a booking.
    """

    slots: tuple[ViewSlot, ...]
    holds: tuple[LiveHold, ...]
    days: Mapping[DayKey, DayState]
    time_zone: str
    holder_id: str
    is_stale: bool


class DayView:
    """A live day: ``async with client.day_view(...) as view: async for picture in view: ...``.

    Entering asks for the free starts once and subscribes to bookings and holds. A hold changes
    the picture without any call; a booking on these days causes one. Views of one client share
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

    @property
    def picture(self) -> DayPicture:
        """What there is to see now."""
        source, answer = self._source, self._source.answer
        shown = _span(answer)
        known = source.presence.state.of(self._question.resource_id)
        holds = tuple(hold for hold in known if hold.span.overlaps(shown))
        own = self._live.holder_id(self._session)
        days = source.days.state
        return DayPicture(
            tuple(merge(answer.slots, holds, own, taken=_taken(answer, days))),
            holds,
            {key: state for key, state in days.days.items() if key.date in answer.dates},
            answer.time_zone,
            own,
            source.is_stale or source.days.is_stale or source.presence.is_stale,
        )

    def refresh(self) -> None:
        """Asks for the starts again.

        For what no watch tells: the catalog changed, or time has gone by.
        """
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
            HoldfastError: The starts can no longer be told: the resource or event type is gone,
                say.
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
            await self._changed.wait()

    async def _begin(self) -> None:
        enter = self._stack.enter_async_context
        if self._session is not None:
            self._live.introduce(self._session)
        await enter(self._live.heard_by(self._changed.set))
        self._source = await enter(self._live.shared_slots(self._question))
        await self._source.began()
        self._source.listen(self._changed.set)
        self._stack.callback(self._source.unlisten, self._changed.set)


def _span(answer: SlotAnswer) -> Span:
    """Returns the days shown as one span."""
    first, last = day_number(answer.dates[0]), day_number(answer.dates[-1])
    return Span(first * QUANTA_PER_DAY, (last + 1) * QUANTA_PER_DAY)


def _taken(answer: SlotAnswer, days: DaysState) -> int:
    """Returns what was booked since the starts were asked for, until they are asked again."""
    taken = 0
    for key, version in answer.versions.items():
        state = days.days.get(key)
        # An answer may be ahead of the watch: then the watch is the one that is out of date.
        if state is not None and state.version > version:
            shift = day_number(key.date) * QUANTA_PER_DAY - answer.slots.base
            taken |= state.busy << shift if shift >= 0 else state.busy >> -shift
    return taken
