"""Bad input of every kind: the right refusal, and nothing written."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.type.timeofday_pb2 import TimeOfDay

from holdfast.catalog.v1.schedule_pb2 import DateOverride, WeeklyWindow
from holdfast.common.v1.time_pb2 import TimeWindow
from tests.contract.catalog.caller import (
    METHODS,
    Caller,
    date,
    override,
    request_class,
    room,
    weekday,
    weekly,
    window,
)

WRONG_IDS = {
    "space": " ",
    "over-long": "a" * 129,
    "leading hyphen": "-a",
    "inner space": "a b",
    "NUL": "a\0",
    "CRLF": "a\r\n",
    "not ASCII": "ä",
    "HTML": "<b>",
    "10 kB": "x" * 10_000,
    "SQL": "'; DROP TABLE resources; --",
}


async def refused(caller: Caller, method: str, **fields: Any) -> list[str]:
    """Says which fields were refused, after making sure that nothing was written."""
    before = await caller.everything()
    refusal = await caller.refusal(method, **fields)
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "INVALID_FIELD"
    assert await caller.everything() == before
    return list(refusal.fields)


@pytest.mark.parametrize("method", METHODS)
async def test_a_wrong_organization_is_refused_by_every_call(catalog: Caller, method: str) -> None:
    for organization_id in WRONG_IDS.values():
        refusal = await catalog.refusal(method, organization_id=organization_id)

        assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.reason == "INVALID_FIELD"
        assert "organization_id" in refusal.fields


@pytest.mark.parametrize("method", METHODS)
async def test_an_empty_request_is_refused_by_every_call(catalog: Caller, method: str) -> None:
    refusal = await catalog.refusal_of(method, request_class(method)())

    assert refusal.reason == "INVALID_FIELD"
    assert "organization_id" in refusal.fields
    has_request_id = "request_id" in request_class(method).DESCRIPTOR.fields_by_name
    assert ("request_id" in refusal.fields) == has_request_id


@pytest.mark.parametrize(
    ("method", "field"),
    [
        (method, field.name)
        for method in METHODS
        for field in request_class(method).DESCRIPTOR.fields
        if field.name.endswith("_id") and field.name not in {"organization_id", "request_id"}
    ],
)
async def test_a_wrong_id_is_refused_wherever_one_is_taken(
    catalog: Caller, method: str, field: str
) -> None:
    for value in WRONG_IDS.values():
        refusal = await catalog.refusal(method, **{field: value})

        assert refusal.reason == "INVALID_FIELD"
        assert field in refusal.fields


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"resource_id": "a b"}, "resource_id"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "N" * 201}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "Studio\r\nBcc: everyone@example.com"}, "name"),
        ({"name": "line\u2028separator"}, "name"),
        ({"type": 0}, "type"),
        ({"type": 99}, "type"),
        ({"type": -1}, "type"),
        ({"description": "D" * 4_001}, "description"),
        ({"description": "bell\a"}, "description"),
        ({"time_zone": ""}, "time_zone"),
        ({"time_zone": "Europe/Nowhere"}, "time_zone"),
        ({"time_zone": "europe/berlin"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"time_zone": "UTC\0"}, "time_zone"),
        ({"time_zone": "x" * 10_000}, "time_zone"),
        ({"hold_policy": 7}, "hold_policy"),
        ({"metadata": {"": "v"}}, "metadata.key"),
        ({"metadata": {"k" * 129: "v"}}, "metadata.key"),
        ({"metadata": {"k\0": "v"}}, "metadata.key"),
        ({"metadata": {"k": "v" * 1_025}}, "metadata.value"),
        ({"metadata": {"k": "v\0"}}, "metadata.value"),
        ({"metadata": {f"k{i}": "v" for i in range(65)}}, "metadata"),
        ({"schedule_id": "."}, "schedule_id"),
    ],
)
async def test_a_wrong_field_of_a_resource_is_refused_by_name(
    catalog: Caller, fields: dict[str, Any], wrong: str
) -> None:
    given = {"resource_id": "studio-a"} | fields

    assert await refused(catalog, "CreateResource", resource=room(**given)) == [f"resource.{wrong}"]


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "'; DROP TABLE resources; --", "\U0001f3b9 Größe\u202e"]
)
async def test_text_that_is_only_strange_is_kept_as_it_is(catalog: Caller, name: str) -> None:
    created = await catalog.resource("studio-a", name=name, metadata={name: name})

    assert created.name == name
    assert dict(created.metadata) == {name: name}


async def test_all_wrong_fields_are_named_at_once(catalog: Caller) -> None:
    wrong = room("a b", name="", type=0, time_zone="x", hold_policy=9, schedule_id="?")

    assert await refused(catalog, "CreateResource", resource=wrong) == [
        "resource.resource_id",
        "resource.name",
        "resource.type",
        "resource.time_zone",
        "resource.hold_policy",
        "resource.schedule_id",
    ]


@pytest.mark.parametrize(
    ("method", "field"),
    [
        ("CreateResource", "resource"),
        ("UpdateResource", "resource"),
        ("CreateSchedule", "schedule"),
        ("UpdateSchedule", "schedule"),
        ("SetDateOverride", "date_override"),
        ("CreateEventType", "event_type"),
        ("UpdateEventType", "event_type"),
    ],
)
async def test_a_missing_message_is_named(catalog: Caller, method: str, field: str) -> None:
    assert field in await refused(catalog, method)


def time(**fields: int) -> TimeOfDay:
    found: TimeOfDay = TimeOfDay(**fields)
    return found


def on_monday(start: Any, end: Any) -> WeeklyWindow:
    return WeeklyWindow(day=1, window=TimeWindow(start=start, end=end))


@pytest.mark.parametrize(
    ("windows", "wrong"),
    [
        ([weekday(1, 600, 540)], "[0].window.end"),
        ([weekday(1, 600, 600)], "[0].window.end"),
        ([weekday(1, 1440, 1440)], "[0].window.end"),
        ([weekday(1, 0, 1455)], "[0].window.end"),
        ([weekday(1, 5, 60)], "[0].window.start"),
        ([weekday(1, 0, 20)], "[0].window.end"),
        ([weekday(0, 0, 60)], "[0].day"),
        ([weekday(8, 0, 60)], "[0].day"),
        ([weekday(1, 0, 60), weekday(1, 45, 90)], "[1].window"),
        ([weekday(1, 0, 60), weekday(1, 0, 60)], "[1].window"),
        ([weekday(1, 45, 90), weekday(2, 0, 60), weekday(1, 0, 60)], "[0].window"),
        ([on_monday(time(hours=1, seconds=1), time(hours=2))], "[0].window.start"),
        ([on_monday(time(hours=1, nanos=1), time(hours=2))], "[0].window.start"),
        ([on_monday(time(hours=-1), time(hours=2))], "[0].window.start"),
        ([on_monday(time(minutes=60), time(hours=2))], "[0].window.start"),
        ([on_monday(time(), time(hours=24, minutes=15))], "[0].window.end"),
        ([on_monday(time(), time(hours=2**31 - 1))], "[0].window.end"),
        ([on_monday(None, time(hours=2))], "[0].window.start"),
    ],
)
async def test_wrong_weekly_windows_are_refused_by_name(
    catalog: Caller, windows: list[WeeklyWindow], wrong: str
) -> None:
    schedule = weekly("hours", windows=windows)

    assert await refused(catalog, "CreateSchedule", schedule=schedule) == [
        f"schedule.windows{wrong}"
    ]


async def test_more_windows_than_a_day_has_quarters_are_refused(catalog: Caller) -> None:
    schedule = weekly("hours", windows=[weekday(1, 0, 15)] * 97)

    assert await refused(catalog, "CreateSchedule", schedule=schedule) == ["schedule.windows"]


async def test_all_quarters_of_a_week_are_accepted(catalog: Caller) -> None:
    quarters = [weekday(day, at, at + 15) for day in range(1, 8) for at in range(0, 1440, 15)]

    created = await catalog.schedule("hours", windows=quarters)

    assert len(created.windows) == 672


@pytest.mark.parametrize(
    ("wanted", "wrong"),
    [
        (DateOverride(unavailable=True), "date"),
        (override(2027, 2, 29), "date"),
        (override(0, 1, 1), "date"),
        (override(2027, 0, 1), "date"),
        (override(2027, 13, 1), "date"),
        (override(10_000, 1, 1), "date"),
        (override(1970, 1, 1), "date"),
        (override(9998, 12, 31), "date"),
        (override(2**31 - 1, 1, 1), "date"),
        (override(2027, 3, 8, note="n" * 201), "note"),
        (override(2027, 3, 8, note="a\nb"), "note"),
        (DateOverride(date=date(2027, 3, 8)), "windows"),
        (
            DateOverride(date=date(2027, 3, 8), unavailable=True, windows=[window(0, 60)]),
            "windows",
        ),
        (override(2027, 3, 8, window(60, 0)), "windows[0].end"),
        (override(2027, 3, 8, window(0, 60), window(30, 90)), "windows[1]"),
        (override(2027, 3, 8, *[window(0, 15)] * 97), "windows"),
    ],
)
async def test_a_wrong_override_is_refused_by_name(
    catalog: Caller, wanted: DateOverride, wrong: str
) -> None:
    await catalog.schedule("hours")

    found = await refused(catalog, "SetDateOverride", schedule_id="hours", date_override=wanted)

    assert found == [f"date_override.{wrong}"]


async def test_the_29th_of_february_is_a_date_in_a_leap_year(catalog: Caller) -> None:
    await catalog.schedule("hours")

    answer = await catalog.ask(
        "SetDateOverride", schedule_id="hours", date_override=override(2028, 2, 29)
    )

    assert answer.date_override.date == date(2028, 2, 29)


@pytest.mark.parametrize(
    ("method", "fields", "wrong"),
    [
        ("ListDateOverrides", {"first_date": date(2027, 2, 29)}, "first_date"),
        (
            "ListDateOverrides",
            {"first_date": date(2027, 3, 2), "last_date": date(2027, 3, 1)},
            "last_date",
        ),
        ("DeleteDateOverride", {}, "date"),
        ("DeleteDateOverride", {"date": date(10_000, 1, 1)}, "date"),
        ("GetEffectiveHours", {"last_date": date(2027, 3, 1)}, "first_date"),
        ("GetEffectiveHours", {"first_date": date(2027, 3, 1)}, "last_date"),
    ],
)
async def test_wrong_dates_are_refused_by_name(
    catalog: Caller, method: str, fields: dict[str, Any], wrong: str
) -> None:
    assert wrong in await refused(catalog, method, schedule_id="hours", **fields)


@pytest.mark.parametrize(
    ("method", "fields", "wrong"),
    [
        ("ListResources", {"text": "t" * 201}, "text"),
        ("ListResources", {"text": "\0"}, "text"),
        ("ListResources", {"type": 99}, "type"),
        ("ListEventTypes", {"text": "t" * 201}, "text"),
        ("GetEventTypeBySlug", {"slug": ""}, "slug"),
        ("GetEventTypeBySlug", {"slug": "One"}, "slug"),
        ("DeleteResource", {"resource_id": "a", "etag": "e" * 129}, "etag"),
        ("DeleteResource", {"resource_id": "a", "etag": "\0"}, "etag"),
    ],
)
async def test_other_wrong_fields_are_refused_by_name(
    catalog: Caller, method: str, fields: dict[str, Any], wrong: str
) -> None:
    assert await refused(catalog, method, **fields) == [wrong]


async def test_a_wrong_field_outside_the_mask_does_not_matter(catalog: Caller) -> None:
    await catalog.resource("studio-a")

    answer = await catalog.ask(
        "UpdateResource",
        resource=room("studio-a", name="New", time_zone="\0", type=99),
        update_mask={"paths": ["name"]},
    )

    assert answer.resource.name == "New"


async def test_shape_is_judged_before_existence(catalog: Caller) -> None:
    refusal = await catalog.refusal(
        "UpdateResource",
        resource=room("none", time_zone="Europe/Nowhere"),
        update_mask={"paths": ["time_zone"]},
    )

    assert refusal.fields == ["resource.time_zone"]


async def test_a_message_of_5_mib_is_refused(catalog: Caller) -> None:
    refusal = await catalog.refusal(
        "CreateResource", resource=room("a", description="D" * 5 * 1024 * 1024)
    )

    assert refusal.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not (await catalog.ask("ListResources")).resources
