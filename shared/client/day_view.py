"""A day of one resource as one viewer sees it, live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from shared.client.day_merge import OfferedSlots, ViewSlot, merge
from shared.client.days_fold import DayKey, DaysState, DayState
from shared.client.live import Live
from shared.client.live_hold import LiveHold
from shared.client.presence_fold import PresenceState
from shared.client.slot_source import SlotQuestion, SlotSource
from shared.slots.quantum import QUANTA_PER_DAY, day_number

if TYPE_CHECKING:  # the client makes views
    from shared.client.live_client import LiveClient


@dataclass(frozen=True, slots=True)
class DayPicture:
    """What there is to see at one moment.

    Attributes:
        slots: Every start of the length, available or reserved, by time.
        holds: Live holds of the resource on the days that these starts touch, others' and one's
            own.
        days: The taken quanta of those days.
        time_zone: The zone in which the date was read.
        holder_id: The viewer's own, to know own holds; empty before the first hold.
        is_stale: Whether something may have changed that could not be told yet.
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
    calls and subscriptions. While something is asked again or a stream is resumed, the last
    picture stays, marked as stale. Belongs to one event loop; one reader iterates.
    """

    def __init__(self, live: LiveClient, question: SlotQuestion) -> None:
        self._live = live
        self._question = question
        self._stack = AsyncExitStack()
        self._changed = asyncio.Event()
        self._source: SlotSource
        self._days: Live[DaysState]
        self._presence: Live[PresenceState]

    @property
    def picture(self) -> DayPicture:
        """What there is to see now."""
        answer = self._source.answer
        assert answer is not None  # entering waited for it
        holds = self._presence.state.of(self._question.resource_id)
        own = self._live.holder_id
        days = self._days.state.days
        return DayPicture(
            tuple(merge(answer.slots, holds, own, taken=_taken(answer.slots, days))),
            holds,
            days,
            answer.time_zone,
            own,
            self._source.is_stale or self._days.is_stale or self._presence.is_stale,
        )

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
            for part in (self._source, self._days, self._presence):
                if part.failure is not None:
                    raise part.failure
            picture = self.picture
            if picture != shown:
                shown = picture
                yield picture
            await self._changed.wait()

    async def _begin(self) -> None:
        live, asked = self._live, self._question
        enter = self._stack.enter_async_context
        self._source = await enter(live.shared_slots(asked))
        answer = await self._source.began()
        dates = sorted(key.date for key in answer.versions) or [asked.date]
        self._days = await enter(live.live_days([asked.resource_id], dates))
        self._presence = await enter(live.live_presence([asked.resource_id], dates))
        await self._days.began()
        await self._presence.began()
        self._source.listen(self._changed.set)
        self._stack.callback(self._source.unlisten, self._changed.set)
        await enter(self._days.heard_by(self._source.check))
        await enter(self._days.heard_by(self._changed.set))
        await enter(self._presence.heard_by(self._changed.set))
        await enter(live.heard_by(self._changed.set))
        self._source.follow(self._days)


def _taken(slots: OfferedSlots, days: Mapping[DayKey, DayState]) -> int:
    """Returns what bookings took since the starts were asked for, until they are asked again."""
    taken = 0
    for key, state in days.items():
        shift = day_number(key.date) * QUANTA_PER_DAY - slots.base
        taken |= state.busy << shift if shift >= 0 else state.busy >> -shift
    return taken
