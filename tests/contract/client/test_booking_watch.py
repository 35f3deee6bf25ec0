"""Watches of bookings through the client: on a real service, and on servers that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from holdfast.availability.v1.booking_event_pb2 import (
    BOOKING_EVENT_KIND_CANCELLED,
    BOOKING_EVENT_KIND_CREATED,
    BookingEvent,
)
from holdfast.availability.v1.booking_pb2 import Booking, WatchBookingsResponse
from shared.client.address import Address
from shared.client.booking_watch import BookingsEvent
from shared.client.client import Client
from shared.client.failure import HoldfastError
from shared.client.watch_event import WatchKind
from tests.contract.client.conftest import CountingClient, ServeAvailability
from tests.contract.client.fault import refuse, spoken
from tests.contract.client.world import HOUR, NOON, book, cancel, soon


def _told(token: bytes, booking_id: str = "") -> WatchBookingsResponse:
    """An event, or a sign of life."""
    if not booking_id:
        return WatchBookingsResponse(resume_token=token)
    event = BookingEvent(booking_id=booking_id, kind=BOOKING_EVENT_KIND_CREATED)
    return WatchBookingsResponse(
        event=event, booking=Booking(booking_id=booking_id), resume_token=token
    )


async def _taken(watch: AsyncIterator[BookingsEvent], count: int) -> list[tuple[str, bytes]]:
    async with asyncio.timeout(20):
        found = [await anext(watch) for _ in range(count)]
    return [
        (event.event.booking_id if event.event else event.kind.name, event.resume_token)
        for event in found
    ]


async def _happened(watch: AsyncIterator[BookingsEvent], count: int) -> list[BookingsEvent]:
    """The next so many events, whatever else is told between."""
    found: list[BookingsEvent] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            if (event := await anext(watch)).event:
                found.append(event)
    return found


def _named(events: list[BookingsEvent]) -> list[tuple[str, int, int]]:
    """Each event's booking, revision and kind."""
    return [
        (event.event.booking_id, event.event.revision, event.event.kind)
        for event in events
        if event.event
    ]


async def test_what_happens_is_told_in_order_and_again_after_a_token(
    ann: CountingClient, ben: CountingClient
) -> None:
    watch = ann.watch_bookings()
    assert (await soon(anext(watch))).kind is WatchKind.LIVE

    first = await book(ben, NOON)
    second = await book(ben, NOON + HOUR)
    await cancel(ben, first)
    events = await _happened(watch, 3)

    expected = [
        (first, 0, BOOKING_EVENT_KIND_CREATED),
        (second, 0, BOOKING_EVENT_KIND_CREATED),
        (first, 1, BOOKING_EVENT_KIND_CANCELLED),
    ]
    assert _named(events) == expected
    again = await _happened(ben.watch_bookings(after=events[0].resume_token), 2)
    assert _named(again) == expected[1:]
    whole = await _happened(ben.watch_bookings(from_oldest=True), 3)
    assert _named(whole) == expected


async def test_no_event_is_missed_while_the_service_is_away(
    serve_availability: ServeAvailability, organization_id: str, unused_tcp_port: int
) -> None:
    place = f"127.0.0.1:{unused_tcp_port}"
    async with (
        serve_availability() as beside,
        Client({"availability": Address(beside, "the test")}, organization_id) as other,
        Client({"availability": Address(place, "the test")}, organization_id) as client,
    ):
        watch = client.watch_bookings()
        async with serve_availability(listen=place):
            assert (await soon(anext(watch))).kind is WatchKind.LIVE
            first = await book(other, NOON)
            told = await _happened(watch, 1)
        assert (await soon(anext(watch))).kind is WatchKind.STALE
        second = await book(other, NOON + HOUR)
        await cancel(other, second)
        async with serve_availability(listen=place):
            told += await _happened(watch, 2)

    assert [(name, revision) for name, revision, _ in _named(told)] == [
        (first, 0),
        (second, 0),
        (second, 1),
    ]


async def test_events_are_told_one_by_one_and_signs_of_life_where_they_tell_something() -> None:
    asked: list[Any] = []

    async def lively(request: Any, context: Any) -> None:
        asked.append(request)
        for token, booking_id in (
            (b"1", ""),
            (b"1", ""),
            (b"2", "b-1"),
            (b"2", ""),
            (b"3", ""),
            (b"4", "b-2"),
        ):
            await context.write(_told(token, booking_id))
        await asyncio.Event().wait()

    async with (
        spoken("bookings", {"WatchBookings": lively}) as place,
        Client({"availability": place}, "org") as client,
    ):
        found = await _taken(client.watch_bookings(from_oldest=True), 4)

    assert found == [("LIVE", b"1"), ("b-1", b"2"), ("LIVE", b"3"), ("b-2", b"4")]
    assert (asked[0].organization_id, asked[0].resume_token) == ("org", b"")
    assert asked[0].from_oldest is True


async def test_a_broken_watch_goes_on_after_the_last_event() -> None:
    tokens: list[bytes] = []

    async def broken(request: Any, context: Any) -> None:
        tokens.append(request.resume_token)
        if len(tokens) == 1:
            await context.write(_told(b"1", "b-1"))
            await context.abort(grpc.StatusCode.UNAVAILABLE, "drains")
        if len(tokens) == 2:
            await context.write(_told(b"1"))
            return  # an end without a word is a broken stream, too
        await context.write(_told(b"2", "b-2"))
        await asyncio.Event().wait()

    async with (
        spoken("bookings", {"WatchBookings": broken}) as place,
        Client({"availability": place}, "org") as client,
    ):
        found = await _taken(client.watch_bookings(after=b"0"), 5)

    assert found == [("b-1", b"1"), ("STALE", b"1"), ("LIVE", b"1"), ("STALE", b"1"), ("b-2", b"2")]
    assert tokens == [b"0", b"1", b"1"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.OUT_OF_RANGE, "TOKEN_EXPIRED"),
        # Beginning anew would leave events out without a word.
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN"),
    ],
)
async def test_a_token_that_is_not_good_any_more_ends_the_watch(
    code: grpc.StatusCode, reason: str
) -> None:
    calls = 0

    async def forgetful(request: Any, context: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            await refuse(context, code, reason)
        await context.write(_told(b"1", "b-1"))

    async with (
        spoken("bookings", {"WatchBookings": forgetful}) as place,
        Client({"availability": place}, "org") as client,
    ):
        watch = client.watch_bookings()
        assert await _taken(watch, 2) == [("b-1", b"1"), ("STALE", b"1")]
        with pytest.raises(HoldfastError) as caught:
            await soon(anext(watch))

    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert calls == 2
