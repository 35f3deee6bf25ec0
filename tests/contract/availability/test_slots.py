"""GetDaySlots and GetMonthAvailability: what they offer can be booked, and nothing else can."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import pytest

from holdfast.catalog.v1.event_type_pb2 import CLOSED_HOURS_POLICY_OPEN_AT_ENDS
from holdfast.catalog.v1.schedule_pb2 import DateOverride
from tests.contract.availability.world import (
    HOUR,
    NOW,
    Caller,
    FakeCatalog,
    civil,
    length,
    read_date,
    weekly,
    window,
)

MONDAY = date(2027, 3, 8)
QUARTER = timedelta(minutes=15)
OFFICE = {day: [(9 * 60, 12 * 60), (13 * 60, 17 * 60)] for day in range(1, 6)}


def utc(day: date, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


async def test_slots_step_within_each_window_of_the_schedules_zone(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id, schedule=weekly("Europe/Berlin", OFFICE))

    answer = await caller.send("GetDaySlots", caller.slots_request(MONDAY))

    starts = [slot.start_time.ToDatetime(UTC) for slot in answer.slots]
    assert starts == [utc(MONDAY, hour) for hour in (8, 9, 10, 12, 13, 14, 15)]
    assert answer.time_zone == "Europe/Berlin"
    assert {slot.units_free for slot in answer.slots} == {1}


async def test_a_date_that_is_closed_has_no_start_though_nothing_is_known_of_the_resource(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id, schedule=weekly("UTC", OFFICE))
    saturday = MONDAY + timedelta(days=5)

    assert await caller.starts(saturday) == []
    assert await caller.open_dates(saturday, saturday + timedelta(days=1)) == {
        saturday: False,
        saturday + timedelta(days=1): False,
    }


async def test_a_slot_says_what_it_would_occupy(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(
        caller.organization_id,
        buffer_before=length(2 * QUARTER),
        buffer_after=length(QUARTER),
        schedule=weekly("UTC", OFFICE),
    )

    answer = await caller.send("GetDaySlots", caller.slots_request(MONDAY))

    slot = answer.slots[0]
    assert slot.occupancy_start_time.ToDatetime(UTC) == utc(MONDAY, 8, 30)
    assert slot.occupancy_end_time.ToDatetime(UTC) == utc(MONDAY, 10, 15)


async def test_the_days_read_are_told_with_their_versions(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    await caller.book(utc(MONDAY, 9))

    answer = await caller.send("GetDaySlots", caller.slots_request(MONDAY, time_zone="Asia/Tokyo"))

    assert [(read_date(day.date), day.resource_id, day.version) for day in answer.day_versions] == [
        (MONDAY - timedelta(days=1), "studio-a", 0),
        (MONDAY, "studio-a", 1),
    ]


async def test_a_taken_start_and_those_that_would_overlap_it_are_not_offered(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(
        caller.organization_id,
        schedule=weekly("UTC", OFFICE),
        slot_interval=length(2 * QUARTER),
    )
    await caller.book(utc(MONDAY, 10))

    starts = await caller.starts(MONDAY)

    assert starts[:4] == [utc(MONDAY, 9), utc(MONDAY, 11), utc(MONDAY, 13), utc(MONDAY, 13, 30)]


async def test_a_viewers_zone_chooses_among_the_same_starts(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id, schedule=weekly("Europe/Berlin", OFFICE))

    monday = await caller.starts(MONDAY, time_zone="Pacific/Auckland")
    tuesday = await caller.starts(MONDAY + timedelta(days=1), time_zone="Pacific/Auckland")

    assert monday == [utc(MONDAY, hour) for hour in (8, 9, 10)]
    assert tuesday[:4] == [utc(MONDAY, hour) for hour in (12, 13, 14, 15)]


async def test_a_locked_zone_wins_over_the_viewers(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id, time_zone_lock="America/New_York")

    request = caller.slots_request(MONDAY, time_zone="Asia/Tokyo")
    answer = await caller.send("GetDaySlots", request)

    assert answer.time_zone == "America/New_York"
    assert answer.slots[0].start_time.ToDatetime(UTC) == utc(MONDAY, 5)


async def test_a_date_override_replaces_the_hours_of_its_date(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(
        caller.organization_id,
        schedule=weekly("UTC", OFFICE),
        overrides=[
            DateOverride(date=civil(MONDAY), windows=[window(20 * 60, 22 * 60)]),
            DateOverride(date=civil(MONDAY + timedelta(days=1)), unavailable=True),
        ],
    )

    assert await caller.starts(MONDAY) == [utc(MONDAY, 20), utc(MONDAY, 21)]
    assert await caller.starts(MONDAY + timedelta(days=1)) == []


async def test_without_any_schedule_it_is_open_from_nine_to_five_where_the_resource_is(
    caller: Caller, catalog: FakeCatalog
) -> None:
    offering = catalog.offer(caller.organization_id, resource={"time_zone": "Asia/Kathmandu"})
    offering.ClearField("schedule")

    starts = await caller.starts(MONDAY)

    assert starts[0] == utc(MONDAY, 3, 15)
    assert len(starts) == 8


@pytest.mark.parametrize("what", ["resource", "event type"])
async def test_nothing_inactive_has_a_start(
    caller: Caller, catalog: FakeCatalog, what: str
) -> None:
    facts: dict[str, Any] = {"active": False}
    if what == "resource":
        facts = {"resource": facts}
    catalog.offer(caller.organization_id, **facts)

    assert await caller.starts(MONDAY) == []
    assert await caller.open_dates(MONDAY, MONDAY) == {MONDAY: False}


@pytest.mark.parametrize("method", ["GetDaySlots", "GetMonthAvailability"])
async def test_an_unlinked_pair_is_refused(
    caller: Caller, catalog: FakeCatalog, method: str
) -> None:
    catalog.offer(caller.organization_id, linked=False)
    request: Any = caller.slots_request(MONDAY)
    if method == "GetMonthAvailability":
        request = caller.month_request(MONDAY, MONDAY)

    refusal = await caller.refusal_of(method, request)

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "NOT_LINKED"


async def test_a_length_that_is_not_offered_is_refused_with_those_that_are(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id, duration_options=[length(HOUR), length(2 * HOUR)])

    refusal = await caller.refusal_of("GetDaySlots", caller.slots_request(MONDAY, 3 * HOUR))

    assert refusal.reason == "DURATION_NOT_OFFERED"
    assert refusal.metadata == {"offered": "60m, 120m"}


async def test_an_unknown_pair_is_not_found(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id)

    resource = await caller.refusal_of(
        "GetDaySlots", caller.slots_request(MONDAY, resource_id="nothing")
    )
    event_type = await caller.refusal_of(
        "GetDaySlots", caller.slots_request(MONDAY, event_type_id="nothing")
    )

    assert (resource.code, resource.metadata) == (
        grpc.StatusCode.NOT_FOUND,
        {"kind": "resource", "id": "nothing"},
    )
    assert event_type.metadata == {"kind": "event_type", "id": "nothing"}


async def test_notice_and_horizon_bound_the_starts_both_inclusive(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id, minimum_notice=length(2 * HOUR), horizon=length(5 * HOUR))

    starts = await caller.starts(NOW.date())

    assert starts == [NOW + hours * HOUR for hours in (2, 3, 4, 5)]


RULES = {
    "hours over a lunch break": {
        "schedule": weekly("Europe/Berlin", OFFICE),
        "duration_options": [length(HOUR), length(3 * HOUR)],
        "slot_interval": length(2 * QUARTER),
    },
    "buffers and odd lengths": {
        "schedule": weekly("America/New_York", OFFICE),
        "duration_options": [length(timedelta(minutes=50)), length(HOUR)],
        "buffer_before": length(QUARTER),
        "buffer_after": length(timedelta(minutes=10)),
    },
    "a rental over closed nights": {
        "schedule": weekly("Pacific/Chatham", OFFICE),
        "duration_options": [length(HOUR), length(24 * HOUR)],
        "slot_interval": length(HOUR),
        "closed_hours_policy": CLOSED_HOURS_POLICY_OPEN_AT_ENDS,
    },
    "windows over midnight": {
        "schedule": weekly(
            "Australia/Lord_Howe", {day: [(0, 120), (1380, 1440)] for day in range(1, 8)}
        ),
        "slot_interval": length(2 * QUARTER),
    },
    "notice and horizon": {
        "minimum_notice": length(timedelta(days=7, hours=3)),
        "horizon": length(timedelta(days=7, hours=20)),
    },
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
async def test_every_start_offered_can_be_booked_and_no_other(
    caller: Caller, catalog: FakeCatalog, rules: dict[str, Any]
) -> None:
    catalog.offer(caller.organization_id, **rules)
    await caller.book((await caller.starts(MONDAY))[1])
    offered = [
        start
        for offset in (-1, 0, 1)
        for start in await caller.starts(MONDAY + timedelta(days=offset))
    ]
    quarters = [utc(MONDAY) + index * QUARTER for index in range(96)]

    for start in quarters:
        if start not in offered:
            refusal = await caller.refused_book(start)
            assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    bookable = [start for start in quarters if start in offered]
    for start in bookable:
        booking = await caller.book(start)
        await caller.cancel(booking.booking_id)

    assert bookable
    assert (await caller.verification()).difference_count == 0


@pytest.mark.parametrize("zone", ["", "Pacific/Kiritimati", "America/St_Johns"])
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
async def test_month_and_day_agree(
    caller: Caller, catalog: FakeCatalog, rules: dict[str, Any], zone: str
) -> None:
    catalog.offer(caller.organization_id, **rules)
    first, last = date(2027, 3, 1), date(2027, 4, 4)
    for start in (await caller.starts(MONDAY))[::2]:
        await caller.book(start)

    month = await caller.open_dates(first, last, time_zone=zone)

    days = {
        day: bool(await caller.starts(day, time_zone=zone))
        for day in (first + timedelta(days=index) for index in range(35))
    }
    assert month == days
    assert any(month.values())


async def test_a_month_answers_each_date_of_its_zone(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id, schedule=weekly("Asia/Tokyo", OFFICE))
    last = MONDAY + timedelta(days=92)

    answer = await caller.send("GetMonthAvailability", caller.month_request(MONDAY, last))

    assert [read_date(entry.date) for entry in answer.dates] == [
        MONDAY + timedelta(days=index) for index in range(93)
    ]
    assert answer.time_zone == "Asia/Tokyo"
    assert [entry.available for entry in answer.dates[:7]] == [True] * 5 + [False] * 2


ZONES = (
    "Africa/Casablanca", "America/Anchorage", "America/Caracas", "America/New_York",
    "America/Santiago", "America/St_Johns", "Antarctica/Troll", "Asia/Gaza", "Asia/Kathmandu",
    "Asia/Tehran", "Asia/Tokyo", "Australia/Adelaide", "Australia/Lord_Howe", "Europe/Berlin",
    "Europe/Dublin", "Pacific/Apia", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
)  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
async def test_month_and_day_agree_on_every_day_of_a_year(
    caller: Caller, catalog: FakeCatalog, zone: str
) -> None:
    catalog.offer(
        caller.organization_id,
        schedule=weekly(zone, {1: [(0, 180)], 2: [(1320, 1440)], 3: [(0, 120)], 7: [(60, 240)]}),
        duration_options=[length(2 * HOUR), length(3 * HOUR)],
        slot_interval=length(2 * QUARTER),
        buffer_before=length(QUARTER),
    )
    year = [date(2027, 3, 2) + timedelta(days=index) for index in range(365)]
    for day in year[::29]:
        for start in (await caller.starts(day, 2 * HOUR))[:1]:
            await caller.book(start, 2 * HOUR)

    months: dict[date, bool] = {}
    for first in range(0, 365, 93):
        last = min(first + 92, 364)
        months |= await caller.open_dates(year[first], year[last], 2 * HOUR)
    found = await asyncio.gather(*(caller.starts(day, 2 * HOUR) for day in year))

    assert months == {day: bool(starts) for day, starts in zip(year, found, strict=True)}
    assert set(months.values()) == {True, False}
