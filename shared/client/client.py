"""One organization's view of the services: calls, holds, bookings, and what changes."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from shared.client.caller import Caller

if TYPE_CHECKING:  # each part is loaded when it is first needed
    from holdfast.availability.v1.booking_pb2 import (
        CreateBookingRequest,
        CreateBookingResponse,
        RescheduleBookingRequest,
        RescheduleBookingResponse,
    )
    from shared.client.booking_watch import BookingsEvent
    from shared.client.day_view import DayView
    from shared.client.days_fold import DaysEvent
    from shared.client.hold import Hold
    from shared.client.hold_bundle import HoldBundle, HoldItem
    from shared.client.live_client import LiveClient
    from shared.client.month_view import MonthView
    from shared.client.presence_fold import PresenceEvent


class Client(Caller):
    """Calls the services for one organization, holds time, books, and follows what changes.

    Belongs to one event loop. ``hold``, ``day_view``, ``month_view`` and the watches run over
    streams that are resumed, with jitter, wherever they break.
    """

    @cached_property
    def live(self) -> LiveClient:
        """The streams that holds and views share."""
        from shared.client.live_client import LiveClient  # noqa: PLC0415  # for those who need it

        return LiveClient(self, patience_seconds=self._timeout_seconds)

    def hold(
        self,
        resource_id: str,
        start: datetime,
        length: timedelta,
        *,
        units: int = 1,
        event_type_id: str = "",
        hold_id: str = "",
        session: str | None = None,
    ) -> Hold:
        """Holds time while a block runs: ``async with client.hold(...) as hold``.

        Args:
            resource_id: What is held.
            start: From when: aware, a quarter hour.
            length: How long, more than 0; rounded up to a quarter hour.
            units: How many units; only a pool has more than one.
            event_type_id: Holds what a booking of that time under it would take, buffers
                included; empty for the time alone.
            hold_id: Tells several holds of one session on the resource apart.
            session: The secret that owns the hold: 22 to 128 of A-Z a-z 0-9 _ -. By default one
                that the client made for itself.

        Raises:
            OffGrid: The start is not a quarter hour.
            ValueError: The start is naive, or the length or number out of range; at entering: the
                session holds under this name already.
        """
        from shared.client.hold import HoldTime  # noqa: PLC0415  # for those who need it

        return self.live.hold(
            resource_id,
            HoldTime(start, length),
            hold_id=hold_id,
            session=session,
            units=units,
            event_type_id=event_type_id,
        )

    def hold_all(
        self,
        items: Sequence[str | HoldItem],
        start: datetime,
        length: timedelta,
        *,
        event_type_id: str = "",
        session: str | None = None,
    ) -> HoldBundle:
        """Holds several resources, all or none: ``async with client.hold_all(...) as bundle``.

        Args:
            items: The resources, each with the units wanted where it is not one.
            start: As in ``hold``, as are the others.
            length: How long.
            event_type_id: Whose buffers are held, too.
            session: The secret that owns the holds.

        Raises:
            OffGrid: The start is not a quarter hour.
            ValueError: As in ``hold``, or a resource is named twice.
        """
        from shared.client.hold_bundle import bundle  # noqa: PLC0415  # as above

        return bundle(self, items, start, length, event_type_id, session)

    async def book(
        self, request: CreateBookingRequest, *, session: str | None = None
    ) -> CreateBookingResponse:
        """Books for a session, by default the client's own: what that holds is not in the way.

        Fills in the organization, the session and, where there is none, a new request id.

        Raises:
            HoldfastError: As ``call``.
        """
        from shared.client.booking import book  # noqa: PLC0415  # as above

        return await book(self, request, session)

    async def reschedule(
        self, request: RescheduleBookingRequest, *, session: str | None = None
    ) -> RescheduleBookingResponse:
        """Moves a booking; otherwise as ``book``.

        Raises:
            HoldfastError: As ``call``.
        """
        from shared.client.booking import reschedule  # noqa: PLC0415  # as above

        return await reschedule(self, request, session)

    def day_view(
        self,
        resource_id: str,
        event_type_id: str,
        day: date,
        duration: timedelta,
        *,
        units: int = 1,
        time_zone: str = "",
        session: str | None = None,
    ) -> DayView:
        """Follows one day: ``async with client.day_view(...) as view: async for p in view``.

        Args:
            resource_id: Of what.
            event_type_id: By whose rules.
            day: The local date.
            duration: One of the lengths on offer.
            units: How many are wanted.
            time_zone: Whose date; empty for the schedule's zone.
            session: Whose holds are the viewer's own, as in ``hold``; by default the client's.

        Raises:
            HoldfastError: At entering, or while it is read: it cannot be told.
        """
        from shared.client.day_view import DayView  # noqa: PLC0415  # as above
        from shared.client.slot_source import SlotQuestion  # noqa: PLC0415

        asked = SlotQuestion(resource_id, event_type_id, day, duration, time_zone, units)
        return DayView(self.live, asked, session)

    def month_view(
        self,
        resource_id: str,
        event_type_id: str,
        first: date,
        last: date,
        duration: timedelta,
        *,
        time_zone: str = "",
        units: int = 1,
    ) -> MonthView:
        """Follows which dates, ``first`` to ``last``, have a free start; otherwise as a day view.

        Raises:
            HoldfastError: At entering, or while it is read: it cannot be told.
        """
        from shared.client.month_view import MonthQuestion, MonthView  # noqa: PLC0415  # as above

        asked = MonthQuestion(resource_id, event_type_id, first, last, duration, time_zone, units)
        return MonthView(self.live, asked)

    def watch_presence(
        self, resource_ids: Sequence[str], dates: Iterable[date]
    ) -> AsyncIterator[PresenceEvent]:
        """Iterates over the live holds of resources on UTC dates: the state, then each change.

        Resumes wherever the stream breaks, and says so: STALE while presence is not heard.

        Raises:
            HoldfastError: Refused, or presence was not reached at the start.
        """
        return self.live.watch_presence(resource_ids, dates)

    def watch_days(
        self, resource_ids: Sequence[str], dates: Iterable[date]
    ) -> AsyncIterator[DaysEvent]:
        """Iterates over what is taken of UTC dates: the state, then each change.

        Resumes wherever the stream breaks, and says so: STALE while availability is not heard.

        Raises:
            HoldfastError: Refused, or availability was not reached at the start.
        """
        return self.live.watch_days(resource_ids, dates)

    def watch_bookings(
        self, *, after: bytes = b"", from_oldest: bool = False
    ) -> AsyncIterator[BookingsEvent]:
        """Iterates over every event of the organization's bookings and blocks, at least once.

        Resumes wherever the stream breaks, and says so: STALE while availability is not heard.

        Args:
            after: The ``resume_token`` of the last one that was dealt with; empty for a new watch.
            from_oldest: A new watch: from the oldest event that is kept, instead of from now.

        Raises:
            HoldfastError: Refused (TOKEN_EXPIRED: what followed the token is no longer kept), or
                availability was not reached at the start.
        """
        return self.live.watch_bookings(after, from_oldest=from_oldest)

    async def close(self) -> None:
        """Leaves every hold and closes every channel.

        Holds become LEFT; views, watches and calls end with a HoldfastError, CLIENT_CLOSED, and so
        does whatever is begun later.
        """
        self.closing.close()
        if "live" in self.__dict__:
            await self.live.close()
        await super().close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def new_request_id() -> str:
    """Returns an id for one intent; every repetition of it carries the same one."""
    return str(uuid.uuid4())
