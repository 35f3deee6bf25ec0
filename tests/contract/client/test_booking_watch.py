"""Watches of bookings through the client, on servers that fail as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from holdfast.availability.v1.booking_event_pb2 import BOOKING_EVENT_KIND_CREATED, BookingEvent
from holdfast.availability.v1.booking_pb2 import Booking, WatchBookingsResponse
from shared.client.booking_watch import BookingsEvent
from shared.client.client import Client
from shared.client.failure import HoldfastError
from tests.contract.client.fault import refuse, spoken
from tests.contract.client.world import soon


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
