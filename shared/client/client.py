"""One organization's view of the services: typed stubs, and calls that are safe to make."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from shared.client.address import Address
from shared.client.channel import open_channel
from shared.client.failure import HoldfastError, decode

if TYPE_CHECKING:  # each contract is loaded when its service is first asked
    from holdfast.availability.v1.availability_pb2_grpc import AvailabilityServiceStub
    from holdfast.availability.v1.booking_pb2_grpc import BookingServiceStub
    from holdfast.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
    from holdfast.presence.v1.presence_pb2_grpc import PresenceServiceStub
    from shared.client.booking_watch import BookingsEvent
    from shared.client.day_view import DayView
    from shared.client.days_fold import DaysEvent
    from shared.client.hold import Hold
    from shared.client.live_client import LiveClient
    from shared.client.month_view import MonthView
    from shared.client.presence_fold import PresenceEvent

_PAGE_SIZE: Final = 500

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Retry:
    """How calls that did not reach a service are repeated; always within the deadline."""

    attempts: int = 5
    first_wait: timedelta = timedelta(milliseconds=100)
    longest_wait: timedelta = timedelta(seconds=1)

    def wait_seconds(self, attempt: int) -> float:
        """Returns a random wait after the given attempt, 1 for the first; it doubles each time."""
        ceiling = min(self.first_wait * 2 ** (attempt - 1), self.longest_wait).total_seconds()
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311  # spreads load, hides nothing


class _Paged(Protocol):
    page_size: int
    page_token: str


_PagedRequest = TypeVar("_PagedRequest", bound=_Paged)


class _Page(Protocol):
    @property
    def next_page_token(self) -> str: ...


_PagedResponse = TypeVar("_PagedResponse", bound=_Page)


class Client:
    """Calls the services for one organization, holds time, and follows what changes.

    Belongs to one event loop. Stubs are ready-made; make every unary call through ``call`` or
    ``rows``, which bound it by the deadline, repeat it where that is safe, and translate errors.
    ``hold``, ``day_view``, ``month_view`` and the watches run over streams that are resumed, with
    jitter, wherever they break.
    """

    def __init__(
        self,
        addresses: Mapping[str, Address],
        organization_id: str,
        *,
        timeout: timedelta = timedelta(seconds=10),
        retry: Retry | None = None,
    ) -> None:
        self.addresses = addresses
        self.organization_id = organization_id
        self._timeout_seconds = timeout.total_seconds()
        self._retry = retry or Retry()
        self._channels: dict[str, grpc.aio.Channel] = {}

    @cached_property
    def catalog(self) -> CatalogServiceStub:
        """Resources, schedules, event types and their links."""
        from holdfast.catalog.v1.catalog_pb2_grpc import (  # noqa: PLC0415  # see above
            CatalogServiceStub,
        )

        return CatalogServiceStub(self.channel("catalog"))

    @cached_property
    def availability(self) -> AvailabilityServiceStub:
        """What is free."""
        from holdfast.availability.v1.availability_pb2_grpc import (  # noqa: PLC0415  # see above
            AvailabilityServiceStub,
        )

        return AvailabilityServiceStub(self.channel("availability"))

    @cached_property
    def bookings(self) -> BookingServiceStub:
        """Bookings."""
        from holdfast.availability.v1.booking_pb2_grpc import (  # noqa: PLC0415  # see above
            BookingServiceStub,
        )

        return BookingServiceStub(self.channel("availability"))

    @cached_property
    def presence(self) -> PresenceServiceStub:
        """Holds."""
        from holdfast.presence.v1.presence_pb2_grpc import (  # noqa: PLC0415  # see above
            PresenceServiceStub,
        )

        return PresenceServiceStub(self.channel("presence"))

    def channel(self, service: str) -> grpc.aio.Channel:
        """Returns the one channel to a service."""
        if service not in self._channels:
            self._channels[service] = open_channel(self.addresses[service].target)
        return self._channels[service]

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
    ) -> _Response:
        """Makes one call within the deadline.

        Only UNAVAILABLE is repeated, and with the same bytes: a write carries its request_id, so
        that a repetition of one that happened gets the first answer again.

        Raises:
            HoldfastError: Refused, not reached, or not answered in time.
        """
        # holdfast.<service>.v1.<Message>: the request knows whom it is for.
        service = request.DESCRIPTOR.full_name.split(".")[1]
        deadline = time.monotonic() + self._timeout_seconds
        attempt = 1
        while True:
            left = deadline - time.monotonic()
            try:
                return await method(request, timeout=max(left, 0.001))
            except grpc.aio.AioRpcError as error:
                failure = decode(error, service)
            wait = self._wait_seconds(failure, attempt)
            if wait is None or time.monotonic() + wait >= deadline:
                raise failure
            await asyncio.sleep(wait)
            attempt += 1

    def _wait_seconds(self, failure: HoldfastError, attempt: int) -> float | None:
        if failure.code is not grpc.StatusCode.UNAVAILABLE or attempt >= self._retry.attempts:
            return None
        wait = self._retry.wait_seconds(attempt)
        return max(wait, failure.retry_after.total_seconds()) if failure.retry_after else wait

    async def rows(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_PagedRequest, _PagedResponse],
        request: _PagedRequest,
        rows_of: Callable[[_PagedResponse], Sequence[_Row]],
        *,
        limit: int | None = None,
    ) -> AsyncIterator[_Row]:
        """Yields the rows of a list in its order, page after page.

        Args:
            method: The list's method.
            request: Its filters; its paging fields are set here.
            rows_of: Where a page keeps its rows.
            limit: At most so many; None for all.

        Raises:
            HoldfastError: As ``call``.
        """
        left = limit
        request.page_token = ""
        while left is None or left > 0:
            request.page_size = _PAGE_SIZE if left is None else min(left, _PAGE_SIZE)
            page = await self.call(method, request)  # type: ignore[type-var]  # both are messages
            for row in rows_of(page)[:left]:
                yield row
            left = None if left is None else left - len(rows_of(page))
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def stream(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[_Request, _Response],
        request: _Request,
    ) -> AsyncIterator[_Response]:
        """Yields the messages of one stream as they are, until it ends.

        Nothing is repeated or resumed, and no deadline bounds it: the watches of this
        class do more.

        Raises:
            HoldfastError: Refused, not reached, or ended by the service.
        """
        service = request.DESCRIPTOR.full_name.split(".")[1]
        call = method(request)
        try:
            while (message := await call.read()) is not grpc.aio.EOF:
                yield message  # type: ignore[misc]  # no end of the stream
        except grpc.aio.AioRpcError as error:
            raise decode(error, service) from error
        finally:
            call.cancel()

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
        hold_id: str = "",
        session: str | None = None,
    ) -> Hold:
        """Holds time while a block runs: ``async with client.hold(...) as hold``.

        Args:
            resource_id: What is held.
            start: From when: aware, a quarter hour.
            length: How long, more than 0; rounded up to a quarter hour.
            hold_id: Tells several holds of one session on the resource apart.
            session: The secret that owns the hold: 22 to 128 of A-Z a-z 0-9 _ -. By default one
                that the client made for itself.

        Raises:
            OffGrid: The start is not a quarter hour.
            ValueError: The start is naive, or the length out of range; at entering: the session
                holds under this name already.
        """
        return self.live.hold(resource_id, start, length, hold_id=hold_id, session=session)

    def day_view(
        self,
        resource_id: str,
        event_type_id: str,
        day: date,
        duration: timedelta,
        *,
        time_zone: str = "",
        session: str | None = None,
    ) -> DayView:
        """Follows one day: ``async with client.day_view(...) as view: async for p in view``.

        Args:
            resource_id: Of what.
            event_type_id: By whose rules.
            day: The local date.
            duration: One of the lengths on offer.
            time_zone: Whose date; empty for the schedule's zone.
            session: Whose holds are the viewer's own, as in ``hold``; by default the client's.

        Raises:
            HoldfastError: At entering, or while it is read: it cannot be told.
        """
        from shared.client.day_view import DayView  # noqa: PLC0415  # as above
        from shared.client.slot_source import SlotQuestion  # noqa: PLC0415

        asked = SlotQuestion(resource_id, event_type_id, day, duration, time_zone)
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
    ) -> MonthView:
        """Follows which dates, ``first`` to ``last``, have a free start; otherwise as a day view.

        Raises:
            HoldfastError: At entering, or while it is read: it cannot be told.
        """
        from shared.client.month_view import MonthQuestion, MonthView  # noqa: PLC0415  # as above

        asked = MonthQuestion(resource_id, event_type_id, first, last, duration, time_zone)
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
        """Leaves every hold and closes every channel."""
        if "live" in self.__dict__:
            await self.live.close()
        for channel in self._channels.values():
            await channel.close()

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
