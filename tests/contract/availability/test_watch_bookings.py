"""WatchBookings: every event, in the order of commits, wherever the watch begins."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import grpc
import pytest

from holdfast.availability.v1 import availability_pb2, booking_pb2
from holdfast.availability.v1.booking_event_pb2 import (
    BOOKING_EVENT_KIND_CONFIRMED,
    BOOKING_STATE_CANCELLED,
    BOOKING_STATE_CONFIRMED,
)
from services.availability.bootstrap import migrate
from services.availability.rpc import booking_watch
from services.availability.storage.purge import purge_events
from shared.embedded.postgres import EmbeddedPostgres
from tests.contract.availability.conftest import Serve
from tests.contract.availability.events import change, following
from tests.contract.availability.world import HOUR, NOW, Caller, FakeCatalog, interval, stamp
from tests.integration.availability.database import opened, rows, settings_for

NINE = datetime(2027, 3, 8, 9, tzinfo=UTC)


@pytest.fixture
def booker(caller: Caller, catalog: FakeCatalog) -> Caller:
    """Whoever may book a studio."""
    catalog.offer(caller.organization_id)
    return caller


async def booked(caller: Caller, count: int, *, first: int = 0) -> list[str]:
    """Books hour after hour; returns the events in short."""
    for number in range(first, first + count):
        await caller.book(NINE + number * HOUR, booking_id=f"b{number}")
    return [f"b{number}/0 CREATED" for number in range(first, first + count)]


async def test_a_life_is_told_step_by_step(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id, requires_confirmation=True)
    async with following(caller) as watch:
        await watch.opened()
        await caller.book(NINE, booking_id="b", provisional_duration={"seconds": 600})
        for _ in range(2):
            await change(caller, "ConfirmBooking", "b", actor_id="desk")
        await change(caller, "RescheduleBooking", "b", start_time=stamp(NINE + HOUR))
        await caller.cancel("b")
        await caller.book(NINE, booking_id="c")
        await change(caller, "DeclineBooking", "c", reason="full")

        assert await watch.told(7) == [
            "b/0 CREATED",
            "b/1 PENDING",
            "b/2 CONFIRMED",
            "b/3 RESCHEDULED",
            "b/4 CANCELLED",
            "c/0 CREATED",
            "c/1 DECLINED",
        ]


async def test_an_event_says_who_when_and_why_and_the_booking_how_it_is(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id, requires_confirmation=True)
    await caller.book(NINE, booking_id="b")
    await change(caller, "ConfirmBooking", "b", actor_id="desk", reason="it suits")
    await change(caller, "RescheduleBooking", "b", start_time=stamp(NINE + 2 * HOUR))
    now = await caller.cancel("b")

    async with following(caller, from_oldest=True) as watch:
        messages = [await watch.event() for _ in range(4)]

    event = messages[1].event
    assert (event.booking_id, event.revision) == ("b", 1)
    assert (event.kind, event.state) == (BOOKING_EVENT_KIND_CONFIRMED, BOOKING_STATE_CONFIRMED)
    assert (event.actor_id, event.reason, event.overridden) == ("desk", "it suits", False)
    assert event.event_time == stamp(NOW)
    assert (event.start_time, event.end_time) == (stamp(NINE), stamp(NINE + HOUR))
    assert messages[2].event.start_time == stamp(NINE + 2 * HOUR)
    assert now.state == BOOKING_STATE_CANCELLED
    assert all(message.booking == now for message in messages)


async def test_a_block_is_told_too(booker: Caller) -> None:
    async with following(booker) as watch:
        await watch.opened()
        request = booking_pb2.CreateBlockRequest(
            organization_id=booker.organization_id,
            request_id=str(uuid.uuid4()),
            booking_id="closed",
            resource_id="studio-a",
            range=interval(NINE, NINE + HOUR),
        )
        await booker.send("CreateBlock", request)
        await booker.cancel("closed")

        assert await watch.told(2) == ["closed/0 CREATED", "closed/1 CANCELLED"]


async def test_a_watch_from_now_is_told_nothing_of_before(booker: Caller) -> None:
    await booked(booker, 3)

    async with following(booker) as watch:
        await watch.opened()
        later = await booked(booker, 2, first=3)

        assert await watch.told(2) == later


async def test_what_is_committed_after_the_first_message_is_never_missed(booker: Caller) -> None:
    for number in range(40):
        async with following(booker) as watch:
            await watch.opened()
            (created,) = await booked(booker, 1, first=number)

            assert await watch.told(1) == [created]


async def test_a_watch_goes_on_after_every_token(booker: Caller) -> None:
    events = await booked(booker, 5)
    tokens = []
    async with following(booker, from_oldest=True) as watch:
        await watch.opened()
        tokens.append(watch.token)
        for _ in events:
            await watch.event()
            tokens.append(watch.token)

    for index, token in enumerate(tokens):
        # A token says where, whatever else the request says.
        async with following(booker, resume_token=token, from_oldest=index % 2 == 0) as watch:
            assert (await watch.message()).resume_token == token
            assert await watch.told(len(events) - index) == events[index:]


async def test_a_new_organization_can_be_watched_from_all_ends(booker: Caller) -> None:
    async with following(booker) as now, following(booker, from_oldest=True) as oldest:
        for watch in (now, oldest):
            await watch.opened()
        events = await booked(booker, 2)

        assert await now.told(2) == events
        assert await oldest.told(2) == events


async def test_other_organizations_are_not_told(booker: Caller, catalog: FakeCatalog) -> None:
    other = booker.elsewhere()
    catalog.offer(other.organization_id)
    async with following(booker) as watch:
        await watch.opened()
        await booked(other, 3)
        await booked(booker, 1, first=9)

        assert await watch.told(1) == ["b9/0 CREATED"]


async def test_who_reads_late_is_told_everything_and_keeps_nobody_waiting(booker: Caller) -> None:
    async with following(booker) as slow, following(booker) as quick:
        for watch in (slow, quick):
            await watch.opened()
        orders = [
            booker.order(NINE + number * HOUR, booking_id=f"b{number}") for number in range(300)
        ]
        await asyncio.gather(*(booker.send("CreateBooking", order) for order in orders))

        told = await quick.told(300)

        assert sorted(told) == sorted(f"b{number}/0 CREATED" for number in range(300))
        assert await slow.told(300) == told


async def test_many_watchers_are_told_the_same_in_the_same_order(booker: Caller) -> None:
    async def watched() -> list[str]:
        async with following(booker, from_oldest=True) as watch:
            return await watch.told(60)

    watchers = [asyncio.create_task(watched()) for _ in range(20)]
    orders = [booker.order(NINE + n * HOUR, booking_id=f"b{n}") for n in range(30)]
    await asyncio.gather(*(booker.send("CreateBooking", order) for order in orders))
    await asyncio.gather(*(booker.cancel(f"b{n}") for n in range(30)))

    told = await asyncio.gather(*watchers)

    assert all(each == told[0] for each in told)
    assert len(set(told[0])) == 60
    for number in range(30):
        assert told[0].index(f"b{number}/0 CREATED") < told[0].index(f"b{number}/1 CANCELLED")


async def test_a_sign_of_life_has_the_newest_token(
    caller: Caller, catalog: FakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    seldom = partial(booking_watch.serve_events, sign_seconds=0.6)
    monkeypatch.setattr(booking_watch, "serve_events", seldom)
    catalog.offer(caller.organization_id, "microphones", resource={"pool": True})
    async with following(caller) as watch:
        await watch.opened()
        opened = watch.token
        request = availability_pb2.SetCapacityRequest(
            organization_id=caller.organization_id,
            request_id=str(uuid.uuid4()),
            resource_id="microphones",
            units=6,
        )
        await caller.send("SetCapacity", request)

        sign = await watch.message(5)

        # What was passed over is not looked at again.
        assert not sign.HasField("event")
        assert sign.resume_token != opened
        assert (await watch.message(5)).resume_token == sign.resume_token


async def test_a_quiet_watch_says_within_five_seconds_that_it_lives(booker: Caller) -> None:
    async with following(booker) as watch:
        await watch.opened()

        assert not (await watch.message(5.0)).HasField("event")


@pytest.mark.parametrize("token", [b"x", b"x" * 40, b"x" * 5_000], ids=["short", "like", "long"])
async def test_a_token_of_nobody_is_refused(booker: Caller, token: bytes) -> None:
    async with following(booker, resume_token=token) as watch:
        refusal = await watch.refusal()

    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_RESUME_TOKEN",
    )


async def test_a_token_of_another_organization_is_refused(booker: Caller) -> None:
    async with following(booker.elsewhere()) as watch:
        await watch.opened()

    async with following(booker, resume_token=watch.token) as other:
        refusal = await other.refusal()

    assert refusal.reason == "INVALID_RESUME_TOKEN"


async def test_an_organization_must_be_named(caller: Caller) -> None:
    caller.organization_id = ""
    async with following(caller) as watch:
        refusal = await watch.refusal()

    assert (refusal.code, refusal.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        ["organization_id"],
    )


async def test_a_token_past_the_retention_has_expired_and_the_oldest_goes_on(
    booker: Caller, availability_url: str
) -> None:
    tokens = []
    events = await booked(booker, 4)
    async with following(booker, from_oldest=True) as watch:
        for _ in events:
            await watch.event()
            tokens.append(watch.token)
    rows(
        availability_url,
        "update outbox set created_at = now() - interval '169 hours'"
        " where organization_id = %s and feed <= 2",
        booker.organization_id,
    )
    async with opened(availability_url) as database:
        await purge_events(database)

    async with following(booker, resume_token=tokens[0]) as expired:
        refusal = await expired.refusal()
    async with following(booker, resume_token=tokens[1]) as good:
        assert await good.told(2) == events[2:]
    async with following(booker, from_oldest=True) as oldest:
        assert await oldest.told(2) == events[2:]

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.OUT_OF_RANGE, "TOKEN_EXPIRED")


async def test_a_token_of_what_the_store_has_lost_has_expired(
    booker: Caller, availability_url: str
) -> None:
    await booked(booker, 3)
    async with following(booker) as watch:
        await watch.opened()
    rows(
        availability_url,
        "update feeds set number = 2 where organization_id = %s",
        booker.organization_id,
    )

    async with following(booker, resume_token=watch.token) as ahead:
        refusal = await ahead.refusal()

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.OUT_OF_RANGE, "TOKEN_EXPIRED")


async def test_a_server_that_stops_says_so_and_another_goes_on(
    booker: Caller, serve: Serve, shared_catalog: tuple[FakeCatalog, str]
) -> None:
    events = await booked(booker, 2)
    async with serve(shared_catalog[1]) as other:
        other.organization_id = booker.organization_id
        watch = following(other, from_oldest=True)
        stream = await watch.__aenter__()
        assert await stream.told(2) == events
        ending = asyncio.create_task(stream.refusal())
        await asyncio.sleep(0)
    refusal = await ending
    later = await booked(booker, 2, first=2)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    async with following(booker, resume_token=stream.token) as resumed:
        assert await resumed.told(2) == later


async def test_what_another_server_commits_is_told_within_a_second(
    booker: Caller, serve: Serve, shared_catalog: tuple[FakeCatalog, str]
) -> None:
    async with serve(shared_catalog[1]) as other:
        other.organization_id = booker.organization_id
        async with following(other) as watch:
            await watch.opened()
            for number in range(3):
                await booked(booker, 1, first=number)
                async with asyncio.timeout(1):
                    assert await watch.told(1) == [f"b{number}/0 CREATED"]


async def test_what_changes_no_day_is_told_at_once(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id, requires_confirmation=True)
    for number in range(12):
        await caller.book(NINE + number * HOUR, booking_id=f"b{number}")
    async with following(caller) as watch:
        await watch.opened()
        began = asyncio.get_running_loop().time()
        for number in range(12):
            await change(caller, "ConfirmBooking", f"b{number}")
            assert await watch.told(1) == [f"b{number}/1 CONFIRMED"]
        took = asyncio.get_running_loop().time() - began

    # Looking every half second alone would take six.
    assert took < 3


async def test_a_database_that_restarts_ends_watches_and_keeps_their_tokens(
    serve: Serve, shared_catalog: tuple[FakeCatalog, str], booker: Caller, tmp_path: Path
) -> None:
    folder = tmp_path / "postgres"
    with EmbeddedPostgres.start(folder) as server:
        server.create_database("mortal")
        url = server.url("mortal")
        migrate(settings_for(url))
        running = serve(shared_catalog[1], postgres_url=url)
        caller = await running.__aenter__()
        caller.organization_id = booker.organization_id
        events = await booked(caller, 3)
        watch = following(caller, from_oldest=True)
        stream = await watch.__aenter__()
        assert await stream.told(2) == events[:2]
        token = stream.token
    refusal = await stream.refusal()

    with EmbeddedPostgres.start(folder):
        await _until_booked(caller, NINE + 3 * HOUR, "b3")
        async with following(caller, resume_token=token) as resumed:
            told = await resumed.told(2)
        await running.__aexit__(None, None, None)

    assert refusal.code is grpc.StatusCode.UNAVAILABLE
    assert told == ["b2/0 CREATED", "b3/0 CREATED"]


async def _until_booked(caller: Caller, start: datetime, booking_id: str) -> None:
    order = caller.order(start, booking_id=booking_id)
    async with asyncio.timeout(20):
        while True:
            try:
                await caller.send("CreateBooking", order)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017  # else no retry
                await asyncio.sleep(0.1)
            else:
                return
