"""What ends by itself: carts that nobody confirms, wishes that nobody decides about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest

from holdfast.availability.v1 import booking_event_pb2
from tests.contract.availability.conftest import Serve
from tests.contract.availability.engine import (
    MONDAY,
    NINE,
    clean,
    got,
    listed,
    move,
    moving,
    request,
    state_of,
    timed,
    told,
)
from tests.contract.availability.events import change, following, short
from tests.contract.availability.world import (
    HOUR,
    NOW,
    Caller,
    FakeCatalog,
    length,
    read_refusal,
)
from tests.integration.availability.database import rows

MINUTE = timedelta(minutes=1)
A_MICROSECOND = timedelta(microseconds=1)


@asynccontextmanager
async def locked(url: str, caller: Caller, booking_id: str) -> AsyncIterator[None]:
    """Keeps the server from ending a booking, as long as the block lasts."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(
            "select 1 from bookings where organization_id = %s and booking_id = %s for update",
            (caller.organization_id, booking_id),
        )
        yield
        await connection.rollback()


DUE: dict[str, tuple[datetime, dict[str, Any]]] = {
    "EXPIRED": (NOW + 2 * MINUTE, {"provisional_duration": length(2 * MINUTE)}),
    "DECLINED": (NINE, {"event_type_id": "asked"}),
}


@pytest.mark.parametrize("ends", DUE)
async def test_what_ends_by_itself_has_ended_for_everybody_before_the_store_says_so(
    caller: Caller,
    catalog: FakeCatalog,
    shared_catalog: tuple[FakeCatalog, str],
    availability_url: str,
    ends: str,
) -> None:
    due, fields = DUE[ends]
    catalog.offer(caller.organization_id)
    catalog.offer(caller.organization_id, event_type_id="asked", requires_confirmation=True)
    booked = await caller.book(NINE, booking_id="b", **fields)
    own = caller.organization_id
    async with timed(availability_url, shared_catalog[1], own, due - A_MICROSECOND) as (one, clock):
        before = (await got(one, "b")).booking
        async with locked(availability_url, caller, "b"):
            clock.set(due)
            seen = (await got(one, "b")).booking
            (row,) = await listed(one, resource_id="studio-a")
            kept = rows(
                availability_url, "select state from bookings where organization_id = %s", own
            )
        refusals = [
            await one.refusal_of(method, request(one, method, booking_id="b"))
            for method in ("ConfirmBooking", "DeclineBooking", "CancelBooking", "CompleteBooking")
        ]
        refusals.append(
            await one.refusal_of("RescheduleBooking", moving(one, "b", NINE + timedelta(days=1)))
        )

    assert before == booked
    assert [state_of(seen), state_of(row)] == [ends, ends]
    assert kept == [(booked.state,)]
    assert {(refusal.reason, refusal.metadata["state"]) for refusal in refusals} == {
        ("INVALID_STATE", ends)
    }


async def test_a_microsecond_before_its_time_is_up_a_booking_can_be_confirmed(
    caller: Caller, catalog: FakeCatalog, serve: Serve, shared_catalog: tuple[FakeCatalog, str]
) -> None:
    catalog.offer(caller.organization_id)
    booking = await caller.book(NINE, booking_id="b", provisional_duration=length(MINUTE))
    assert booking.expire_time.ToDatetime(NOW.tzinfo) == NOW + MINUTE

    async with serve(shared_catalog[1], present=NOW + MINUTE - A_MICROSECOND) as late:
        confirmed = await change(as_of(late, caller), "ConfirmBooking", "b")

    assert state_of(confirmed) == "CONFIRMED"


def as_of(server: Caller, caller: Caller) -> Caller:
    """The caller, at another server."""
    return Caller(server.channel, caller.organization_id)


async def test_what_is_due_is_ended_by_the_server_within_a_second(
    caller: Caller,
    catalog: FakeCatalog,
    shared_catalog: tuple[FakeCatalog, str],
    availability_url: str,
) -> None:
    organization_id = caller.organization_id
    catalog.offer(organization_id)
    catalog.offer(organization_id, event_type_id="asked", requires_confirmation=True)
    seconds = []
    async with timed(availability_url, shared_catalog[1], organization_id) as (one, clock):
        for number in range(3):
            start = NOW + (number + 1) * timedelta(days=1)
            cart, wish = f"cart-{number}", f"wish-{number}"
            async with following(one) as watch:
                await watch.opened()
                await one.book(
                    start + 2 * HOUR,
                    booking_id=cart,
                    provisional_duration=length(start - clock.now()),
                )
                await one.book(start, booking_id=wish, event_type_id="asked")
                assert await watch.told(2) == [f"{cart}/0 CREATED", f"{wish}/0 CREATED"]
                clock.set(start)
                begin = time.monotonic()
                ended = [await watch.event() for _ in range(2)]
                seconds.append(time.monotonic() - begin)
            assert {short(event) for event in ended} == {f"{cart}/1 EXPIRED", f"{wish}/1 DECLINED"}
            assert {event.event.actor_id for event in ended} == {"server"}
            for event in ended:
                assert event.event.event_time.ToDatetime(NOW.tzinfo) == start
                assert told((await got(one, event.event.booking_id)).history)[-1][2] == "server"
            assert await one.busy(start.date(), start.date()) == {start.date(): []}
        await clean(one)
    # The machine's other business may take the worst of them.
    assert sorted(seconds)[1] <= 1.0, seconds


async def test_a_pending_booking_that_is_moved_is_due_at_its_new_start(
    caller: Caller, catalog: FakeCatalog, serve: Serve, shared_catalog: tuple[FakeCatalog, str]
) -> None:
    catalog.offer(caller.organization_id, requires_confirmation=True)
    await caller.book(NINE, booking_id="b")
    await move(caller, "b", NINE + 2 * HOUR)

    async def state_at(present: datetime) -> str:
        async with serve(shared_catalog[1], present=present) as server:
            return state_of((await got(as_of(server, caller), "b")).booking)

    assert await state_at(NINE + HOUR) == "PENDING"
    assert await state_at(NINE + 2 * HOUR) == "DECLINED"


async def test_a_provisional_booking_that_is_moved_keeps_its_time_to_live(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    booking = await caller.book(NINE, booking_id="b", provisional_duration=length(MINUTE))

    moved = await move(caller, "b", NINE + HOUR)

    assert moved.expire_time == booking.expire_time


@pytest.mark.parametrize(
    ("seconds", "is_allowed"), [(59, False), (60, True), (86_400, True), (86_401, False)]
)
async def test_a_time_to_live_is_a_minute_to_a_day(
    caller: Caller, catalog: FakeCatalog, seconds: int, *, is_allowed: bool
) -> None:
    catalog.offer(caller.organization_id)
    order = caller.order(NINE, provisional_duration=length(timedelta(seconds=seconds)))

    if is_allowed:
        answer = await caller.send("CreateBooking", order)
        assert answer.booking.state == booking_event_pb2.BOOKING_STATE_PROVISIONAL
    else:
        refusal = await caller.refusal_of("CreateBooking", order)
        assert refusal.fields == ["provisional_duration"]


async def test_confirming_at_the_last_moment_is_done_or_too_late_for_good(
    caller: Caller,
    catalog: FakeCatalog,
    shared_catalog: tuple[FakeCatalog, str],
    availability_url: str,
) -> None:
    catalog.offer(caller.organization_id)
    due = NOW + MINUTE
    names = [f"b{hour:02}" for hour in range(24)]
    async with timed(availability_url, shared_catalog[1], caller.organization_id) as (one, clock):
        for hour, name in enumerate(names):
            await one.book(
                datetime(2027, 3, 8, hour, tzinfo=UTC),
                booking_id=name,
                provisional_duration=length(MINUTE),
            )

        async def confirmed(name: str) -> str:
            try:
                return state_of(await change(one, "ConfirmBooking", name))
            except grpc.aio.AioRpcError as error:
                refusal = read_refusal(error)
                return f"{refusal.reason} {refusal.metadata['state']}"

        first = [asyncio.create_task(confirmed(name)) for name in names[:12]]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        clock.set(due)
        told_ = await asyncio.gather(*first, *(confirmed(name) for name in names[12:]))
        async with asyncio.timeout(10):
            while await listed(one, state=4):  # noqa: ASYNC110  # the sweep tells nobody
                await asyncio.sleep(0.05)
        ends = [state_of((await got(one, name)).booking) for name in names]
        busy = (await one.busy(MONDAY, MONDAY))[MONDAY]
        await clean(one)

    assert set(told_[12:]) == {"INVALID_STATE EXPIRED"}
    assert set(told_) == {"CONFIRMED", "INVALID_STATE EXPIRED"}
    assert ends == [word.rsplit(maxsplit=1)[-1] for word in told_]
    assert busy == [quantum for quantum in range(96) if ends[quantum // 4] == "CONFIRMED"]


async def test_a_booking_that_is_stuck_keeps_no_other_from_ending(
    caller: Caller,
    catalog: FakeCatalog,
    shared_catalog: tuple[FakeCatalog, str],
    availability_url: str,
) -> None:
    other = caller.elsewhere()
    due, fields = DUE["EXPIRED"]
    for one in (caller, other):
        catalog.offer(one.organization_id)
        await one.book(NINE, booking_id="b", **fields)

    async with locked(availability_url, caller, "b"):
        own = other.organization_id
        async with timed(availability_url, shared_catalog[1], own, due) as (server, _):
            begun = time.monotonic()
            while len((await got(server, "b")).history) == 1:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.02)
            took = time.monotonic() - begun

    # A second is promised, on a machine that does nothing else.
    assert took < 3
