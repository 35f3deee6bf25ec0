"""Opening hours as instants, and whose schedule decides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from tests.contract.catalog.caller import Caller, date, override, weekday, window

MONDAY = {"first_date": date(2027, 3, 8), "last_date": date(2027, 3, 8)}


def utc(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2027, 3, day, hour, minute, tzinfo=UTC)


async def hours(caller: Caller, **fields: Any) -> list[tuple[datetime, datetime]]:
    answer = await caller.ask("GetEffectiveHours", **(MONDAY | fields))
    return [(one.start_time.ToDatetime(UTC), one.end_time.ToDatetime(UTC)) for one in answer.open]


async def test_hours_are_instants_in_the_schedules_zone(catalog: Caller) -> None:
    await catalog.schedule("hours")

    answer = await catalog.ask("GetEffectiveHours", schedule_id="hours", **MONDAY)

    assert answer.time_zone == "Europe/Berlin"
    assert await hours(catalog, schedule_id="hours") == [(utc(8, 8), utc(8, 16))]


async def test_neighbours_that_touch_are_one_across_midnight(catalog: Caller) -> None:
    around = [weekday(1, 1320, 1440), weekday(2, 0, 120), weekday(2, 120, 240)]
    await catalog.schedule("night", time_zone="UTC", windows=around)

    found = await hours(catalog, schedule_id="night", last_date=date(2027, 3, 9))

    assert found == [(utc(8, 22), utc(9, 4))]


async def test_an_override_takes_the_place_of_its_weekday(catalog: Caller) -> None:
    await catalog.schedule("hours", time_zone="UTC")
    custom = override(2027, 3, 8, window(60, 90))
    await catalog.ask("SetDateOverride", schedule_id="hours", date_override=custom)
    await catalog.ask("SetDateOverride", schedule_id="hours", date_override=override(2027, 3, 15))

    found = await hours(catalog, schedule_id="hours", last_date=date(2027, 3, 22))

    assert found == [(utc(8, 1), utc(8, 1, 30)), (utc(22, 9), utc(22, 17))]


async def test_a_date_that_the_clocks_shorten_has_fewer_hours(catalog: Caller) -> None:
    await catalog.schedule("always", windows=[weekday(7, 0, 1440)])
    day = date(2027, 3, 28)

    ((start, end),) = await hours(catalog, schedule_id="always", first_date=day, last_date=day)

    assert (end - start).total_seconds() == 23 * 3600


async def test_without_any_schedule_a_resource_is_open_nine_to_five(catalog: Caller) -> None:
    await catalog.resource("studio-a", time_zone="Asia/Kathmandu")

    answer = await catalog.ask("GetEffectiveHours", resource_id="studio-a", **MONDAY)

    assert answer.time_zone == "Asia/Kathmandu"
    assert await hours(catalog, resource_id="studio-a") == [(utc(8, 3, 15), utc(8, 11, 15))]


@pytest.mark.parametrize(
    ("own", "event_types", "expected"),
    [
        pytest.param("", "", "default", id="the organization's, where nobody names one"),
        pytest.param("own", "", "own", id="the resource's before the default"),
        pytest.param("own", "theirs", "theirs", id="the event type's before the resource's"),
        pytest.param("", "theirs", "theirs", id="the event type's before the default"),
    ],
)
async def test_the_first_schedule_that_is_named_decides(
    catalog: Caller, own: str, event_types: str, expected: str
) -> None:
    opening = {"default": 1, "own": 2, "theirs": 3}
    for name, hour in opening.items():
        windows = [weekday(1, 60 * hour, 1440)]
        is_default = name == "default"
        await catalog.schedule(name, time_zone="UTC", windows=windows, is_default=is_default)
    await catalog.resource("studio-a", schedule_id=own)
    await catalog.event_type("one-hour", schedule_id=event_types)

    found = await hours(catalog, resource_id="studio-a", event_type_id="one-hour")

    assert found == [(utc(8, opening[expected]), utc(9, 0))]


async def test_an_event_types_schedule_does_not_count_without_it(catalog: Caller) -> None:
    await catalog.schedule("theirs", time_zone="UTC", windows=[])
    await catalog.resource("studio-a", time_zone="UTC")
    await catalog.event_type("one-hour", schedule_id="theirs")

    assert await hours(catalog, resource_id="studio-a") == [(utc(8, 9), utc(8, 17))]
    assert await hours(catalog, resource_id="studio-a", event_type_id="one-hour") == []


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"schedule_id": "none"}, {"kind": "schedule", "id": "none"}),
        ({"resource_id": "none"}, {"kind": "resource", "id": "none"}),
        (
            {"resource_id": "studio-a", "event_type_id": "none"},
            {"kind": "event_type", "id": "none"},
        ),
        (
            {"resource_id": "studio-a", "event_type_id": "deleted"},
            {"kind": "event_type", "id": "deleted"},
        ),
    ],
)
async def test_hours_of_what_does_not_exist_are_not_found(
    catalog: Caller, fields: dict[str, str], missing: dict[str, str]
) -> None:
    await catalog.resource("studio-a")
    await catalog.event_type("deleted")
    await catalog.ask("DeleteEventType", event_type_id="deleted")

    refusal = await catalog.refusal("GetEffectiveHours", **(MONDAY | fields))

    assert (refusal.code, refusal.metadata) == (grpc.StatusCode.NOT_FOUND, missing)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, "schedule_id"),
        ({"schedule_id": "a", "resource_id": "a"}, "schedule_id"),
        ({"schedule_id": "a", "event_type_id": "a"}, "event_type_id"),
        ({"schedule_id": "a", "last_date": date(2027, 3, 7)}, "last_date"),
        ({"schedule_id": "a", "last_date": date(2027, 6, 9)}, "last_date"),
    ],
    ids=["neither", "both", "event type of a schedule", "reversed dates", "94 dates"],
)
async def test_hours_of_the_wrong_question_are_refused(
    catalog: Caller, fields: dict[str, Any], wrong: str
) -> None:
    refusal = await catalog.refusal("GetEffectiveHours", **(MONDAY | fields))

    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", [wrong])


async def test_93_dates_are_answered(catalog: Caller) -> None:
    await catalog.schedule("hours", time_zone="UTC")

    found = await hours(catalog, schedule_id="hours", last_date=date(2027, 6, 8))

    assert len(found) == 14


@pytest.mark.parametrize("year_month_day", [(1970, 1, 2), (9998, 12, 30)])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Niue"])
async def test_the_first_and_the_last_dates_have_hours(
    catalog: Caller, year_month_day: tuple[int, int, int], zone: str
) -> None:
    day = date(*year_month_day)
    await catalog.resource("studio-a", time_zone=zone)

    assert len(await hours(catalog, resource_id="studio-a", first_date=day, last_date=day)) == 1
