"""What a client holds and watches: streams that its holds and views share."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from holdfast.availability.v1.availability_pb2 import WatchDaysRequest
from holdfast.presence.v1.presence_pb2 import WatchPresenceRequest
from shared.client import days_fold, presence_fold
from shared.client.days_fold import DaysState
from shared.client.follow import Following
from shared.client.hold import Hold, check_time
from shared.client.hold_keeper import HoldKeeper
from shared.client.live import Live, Shared
from shared.client.presence_fold import PresenceState
from shared.client.slot_source import SlotQuestion, SlotSource
from shared.client.value import to_date

if TYPE_CHECKING:  # which imports this when it is first needed
    from shared.client.client import Client

_SESSION_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class PresencePicture:
    """Live holds; stale while the stream is broken."""

    state: PresenceState
    is_stale: bool


@dataclass(frozen=True, slots=True)
class DaysPicture:
    """Watched days as they are; stale while the stream is broken."""

    state: DaysState
    is_stale: bool


class LiveClient:
    """The live half of a ``Client``. Belongs to its event loop."""

    def __init__(self, client: Client, *, patience_seconds: float) -> None:
        self.client = client
        self._patience_seconds = patience_seconds
        self._session = secrets.token_urlsafe(_SESSION_BYTES)
        self._keepers: dict[str, HoldKeeper] = {}
        self._slots: Shared[SlotSource] = Shared()
        self._days: Shared[Live[DaysState]] = Shared()
        self._presence: Shared[Live[PresenceState]] = Shared()
        self._listeners: set[Callable[[], None]] = set()

    @property
    def holder_id(self) -> str:
        """The public name of the client's own session; empty before its first hold."""
        keeper = self._keepers.get(self._session)
        return keeper.holder_id if keeper else ""

    def hold(
        self,
        resource_id: str,
        start: datetime,
        length: timedelta,
        *,
        hold_id: str,
        session: str | None,
    ) -> Hold:
        """Returns a hold to enter.

        Raises:
            OffGrid: The start is not a quarter hour.
            ValueError: It is naive, or the length is out of range.
        """
        check_time(start, length)
        keeper = self._keeper(session or self._session)
        return Hold(keeper, resource_id, start, length, hold_id)

    async def watch_presence(
        self, resource_ids: Sequence[str], dates: Iterable[date]
    ) -> AsyncIterator[PresencePicture]:
        """Yields the live holds, then again whenever one changed."""
        async with self.live_presence(resource_ids, dates) as live:
            async for _ in _changes(live):
                yield PresencePicture(live.state, live.is_stale)

    async def watch_days(
        self, resource_ids: Sequence[str], dates: Iterable[date]
    ) -> AsyncIterator[DaysPicture]:
        """Yields the days, then again whenever one changed."""
        async with self.live_days(resource_ids, dates) as live:
            async for _ in _changes(live):
                yield DaysPicture(live.state, live.is_stale)

    def live_presence(
        self, resource_ids: Sequence[str], dates: Iterable[date]
    ) -> AbstractAsyncContextManager[Live[PresenceState]]:
        """The one presence watch of these resources and dates."""
        wanted = WatchPresenceRequest(**self._selection(resource_ids, dates))
        return self._presence.use(
            wanted.SerializeToString(deterministic=True),
            lambda: Live(
                self._following(self.client.presence.WatchPresence, wanted),
                presence_fold.fold,
                PresenceState(),
            ),
        )

    def live_days(
        self, resource_ids: Sequence[str], dates: Iterable[date]
    ) -> AbstractAsyncContextManager[Live[DaysState]]:
        """The one day watch of these resources and dates."""
        wanted = WatchDaysRequest(**self._selection(resource_ids, dates))
        return self._days.use(
            wanted.SerializeToString(deterministic=True),
            lambda: Live(
                self._following(self.client.availability.WatchDays, wanted),
                days_fold.fold,
                DaysState(),
            ),
        )

    def shared_slots(self, question: SlotQuestion) -> AbstractAsyncContextManager[SlotSource]:
        """The one source of these free starts."""
        return self._slots.use(question, lambda: SlotSource(self.client, question))

    @asynccontextmanager
    async def heard_by(self, listener: Callable[[], None]) -> AsyncIterator[None]:
        """Calls a listener when ``holder_id`` becomes known."""
        self._listeners.add(listener)
        try:
            yield
        finally:
            self._listeners.discard(listener)

    async def close(self) -> None:
        """Leaves every hold."""
        await asyncio.gather(*(keeper.close() for keeper in self._keepers.values()))

    def _keeper(self, session: str) -> HoldKeeper:
        keeper = self._keepers.get(session)
        if keeper is None:
            keeper = self._keepers[session] = HoldKeeper(
                self.client.presence,
                self.client.organization_id,
                session,
                patience_seconds=self._patience_seconds,
                known=self._tell,
            )
        return keeper

    def _following(self, method: Any, request: Any) -> Following[Any, Any]:
        return Following(method, request, patience_seconds=self._patience_seconds)

    def _selection(self, resource_ids: Sequence[str], dates: Iterable[date]) -> dict[str, Any]:
        return {
            "organization_id": self.client.organization_id,
            "resource_ids": resource_ids,
            "dates": [to_date(day) for day in sorted(set(dates))],
        }

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()


async def _changes(live: Live[Any]) -> AsyncIterator[None]:
    """Yields now and after every change; raises what ended the watch."""
    changed = asyncio.Event()
    async with live.heard_by(changed.set):
        await live.began()
        while True:
            changed.clear()
            if live.failure is not None:
                raise live.failure
            yield
            await changed.wait()
