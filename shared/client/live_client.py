"""What a client holds and watches: streams that its holds and views share."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from holdfast.availability.v1.availability_pb2 import WatchDaysRequest
from holdfast.availability.v1.booking_pb2 import WatchBookingsRequest
from holdfast.catalog.v1.watch_pb2 import WatchCatalogRequest
from holdfast.presence.v1.presence_pb2 import WatchPresenceRequest
from shared.catalog.fold import CatalogFold
from shared.catalog.state import CatalogState
from shared.client import days_fold, offer_watch, presence_fold
from shared.client.booking_watch import BookingsEvent, booking_events
from shared.client.days_fold import DaysEvent, DaysState
from shared.client.follow import Following
from shared.client.hold import Hold, HoldTime, check_time, check_units
from shared.client.hold_keeper import HoldKeeper
from shared.client.live import Live, Shared
from shared.client.offer_watch import LiveCatalog
from shared.client.presence_fold import PresenceEvent, PresenceState
from shared.client.slot_source import SlotQuestion, SlotSource
from shared.client.value import to_date
from shared.client.watch import events
from shared.slots.quantum import Span

if TYPE_CHECKING:  # which imports this when it is first needed
    from shared.client.client import Client

_SESSION_BYTES: Final = 32


class LiveClient:
    """The live half of a ``Client``. Belongs to its event loop."""

    def __init__(self, client: Client, *, patience_seconds: float) -> None:
        self.client = client
        self._patience_seconds = patience_seconds
        self._session = secrets.token_urlsafe(_SESSION_BYTES)
        self._keepers: dict[str, HoldKeeper] = {}
        self._viewers: Counter[str] = Counter()
        self._slots: Shared[SlotSource] = Shared()
        self._days: Shared[Live[DaysState]] = Shared()
        self._presence: Shared[Live[PresenceState]] = Shared()
        self._catalogs: Shared[LiveCatalog] = Shared()
        self._listeners: set[Callable[[], None]] = set()

    def holder_id(self, session: str | None = None) -> str:
        """Returns the public name of a session; empty while it is not known.

        It is known from the session's first hold on, or soon after ``introduce``.
        """
        keeper = self._keepers.get(session or self._session)
        return keeper.holder_id if keeper else ""

    def session(self, session: str | None = None) -> str:
        """Returns the secret that a session goes by: the given one, or the client's own."""
        return session or self._session

    @contextmanager
    def introduced(self, session: str | None) -> Iterator[None]:
        """Keeps the public name of a session that may hold elsewhere, as soon as it is known."""
        if session is None:
            yield  # the client's own is kept as long as the client
            return
        self._viewers[session] += 1
        self._keeper(session).introduce()
        try:
            yield
        finally:
            self._viewers[session] -= 1
            self._retire(session)

    def hold(
        self,
        resource_id: str,
        time: HoldTime,
        *,
        hold_id: str,
        session: str | None,
        units: int,
        event_type_id: str,
    ) -> Hold:
        """Returns a hold to enter.

        Raises:
            OffGrid: The start is not a quarter hour.
            ValueError: It is naive, or the length or the number of units is out of range.
        """
        check_time(*time)
        check_units(units)
        return Hold(
            # Asked for when it is entered: the keeper of a session that ended is gone.
            partial(self._keeper, session or self._session),
            resource_id,
            time,
            hold_id=hold_id,
            units=units,
            event_type_id=event_type_id,
        )

    @contextmanager
    def booking(self, session: str, taken: Sequence[tuple[str, Span]]) -> Iterator[None]:
        """Takes note of what a session books: its holds there are not lost when they end by it.

        Unless the block raises: then nothing was booked.
        """
        keeper = self._keepers.get(session)
        if keeper is None:
            yield
            return
        keeper.book(taken)
        try:
            yield
        except BaseException:
            keeper.unbook(taken)
            raise

    def watch_presence(
        self, resource_ids: Sequence[str], dates: Iterable[date]
    ) -> AsyncIterator[PresenceEvent]:
        """Iterates over a watch of its own."""
        self.client.closing.check()
        wanted = WatchPresenceRequest(**self._selection(resource_ids, dates))
        following = Following(
            self.client.presence.WatchPresence,
            wanted,
            closing=self.client.closing,
            patience_seconds=self._patience_seconds,
        )
        return events(following, presence_fold.fold, PresenceState(), PresenceEvent)

    def watch_days(
        self, resource_ids: Sequence[str], dates: Iterable[date]
    ) -> AsyncIterator[DaysEvent]:
        """Iterates over a watch of its own."""
        self.client.closing.check()
        wanted = WatchDaysRequest(**self._selection(resource_ids, dates))
        following = Following(
            self.client.availability.WatchDays,
            wanted,
            closing=self.client.closing,
            patience_seconds=self._patience_seconds,
        )
        return events(following, days_fold.fold, DaysState(), DaysEvent)

    def watch_bookings(self, after: bytes, *, from_oldest: bool) -> AsyncIterator[BookingsEvent]:
        """Iterates over a watch of its own."""
        self.client.closing.check()
        wanted = WatchBookingsRequest(
            organization_id=self.client.organization_id,
            resume_token=after,
            from_oldest=from_oldest,
        )
        following = Following(
            self.client.bookings.WatchBookings,
            wanted,
            closing=self.client.closing,
            patience_seconds=self._patience_seconds,
            may_begin_anew=False,
        )
        return booking_events(following, after)

    def live_presence(
        self, resource_ids: Sequence[str], dates: Iterable[date]
    ) -> AbstractAsyncContextManager[Live[PresenceState]]:
        """The one presence watch of these resources and dates."""
        self.client.closing.check()
        wanted = WatchPresenceRequest(**self._selection(resource_ids, dates))
        return self._presence.use(
            wanted.SerializeToString(deterministic=True),
            lambda: Live(
                Following(
                    self.client.presence.WatchPresence,
                    wanted,
                    closing=self.client.closing,
                    patience_seconds=None,
                ),
                presence_fold.fold,
                PresenceState(),
            ),
        )

    def live_days(
        self, resource_ids: Sequence[str], dates: Iterable[date]
    ) -> AbstractAsyncContextManager[Live[DaysState]]:
        """The one day watch of these resources and dates."""
        self.client.closing.check()
        wanted = WatchDaysRequest(**self._selection(resource_ids, dates))
        return self._days.use(
            wanted.SerializeToString(deterministic=True),
            lambda: Live(
                Following(
                    self.client.availability.WatchDays,
                    wanted,
                    closing=self.client.closing,
                    patience_seconds=None,
                ),
                days_fold.fold,
                DaysState(),
            ),
        )

    @asynccontextmanager
    async def live_catalog(self) -> AsyncIterator[LiveCatalog | None]:
        """The one watch of the catalog; None where it is not known where that is."""
        if "catalog" not in self.client.addresses:
            yield None
            return

        def watch() -> LiveCatalog:
            state = CatalogFold(CatalogState)
            wanted = WatchCatalogRequest(organization_id=self.client.organization_id)
            following = Following(
                self.client.catalog.WatchCatalog,
                wanted,
                closing=self.client.closing,
                patience_seconds=None,
            )
            return Live(following, offer_watch.fold, state, broken=state.break_off)

        async with self._catalogs.use("", watch) as catalog:
            yield catalog

    def shared_slots(self, question: SlotQuestion) -> AbstractAsyncContextManager[SlotSource]:
        """The one source of these free starts."""
        self.client.closing.check()
        return self._slots.use(question, lambda: SlotSource(self, question))

    @asynccontextmanager
    async def heard_by(self, listener: Callable[[], None]) -> AsyncIterator[None]:
        """Calls a listener when the name of a session becomes known."""
        self._listeners.add(listener)
        try:
            yield
        finally:
            self._listeners.discard(listener)

    async def close(self) -> None:
        """Leaves every hold."""
        await asyncio.gather(*(keeper.close() for keeper in self._keepers.values()))

    def _keeper(self, session: str) -> HoldKeeper:
        self.client.closing.check()
        keeper = self._keepers.get(session)
        if keeper is None:
            keeper = self._keepers[session] = HoldKeeper(
                self.client.presence,
                self.client.organization_id,
                session,
                patience_seconds=self._patience_seconds,
                known=self._tell,
                idle=partial(self._retire, session),
            )
        return keeper

    def _retire(self, session: str) -> None:
        """Forgets what keeps a session, once it holds nothing and nobody asks for its name."""
        keeper = self._keepers.get(session)
        if session == self._session or self._viewers[session]:
            return
        del self._viewers[session]
        if keeper is not None and keeper.is_idle:
            del self._keepers[session]

    def _selection(self, resource_ids: Sequence[str], dates: Iterable[date]) -> dict[str, Any]:
        return {
            "organization_id": self.client.organization_id,
            "resource_ids": resource_ids,
            "dates": [to_date(day) for day in sorted(set(dates))],
        }

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()
