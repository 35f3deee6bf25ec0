"""Answers of GetDaySlots are encoded once for as long as they stay as they are, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import pytest

from holdfast.availability.v1.availability_pb2 import GetDaySlotsRequest
from tests.clock import ManualClock
from tests.contract.availability.conftest import Serve
from tests.contract.availability.engine import MONDAY, NINE, QUARTER, size, timed
from tests.contract.availability.holding import counts, free_port, gauge
from tests.contract.availability.world import HOUR, NOW, Caller, FakeCatalog, length, weekly

TODAY = NOW.date()
METHOD = "/holdfast.availability.v1.AvailabilityService/GetDaySlots"
# A field that no version of the contract has: it makes a question longer, and not another.
UNKNOWN_FIELD = b"\xfa\x7f"
HALF_DAYS = {day: [(8 * 60, 12 * 60)] for day in range(1, 8)}


@dataclass
class Desk:
    """A server whose answers are counted, and one organization's catalog."""

    caller: Caller
    catalog: FakeCatalog
    clock: ManualClock
    metrics_port: int

    def offer(self, resource_id: str = "studio-a", **rules: Any) -> None:
        given = {"slot_interval": length(QUARTER)} | rules
        self.catalog.offer(self.caller.organization_id, resource_id, **given)

    async def starts(self, day: date = MONDAY, **fields: Any) -> list[datetime]:
        return await self.caller.starts(day, **fields)

    async def remembered(self) -> int:
        found = await counts(self.metrics_port, "holdfast_day_slot_answers")
        return int(found.get("remembered", 0))

    async def bytes_kept(self) -> float:
        return await gauge(self.metrics_port, "holdfast_day_slot_answer_bytes")


OpenDesk = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture
def open_desk(
    availability_url: str, shared_catalog: tuple[FakeCatalog, str], caller: Caller
) -> OpenDesk:
    """``open_desk(**settings)``: a desk at which studio-a is offered."""

    @asynccontextmanager
    async def opened(**changes: Any) -> AsyncIterator[Desk]:
        catalog, address = shared_catalog
        port = free_port()
        changes["metrics_listen"] = f"127.0.0.1:{port}"
        async with timed(availability_url, address, caller.organization_id, **changes) as (
            here,
            clock,
        ):
            desk = Desk(here, catalog, clock, port)
            desk.offer()
            yield desk

    return opened


@pytest.fixture
async def desk(open_desk: OpenDesk) -> AsyncIterator[Desk]:
    async with open_desk() as desk:
        yield desk


async def test_the_same_question_gets_the_same_answer_out_of_memory(desk: Desk) -> None:
    request = desk.caller.slots_request(MONDAY)
    first = await desk.caller.send("GetDaySlots", request)

    again = [await desk.caller.send("GetDaySlots", request) for _ in range(3)]

    assert again == [first] * 3
    assert await desk.remembered() == 3


async def test_a_booking_and_its_end_change_the_answer_at_once(desk: Desk) -> None:
    before = await desk.starts()

    booked = await desk.caller.book(NINE)
    during = await desk.starts()
    await desk.caller.cancel(booked.booking_id)
    after = await desk.starts()

    gone = {NINE + offset * QUARTER for offset in range(-3, 4)}
    assert set(before) - set(during) == gone
    assert after == before


async def test_the_versions_of_days_are_the_newest_though_the_starts_are_the_same(
    desk: Desk,
) -> None:
    request = desk.caller.slots_request(MONDAY)
    before = await desk.caller.send("GetDaySlots", request)

    booked = await desk.caller.book(NINE)
    await desk.caller.cancel(booked.booking_id)
    after = await desk.caller.send("GetDaySlots", request)

    assert after.slots == before.slots
    assert [day.version for day in after.day_versions] > [
        day.version for day in before.day_versions
    ]


async def test_a_booking_of_another_day_leaves_it_in_memory(desk: Desk) -> None:
    before = await desk.starts()

    await desk.caller.book(NINE + timedelta(days=3))

    assert await desk.starts() == before
    assert await desk.remembered() == 1


async def test_a_booking_at_another_server_changes_the_answer_too(
    desk: Desk, serve: Serve, shared_catalog: tuple[FakeCatalog, str]
) -> None:
    await desk.starts()
    assert NINE in await desk.starts()
    remembered = await desk.remembered()
    async with serve(shared_catalog[1]) as other:
        other.organization_id = desk.caller.organization_id
        await other.book(NINE)

    async with asyncio.timeout(10):
        while NINE in await desk.starts():  # noqa: ASYNC110  # a fact of another side
            await asyncio.sleep(0.01)
    assert remembered == 1


@pytest.mark.parametrize(
    "rules",
    [
        {"buffer_after": length(HOUR)},
        {"slot_interval": length(4 * HOUR)},
        {"schedule": weekly("UTC", HALF_DAYS)},
        {"minimum_notice": length(timedelta(days=30))},
        {"time_zone_lock": "Pacific/Kiritimati"},
    ],
    ids=["buffers", "interval", "hours", "notice", "zone"],
)
async def test_what_the_catalog_changes_changes_the_answer(
    desk: Desk, rules: dict[str, Any]
) -> None:
    # With a booking, beside which buffers are seen.
    await desk.caller.book(NINE)
    before = await desk.starts()

    desk.offer(**rules)
    changed = await desk.starts()
    desk.offer()

    assert changed != before
    assert await desk.starts() == before


async def test_the_same_starts_with_other_buffers_are_another_answer(desk: Desk) -> None:
    request = desk.caller.slots_request(MONDAY)
    before = await desk.caller.send("GetDaySlots", request)

    desk.offer(buffer_after=length(HOUR))
    after = await desk.caller.send("GetDaySlots", request)

    assert [slot.start_time for slot in after.slots] == [slot.start_time for slot in before.slots]
    ends = [
        slot.occupancy_end_time.ToDatetime() - slot.start_time.ToDatetime() for slot in after.slots
    ]
    assert set(ends) == {2 * HOUR}


async def test_what_is_withdrawn_is_refused_though_it_was_answered(desk: Desk) -> None:
    before = await desk.starts()
    question = desk.caller.slots_request(MONDAY)

    desk.offer(linked=False)
    refusal = await desk.caller.refusal_of("GetDaySlots", question)
    desk.offer(resource={"active": False})
    inactive = await desk.starts()
    desk.offer(duration_options=[length(2 * HOUR)])
    too_short = await desk.caller.refusal_of("GetDaySlots", question)
    desk.offer()

    assert (refusal.reason, too_short.reason) == ("NOT_LINKED", "DURATION_NOT_OFFERED")
    assert inactive == []
    assert await desk.starts() == before


async def test_time_takes_starts_away_and_brings_them(desk: Desk) -> None:
    desk.offer(minimum_notice=length(HOUR), horizon=length(timedelta(days=1)))
    tomorrow = TODAY + timedelta(days=1)
    before = {day: await desk.starts(day) for day in (TODAY, tomorrow)}

    desk.clock.advance(QUARTER - timedelta(microseconds=1))
    soon = await desk.starts(TODAY)
    desk.clock.advance(timedelta(microseconds=1))
    later = {day: await desk.starts(day) for day in (TODAY, tomorrow)}
    desk.clock.set(NOW)

    assert soon == before[TODAY][1:]
    assert later[TODAY] == before[TODAY][1:]
    assert later[tomorrow] == [*before[tomorrow], NOW + timedelta(days=1) + QUARTER]
    assert {day: await desk.starts(day) for day in (TODAY, tomorrow)} == before


async def test_time_that_changes_no_start_leaves_the_answer_in_memory(desk: Desk) -> None:
    desk.offer(minimum_notice=length(HOUR), horizon=length(timedelta(days=30)))
    before = await desk.starts()

    desk.clock.advance(3 * HOUR)

    assert await desk.starts() == before
    assert await desk.remembered() == 1


async def test_another_viewer_length_or_number_of_units_is_another_question(desk: Desk) -> None:
    desk.offer(duration_options=[length(HOUR), length(2 * HOUR)])
    (midnight, *_) = await desk.starts()

    elsewhere = await desk.starts(time_zone="Asia/Tokyo")
    longer = await desk.caller.send("GetDaySlots", desk.caller.slots_request(MONDAY, 2 * HOUR))
    two = await desk.starts(units=2)

    assert elsewhere[0] == midnight - 9 * HOUR
    assert longer.slots[0].occupancy_end_time.ToDatetime(UTC) == midnight + 2 * HOUR
    assert two == []
    assert await desk.remembered() == 0


async def test_the_same_question_of_another_organization_is_not_answered_by_it(desk: Desk) -> None:
    await desk.starts()
    stranger = desk.caller.elsewhere()

    refusal = await stranger.refusal_of("GetDaySlots", stranger.slots_request(MONDAY))

    assert refusal.reason == "NOT_FOUND"


async def test_units_that_are_free_change_the_answer(desk: Desk) -> None:
    desk.offer("bikes", resource={"pool": True})
    pool = desk.caller.slots_request(MONDAY, resource_id="bikes")
    units = []
    for count in (2, 5, 5):
        await size(desk.caller, "bikes", count)
        answer = await desk.caller.send("GetDaySlots", pool)
        units.append({slot.units_free for slot in answer.slots})

    assert units == [{2}, {5}, {5}]
    assert await desk.remembered() == 1


async def test_a_booking_to_be_moved_is_free_to_itself_while_it_is_there(desk: Desk) -> None:
    booked = await desk.caller.book(NINE)
    moving = booked.booking_id

    during = [await desk.starts(exclude_booking_id=moving) for _ in range(2)]
    await desk.caller.cancel(moving)
    await desk.caller.book(NINE)
    taken = await desk.starts(exclude_booking_id=moving)

    assert NINE in during[0]
    assert during[0] == during[1]
    assert NINE not in taken


async def test_what_cannot_be_read_is_refused(desk: Desk) -> None:
    call: Any = desk.caller.channel.unary_unary(METHOD)

    with pytest.raises(grpc.aio.AioRpcError, match="not a message of this method") as caught:
        await call(b"\xff\xff\xff")

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_questions_that_are_long_for_no_reason_are_not_kept(desk: Desk) -> None:
    raw = desk.caller.slots_request(MONDAY).SerializeToString()
    padding = 20_000
    padded = raw + UNKNOWN_FIELD + b"\xa0\x9c\x01" + bytes(padding)
    assert GetDaySlotsRequest.FromString(padded).resource_id == "studio-a"
    call: Any = desk.caller.channel.unary_unary(METHOD)

    answers = {await call(padded) for _ in range(2)} | {await call(raw)}

    assert len(answers) == 1
    assert await desk.remembered() == 0
    assert 0 < await desk.bytes_kept() < padding


async def test_no_more_is_kept_than_is_allowed(open_desk: OpenDesk) -> None:
    async with open_desk(answer_megabytes=0.015) as desk:
        await desk.starts(MONDAY)
        for offset in range(1, 30):
            await desk.starts(MONDAY + timedelta(days=offset))
            await desk.starts(MONDAY)
        kept, remembered = await desk.bytes_kept(), await desk.remembered()
        await desk.starts(MONDAY + timedelta(days=1))

        # Who is asked for stays, and who was asked for long ago goes.
        assert 7_000 < kept <= 15_000
        assert remembered == 29
        assert await desk.remembered() == remembered


async def test_many_at_once_with_hardly_any_memory_are_all_answered(open_desk: OpenDesk) -> None:
    async with open_desk(answer_megabytes=0.01) as desk:
        days = [MONDAY + timedelta(days=number % 7) for number in range(200)]

        answers = await asyncio.gather(*map(desk.starts, days))

        told = [{start.date() for start in found} for found in answers]
        assert told == [{day} for day in days]


async def test_none_is_kept_where_there_is_no_memory_for_it(open_desk: OpenDesk) -> None:
    async with open_desk(answer_megabytes=0) as desk:
        first, again = await desk.starts(), await desk.starts()

        assert first == again
        assert (await desk.remembered(), await desk.bytes_kept()) == (0, 0)
