"""Watches through the client: on real services, and on servers that fail as a test wants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import grpc
import pytest

from holdfast.availability.v1 import availability_pb2
from holdfast.common.v1 import watch_pb2
from holdfast.presence.v1 import presence_pb2
from shared.client import presence_fold
from shared.client.address import Address
from shared.client.client import Client
from shared.client.days_fold import DayKey, DayState, bitmap, day_key
from shared.client.failure import HoldfastError
from shared.client.follow import Following
from shared.client.presence_fold import PresenceEvent, PresenceState
from shared.client.value import to_date
from shared.client.watch import events
from shared.client.watch_event import WatchKind
from shared.slots.bitmap import mask
from tests.contract.client.conftest import CountingClient, House, ServeAvailability, ServePresence
from tests.contract.client.fault import refuse, spoken
from tests.contract.client.proxy import proxied
from tests.contract.client.world import DAY, HOUR, NOON, book, cancel, first, soon

SNAPSHOT = watch_pb2.WATCH_EVENT_SNAPSHOT
BOOKMARK = watch_pb2.WATCH_EVENT_BOOKMARK
NEXT_DAY = DAY + timedelta(days=1)


async def test_holds_are_told_as_they_are_then_as_they_change(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with ben.hold("studio-a", NOON, HOUR, hold_id="mine") as hold:
        await soon(hold.settled())
        watch = ann.watch_presence(["studio-a", "studio-b"], [DAY])

        event = await soon(anext(watch))
        assert event.kind is WatchKind.SNAPSHOT
        assert [(held.start, held.name.hold_id) for held in event.state] == [(NOON, "mine")]

        await soon(hold.move(NOON + HOUR, 2 * HOUR))
        event = await soon(anext(watch))
        assert event.kind is WatchKind.CHANGES
        assert [(held.start, held.end) for held in event.holds] == [(NOON + HOUR, NOON + 3 * HOUR)]
        assert list(event.state) == list(event.holds)

    event = await soon(anext(watch))
    assert [(end.resource_id, end.name.hold_id, end.reason) for end in event.ended] == [
        ("studio-a", "mine", "LEFT")
    ]
    assert list(event.state) == []


async def test_days_are_told_as_they_are_then_as_they_change(
    ann: CountingClient, ben: CountingClient
) -> None:
    watch = ann.watch_days(["studio-a"], [NEXT_DAY, DAY])
    event = await soon(anext(watch))
    assert event.kind is WatchKind.SNAPSHOT
    assert event.days == (DayKey("studio-a", DAY), DayKey("studio-a", NEXT_DAY))
    assert event.state.of("studio-a", DAY) == DayState(0, 0)

    booking_id = await book(ben, NOON)
    event = await soon(anext(watch))
    assert (event.kind, event.days) == (WatchKind.CHANGES, (DayKey("studio-a", DAY),))
    assert event.state.of("studio-a", DAY).busy == mask(48, 52)

    await cancel(ben, booking_id)
    event = await soon(anext(watch))
    assert event.state.of("studio-a", DAY).busy == 0
    assert event.state.of("studio-a", DAY).version == event.state.version


async def test_a_restarted_presence_is_resumed_and_nothing_is_missed(
    serve_presence: ServePresence, organization_id: str, unused_tcp_port: int
) -> None:
    place = f"127.0.0.1:{unused_tcp_port}"
    async with (
        serve_presence() as beside,
        Client({"presence": Address(beside, "the test")}, organization_id) as other,
        Client({"presence": Address(place, "the test")}, organization_id) as client,
    ):
        watch = client.watch_presence(["studio-a"], [DAY])
        kept = other.hold("studio-a", NOON, HOUR)
        async with (
            serve_presence(listen=place),
            other.hold("studio-a", NOON + HOUR, HOUR, hold_id="gone") as gone,
        ):
            await soon(gone.settled())
            assert (await soon(anext(watch))).kind is WatchKind.SNAPSHOT
            await kept.__aenter__()
            changed = await soon(anext(watch))
            assert [held.start for held in changed.holds] == [NOON]
        await first(watch, lambda event: event.kind is WatchKind.STALE)
        async with other.hold("studio-a", NOON + 2 * HOUR, HOUR, hold_id="new") as new:
            await soon(new.settled())
            async with serve_presence(listen=place):
                event = await first(watch, lambda event: len(list(event.state)) == 2)

        assert event.kind is WatchKind.CHANGES  # resumed, not begun anew
        assert [held.start for held in event.state] == [NOON, NOON + 2 * HOUR]
        await kept.__aexit__(None, None, None)


async def test_a_restarted_availability_is_resumed_and_nothing_is_missed(
    serve_availability: ServeAvailability, organization_id: str, unused_tcp_port: int
) -> None:
    place = f"127.0.0.1:{unused_tcp_port}"
    async with (
        serve_availability() as beside,
        Client({"availability": Address(beside, "the test")}, organization_id) as other,
        Client({"availability": Address(place, "the test")}, organization_id) as client,
    ):
        watch = client.watch_days(["studio-a"], [DAY])
        async with serve_availability(listen=place):
            assert (await soon(anext(watch))).kind is WatchKind.SNAPSHOT
        assert (await soon(anext(watch))).kind is WatchKind.STALE
        await book(other, NOON)
        async with serve_availability(listen=place):
            event = await soon(anext(watch))

        assert event.kind is WatchKind.CHANGES  # resumed, not begun anew
        assert event.state.of("studio-a", DAY).busy == mask(48, 52)


async def test_what_is_folded_over_broken_connections_is_what_there_is(house: House) -> None:
    async with (
        proxied(house.presence) as holds,
        proxied(house.availability) as days,
        house.client() as other,
        house.client(places={"presence": holds.address, "availability": days.address}) as client,
    ):
        presence = client.watch_presence(["studio-a"], [DAY])
        bookings = client.watch_days(["studio-a"], [DAY])
        await soon(anext(presence))
        await soon(anext(bookings))
        for number in range(12):
            async with other.hold("studio-a", NOON, HOUR) as hold:
                await soon(hold.settled())
                if number % 2:
                    holds.cut()
                    days.cut()
                await book(other, NOON - (number + 1) * HOUR)
        async with other.hold("studio-a", NOON + HOUR, HOUR) as last:
            await soon(last.settled())

            event = await first(
                presence, lambda e: [held.start for held in e.state] == [NOON + HOUR]
            )
            found = await first(bookings, lambda e: e.state.of("studio-a", DAY).busy == mask(0, 48))

            request = presence_pb2.GetDatePresenceRequest(
                organization_id=other.organization_id,
                resource_ids=["studio-a"],
                dates=[to_date(DAY)],
            )
            held = (await other.call(other.presence.GetDatePresence, request)).holds
            assert [hold.name for hold in event.state] == [(h.holder_id, h.hold_id) for h in held]
            asked = availability_pb2.GetDaysRequest(
                organization_id=other.organization_id,
                resource_ids=["studio-a"],
                first_date=to_date(DAY),
                last_date=to_date(DAY),
            )
            stored = (await other.call(other.availability.GetDays, asked)).days
            assert dict(found.state.days) == {
                day_key(day): DayState(bitmap(day.busy), day.version) for day in stored
            }


async def test_a_reader_that_stops_and_goes_on_has_the_state(
    ann: CountingClient, ben: CountingClient
) -> None:
    watch = ann.watch_presence(["studio-a"], [DAY])
    await soon(anext(watch))
    for number in range(50):
        async with ben.hold("studio-a", NOON + number % 8 * HOUR, HOUR) as hold:
            await soon(hold.settled())
    async with ben.hold("studio-a", NOON + 9 * HOUR, HOUR):
        event = await first(watch, lambda e: [h.start for h in e.state] == [NOON + 9 * HOUR])

    assert event.kind in {WatchKind.CHANGES, WatchKind.SNAPSHOT}


def told(event: Any, token: bytes, *names: str) -> presence_pb2.WatchPresenceResponse:
    message = presence_pb2.WatchPresenceResponse(event=event, resume_token=token)
    if event != BOOKMARK:
        part = message.resources.add(resource_id="studio-a", revision=len(names))
        for name in names:
            hold = part.holds.add(resource_id="studio-a", holder_id=name)
            hold.start_time.FromDatetime(NOON)
            hold.end_time.FromDatetime(NOON + HOUR)
    return message


def kinds(found: list[PresenceEvent]) -> list[str]:
    return [event.kind.name for event in found]


async def taken(watch: AsyncIterator[PresenceEvent], count: int) -> list[PresenceEvent]:
    async with asyncio.timeout(20):
        return [await anext(watch) for _ in range(count)]


async def test_a_stream_that_breaks_is_resumed_with_the_newest_token() -> None:
    tokens: list[bytes] = []

    async def broken(request: Any, context: Any) -> None:
        tokens.append(request.resume_token)
        if len(tokens) == 1:
            await context.write(told(SNAPSHOT, b"first", "a"))
            await context.write(told(BOOKMARK, b"second"))
            await context.abort(grpc.StatusCode.UNAVAILABLE, "drains")
        await context.write(told(BOOKMARK, b"third"))
        if len(tokens) == 2:
            return  # an end without a word is a broken stream, too
        await asyncio.Event().wait()

    async with (
        spoken("presence", {"WatchPresence": broken}) as place,
        Client({"presence": place}, "org") as client,
    ):
        watch = client.watch_presence(["studio-a"], [DAY])
        found = await taken(watch, 5)

    assert kinds(found) == ["SNAPSHOT", "STALE", "LIVE", "STALE", "LIVE"]
    assert tokens == [b"", b"second", b"third"]
    assert [hold.holder_id for hold in found[4].state] == ["a"]
    assert isinstance(found[1].failure, HoldfastError)
    assert found[1].failure.message == "drains"


async def test_a_token_that_is_refused_begins_the_watch_anew() -> None:
    tokens: list[bytes] = []

    async def forgetful(request: Any, context: Any) -> None:
        tokens.append(request.resume_token)
        if request.resume_token:
            await refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN")
        await context.write(told(SNAPSHOT, b"token", *"ab"[: len(tokens)]))
        if len(tokens) > 1:
            await asyncio.Event().wait()

    async with (
        spoken("presence", {"WatchPresence": forgetful}) as place,
        Client({"presence": place}, "org") as client,
    ):
        found = await taken(client.watch_presence(["studio-a"], [DAY]), 3)

    assert kinds(found) == ["SNAPSHOT", "STALE", "RESET"]
    assert tokens == [b"", b"token", b""]
    assert [hold.holder_id for hold in found[2].state] == ["a", "b"]


async def test_silence_is_a_broken_stream() -> None:
    calls = 0

    async def silent(request: Any, context: Any) -> None:
        nonlocal calls
        calls += 1
        await context.write(told(SNAPSHOT if calls == 1 else BOOKMARK, b"token"))
        await asyncio.Event().wait()

    async with (
        spoken("presence", {"WatchPresence": silent}) as place,
        Client({"presence": place}, "org") as client,
    ):
        following = Following(
            client.presence.WatchPresence,
            presence_pb2.WatchPresenceRequest(),
            patience_seconds=5,
            silence_seconds=0.2,
        )
        watch = events(following, presence_fold.fold, PresenceState(), PresenceEvent)
        found = await taken(watch, 3)

    assert kinds(found) == ["SNAPSHOT", "STALE", "LIVE"]
    assert found[1].failure is not None
    assert found[1].failure.code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
        # Without a token there is none to be at fault.
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN"),
        (grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
async def test_a_refusal_ends_the_watch(code: grpc.StatusCode, reason: str) -> None:
    calls = 0

    async def refusing(request: Any, context: Any) -> None:
        nonlocal calls
        calls += 1
        await refuse(context, code, reason)

    async with (
        spoken("presence", {"WatchPresence": refusing}) as place,
        Client({"presence": place}, "org") as client,
    ):
        with pytest.raises(HoldfastError) as caught:
            await soon(anext(client.watch_presence(["studio-a"], [DAY])))

    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert calls == 1


async def test_a_refusal_after_a_broken_stream_ends_the_watch_too() -> None:
    calls = 0

    async def deleted(request: Any, context: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            await refuse(context, grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
        await context.write(told(SNAPSHOT, b"token"))

    async with (
        spoken("presence", {"WatchPresence": deleted}) as place,
        Client({"presence": place}, "org") as client,
    ):
        watch = client.watch_presence(["studio-a"], [DAY])
        await taken(watch, 2)
        with pytest.raises(HoldfastError, match="NOT_FOUND"):
            await soon(anext(watch))


async def test_a_service_that_is_not_there_is_said_within_the_patience(
    unused_tcp_port: int,
) -> None:
    place = Address(f"127.0.0.1:{unused_tcp_port}", "the test")
    begun = time.monotonic()
    async with Client({"presence": place}, "org", timeout=timedelta(seconds=1)) as client:
        with pytest.raises(HoldfastError) as caught:
            await soon(anext(client.watch_presence(["studio-a"], [DAY])))

    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert time.monotonic() - begun < 5


async def test_a_watch_that_is_left_ends_its_stream() -> None:
    ended = asyncio.Event()

    async def watched(request: Any, context: Any) -> None:
        try:
            await context.write(told(SNAPSHOT, b"token"))
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with (
        spoken("presence", {"WatchPresence": watched}) as place,
        Client({"presence": place}, "org") as client,
    ):
        watch: Any = client.watch_presence(["studio-a"], [DAY])
        async with aclosing(watch):
            await soon(anext(watch))

        await soon(ended.wait())


async def test_a_stream_is_read_as_it_is_and_its_end_translated() -> None:
    async def ending(request: Any, context: Any) -> None:
        await context.write(told(SNAPSHOT, b"token"))
        if request.organization_id == "refused":
            await refuse(context, grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")

    async with (
        spoken("presence", {"WatchPresence": ending}) as place,
        Client({"presence": place}, "org") as client,
    ):
        watch = client.presence.WatchPresence
        whole = client.stream(watch, presence_pb2.WatchPresenceRequest())
        assert [message.resume_token async for message in whole] == [b"token"]

        broken = client.stream(watch, presence_pb2.WatchPresenceRequest(organization_id="refused"))
        assert (await soon(anext(broken))).resume_token == b"token"
        with pytest.raises(HoldfastError) as caught:
            await soon(anext(broken))

    assert (caught.value.reason, caught.value.service) == ("UNAVAILABLE", "presence")
