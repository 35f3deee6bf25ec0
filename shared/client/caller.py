"""Typed stubs of the services, and calls that are safe to make."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from shared.client.address import Address
from shared.client.channel import open_channel
from shared.client.closing import Closing, translated
from shared.client.failure import HoldfastError, decode

if TYPE_CHECKING:  # each contract is loaded when its service is first asked
    from holdfast.availability.v1.availability_pb2_grpc import AvailabilityServiceStub
    from holdfast.availability.v1.booking_pb2_grpc import BookingServiceStub
    from holdfast.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
    from holdfast.presence.v1.presence_pb2_grpc import PresenceServiceStub

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


class Caller:
    """Calls the services for one organization. Belongs to one event loop.

    Stubs are ready-made; make every unary call through ``call`` or ``rows``, which bound it by
    the deadline, repeat it where that is safe, and translate errors.
    """

    def __init__(
        self,
        addresses: Mapping[str, Address],
        organization_id: str,
        *,
        timeout: timedelta = timedelta(seconds=10),
        retry: Retry | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Reaches nobody yet.

        Args:
            addresses: Where the services are, by their names.
            organization_id: Whose bookings these are.
            timeout: How long one call may take, repetitions included.
            retry: How calls that did not reach a service are repeated.
            clock: The time by the services' clock; this machine's unless they were told another.
        """
        self.addresses = addresses
        self.organization_id = organization_id
        self._timeout_seconds = timeout.total_seconds()
        self._retry = retry or Retry()
        self._channels: dict[str, grpc.aio.Channel] = {}
        self.closing = Closing()
        self._clock = clock

    def now(self) -> datetime:
        """Returns the time by the services' clock."""
        return self._clock() if self._clock else datetime.now(UTC)

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
        self.closing.check()
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
            HoldfastError: Refused, not reached, or not answered in time; or the client is closed.
        """
        # holdfast.<service>.v1.<Message>: the request knows whom it is for.
        service = request.DESCRIPTOR.full_name.split(".")[1]
        deadline = time.monotonic() + self._timeout_seconds
        attempt = 1
        while True:
            self.closing.check()
            left = deadline - time.monotonic()
            try:
                with translated():
                    return await method(request, timeout=max(left, 0.001))
            except grpc.aio.AioRpcError as error:
                failure = decode(error, service)
            wait = self._wait_seconds(failure, attempt)
            if wait is None or time.monotonic() + wait >= deadline:
                raise failure
            await self.closing.sleep(wait)
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
            HoldfastError: Refused, not reached, or ended by the service; or the client is closed.
        """
        self.closing.check()
        service = request.DESCRIPTOR.full_name.split(".")[1]
        call = method(request)
        with self.closing.ends(call):
            try:
                while (message := await call.read()) is not grpc.aio.EOF:
                    yield message  # type: ignore[misc]  # no end of the stream
            except grpc.aio.AioRpcError as error:
                raise decode(error, service) from error

    async def close(self) -> None:
        """Closes every channel; what is still waited for ends with a HoldfastError."""
        self.closing.close()
        for channel in self._channels.values():
            await channel.close()
