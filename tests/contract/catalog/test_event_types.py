"""Event types, their slugs and their rules."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from holdfast.catalog.v1.event_type_pb2 import (
    CLOSED_HOURS_POLICY_OPEN_AT_ENDS,
    CLOSED_HOURS_POLICY_OPEN_THROUGHOUT,
    EventType,
    FlexibleDuration,
)
from tests.contract.catalog.caller import Caller, hourly, minutes

FLEXIBLE = FlexibleDuration(minimum=minutes(30), maximum=minutes(120), step=minutes(60))


async def test_a_created_event_type_is_read_as_it_was_answered(catalog: Caller) -> None:
    await catalog.schedule("hours")
    created = await catalog.event_type(
        "one-hour",
        duration_options=[minutes(300), minutes(60)],
        slot_interval=minutes(30),
        schedule_id="hours",
        buffer_before=minutes(1),
        buffer_after=minutes(1_440),
        minimum_notice=minutes(60),
        horizon=minutes(3_660 * 1_440),
        closed_hours_policy=CLOSED_HOURS_POLICY_OPEN_AT_ENDS,
        locations=["Studio", "Online"],
        time_zone_lock="America/New_York",
        requires_confirmation=True,
        active=False,
        description="Mixing\nand mastering",
    )

    read = await catalog.ask("GetEventType", event_type_id="one-hour")

    assert read.event_type == created
    assert list(created.duration_options) == [minutes(60), minutes(300)]
    assert list(created.locations) == ["Studio", "Online"]
    assert created.horizon == minutes(3_660 * 1_440)
    assert created.requires_confirmation
    assert not created.active


async def test_creation_fills_what_was_left_out(catalog: Caller) -> None:
    created = await catalog.event_type("one-hour")

    assert created.active
    assert not created.requires_confirmation
    assert created.closed_hours_policy == CLOSED_HOURS_POLICY_OPEN_THROUGHOUT
    assert created.buffer_before == created.buffer_after == created.minimum_notice == Duration()
    assert not created.HasField("slot_interval")
    assert not created.HasField("horizon")
    assert not created.HasField("flexible_duration")


async def test_a_flexible_duration_stands_in_place_of_options(catalog: Caller) -> None:
    longest = FlexibleDuration(minimum=minutes(60), maximum=minutes(180), step=minutes(60))

    created = await catalog.event_type("flexible", flexible_duration=longest)

    assert created.flexible_duration == longest
    assert not created.duration_options


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("One hour", "one-hour"),
        ("  Größe: 5 h!  ", "grosse-5-h"),
        ("工作室", "night-shift"),
        ("A" * 200, "a" * 128),
    ],
)
async def test_a_slug_left_out_is_made_from_the_title(
    catalog: Caller, title: str, slug: str
) -> None:
    created = await catalog.event_type("Night.Shift", title=title, slug="")

    assert created.slug == slug


async def test_a_slug_made_from_a_title_gives_way_to_others(catalog: Caller) -> None:
    slugs = [(await catalog.event_type(f"e{i}", title="One hour", slug="")).slug for i in range(3)]

    assert slugs == ["one-hour", "one-hour-2", "one-hour-3"]


async def test_a_taken_slug_is_refused(catalog: Caller) -> None:
    await catalog.event_type("one-hour")
    await catalog.ask("DeleteEventType", event_type_id="one-hour")

    refusal = await catalog.refusal("CreateEventType", event_type=hourly("b", slug="one-hour"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SLUG_TAKEN")
    assert refusal.metadata == {"slug": "one-hour"}


async def test_a_taken_id_is_named_before_a_taken_slug(catalog: Caller) -> None:
    await catalog.event_type("one-hour")

    refusal = await catalog.refusal("CreateEventType", event_type=hourly("one-hour"))

    assert refusal.reason == "ID_TAKEN"
    assert refusal.metadata == {"kind": "event_type", "id": "one-hour"}


async def test_an_update_to_a_taken_slug_is_refused(catalog: Caller) -> None:
    await catalog.event_type("one-hour")
    await catalog.event_type("five-hours")

    refusal = await catalog.refusal(
        "UpdateEventType",
        event_type=hourly("five-hours", slug="one-hour"),
        update_mask={"paths": ["slug"]},
    )

    assert refusal.reason == "SLUG_TAKEN"


async def test_a_slug_may_be_set_to_itself(catalog: Caller) -> None:
    await catalog.event_type("one-hour")

    updated = await catalog.ask(
        "UpdateEventType", event_type=hourly("one-hour"), update_mask={"paths": ["slug"]}
    )

    assert updated.event_type.slug == "one-hour"


async def test_an_event_type_is_found_by_its_slug(catalog: Caller) -> None:
    created = await catalog.event_type("e", slug="one-hour")

    found = await catalog.ask("GetEventTypeBySlug", slug="one-hour")

    assert found.event_type == created


async def test_a_deleted_event_type_is_found_by_id_but_not_by_slug(catalog: Caller) -> None:
    await catalog.event_type("one-hour")
    deleted = await catalog.ask("DeleteEventType", event_type_id="one-hour")

    refusal = await catalog.refusal("GetEventTypeBySlug", slug="one-hour")

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    read = await catalog.ask("GetEventType", event_type_id="one-hour")
    assert read.event_type == deleted.event_type


async def test_a_slug_of_another_organization_is_not_found(catalog: Caller) -> None:
    await catalog.elsewhere().event_type("one-hour")

    assert (await catalog.refusal("GetEventTypeBySlug", slug="one-hour")).reason == "NOT_FOUND"


async def test_undelete_restores(catalog: Caller) -> None:
    created = await catalog.event_type("one-hour")
    await catalog.ask("DeleteEventType", event_type_id="one-hour")

    restored = await catalog.ask("UndeleteEventType", event_type_id="one-hour")

    assert not restored.event_type.HasField("delete_time")
    assert restored.event_type.slug == created.slug
    refusal = await catalog.refusal("UndeleteEventType", event_type_id="one-hour")
    assert refusal.reason == "INVALID_STATE"


async def test_an_update_changes_what_its_mask_names(catalog: Caller) -> None:
    created = await catalog.event_type("one-hour", locations=["Studio"], horizon=minutes(60))

    updated = await catalog.ask(
        "UpdateEventType",
        event_type=EventType(event_type_id="one-hour", duration_options=[minutes(90)]),
        update_mask={"paths": ["duration_options", "horizon"]},
    )

    assert list(updated.event_type.duration_options) == [minutes(90)]
    assert not updated.event_type.HasField("horizon")
    assert list(updated.event_type.locations) == ["Studio"]
    assert updated.event_type.title == created.title


async def test_options_give_way_to_a_flexible_duration_in_one_update(catalog: Caller) -> None:
    await catalog.event_type("one-hour")
    flexible = FlexibleDuration(minimum=minutes(30), maximum=minutes(120), step=minutes(30))

    updated = await catalog.ask(
        "UpdateEventType",
        event_type=EventType(event_type_id="one-hour", flexible_duration=flexible),
        update_mask={"paths": ["duration_options", "flexible_duration"]},
    )

    assert updated.event_type.flexible_duration == flexible
    assert not updated.event_type.duration_options


@pytest.mark.parametrize(
    ("changes", "path", "wrong"),
    [
        ({"minimum_notice": minutes(61)}, "minimum_notice", "event_type.horizon"),
        ({"horizon": minutes(29)}, "horizon", "event_type.horizon"),
        ({"duration_options": []}, "duration_options", "event_type.duration_options"),
        (
            {
                "flexible_duration": FlexibleDuration(
                    minimum=minutes(1), maximum=minutes(2), step=minutes(1)
                )
            },
            "flexible_duration",
            "event_type.duration_options",
        ),
    ],
    ids=["notice", "horizon", "no lengths", "two kinds of lengths"],
)
async def test_an_update_that_contradicts_what_stays_is_refused(
    catalog: Caller, changes: dict[str, Any], path: str, wrong: str
) -> None:
    created = await catalog.event_type("one-hour", minimum_notice=minutes(30), horizon=minutes(60))

    refusal = await catalog.refusal(
        "UpdateEventType",
        event_type=EventType(event_type_id="one-hour", **changes),
        update_mask={"paths": [path]},
    )

    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", [wrong])
    read = await catalog.ask("GetEventType", event_type_id="one-hour")
    assert read.event_type == created


@pytest.mark.parametrize("path", ["event_type_id", "delete_time", "flexible_duration.step"])
async def test_what_cannot_be_changed_is_refused_by_name(catalog: Caller, path: str) -> None:
    await catalog.event_type("one-hour")

    refusal = await catalog.refusal(
        "UpdateEventType", event_type=hourly("one-hour"), update_mask={"paths": [path]}
    )

    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", ["update_mask"])
    assert path in refusal.message


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"title": ""}, "title"),
        ({"title": "Studio\r\nBcc: everyone@example.com"}, "title"),
        ({"title": "T" * 201}, "title"),
        ({"description": "D" * 4_001}, "description"),
        ({"slug": "One-Hour"}, "slug"),
        ({"slug": "-one"}, "slug"),
        ({"slug": "s" * 129}, "slug"),
        ({"duration_options": []}, "duration_options"),
        ({"duration_options": [minutes(0)]}, "duration_options[0]"),
        ({"duration_options": [minutes(60), minutes(-60)]}, "duration_options[1]"),
        ({"duration_options": [Duration(seconds=90)]}, "duration_options[0]"),
        ({"duration_options": [Duration(seconds=60, nanos=1)]}, "duration_options[0]"),
        ({"duration_options": [minutes(31 * 1_440 + 1)]}, "duration_options[0]"),
        ({"duration_options": [minutes(60), minutes(60)]}, "duration_options"),
        ({"duration_options": [minutes(i + 1) for i in range(65)]}, "duration_options"),
        (
            {
                "duration_options": [minutes(60)],
                "flexible_duration": FlexibleDuration(
                    minimum=minutes(1), maximum=minutes(2), step=minutes(1)
                ),
            },
            "duration_options",
        ),
        ({"flexible_duration": FLEXIBLE}, "flexible_duration.maximum"),
        (
            {
                "flexible_duration": FlexibleDuration(
                    minimum=minutes(60), maximum=minutes(30), step=minutes(15)
                )
            },
            "flexible_duration.maximum",
        ),
        (
            {
                "flexible_duration": FlexibleDuration(
                    minimum=minutes(60), maximum=minutes(90), step=minutes(0)
                )
            },
            "flexible_duration.step",
        ),
        (
            {"flexible_duration": FlexibleDuration(minimum=minutes(60), step=minutes(1))},
            "flexible_duration.maximum",
        ),
        ({"slot_interval": minutes(20)}, "slot_interval"),
        ({"slot_interval": minutes(0)}, "slot_interval"),
        ({"slot_interval": minutes(1_455)}, "slot_interval"),
        ({"buffer_before": minutes(-1)}, "buffer_before"),
        ({"buffer_after": minutes(1_441)}, "buffer_after"),
        ({"buffer_after": Duration(seconds=30)}, "buffer_after"),
        ({"minimum_notice": minutes(366 * 1_440 + 1)}, "minimum_notice"),
        ({"horizon": minutes(0)}, "horizon"),
        ({"horizon": minutes(3_660 * 1_440 + 1)}, "horizon"),
        ({"horizon": minutes(59), "minimum_notice": minutes(60)}, "horizon"),
        ({"horizon": Duration(seconds=2**63 - 1)}, "horizon"),
        ({"closed_hours_policy": 99}, "closed_hours_policy"),
        ({"locations": ["A", "A"]}, "locations"),
        ({"locations": [""]}, "locations[0]"),
        ({"locations": ["A", "L" * 201]}, "locations[1]"),
        ({"locations": [f"L{i}" for i in range(51)]}, "locations"),
        ({"time_zone_lock": "Europe/Nowhere"}, "time_zone_lock"),
        ({"schedule_id": "no good"}, "schedule_id"),
        ({"event_type_id": "_", "slug": "one"}, "event_type_id"),
    ],
)
async def test_a_wrong_field_is_refused_by_name(
    catalog: Caller, fields: dict[str, Any], wrong: str
) -> None:
    given = {"event_type_id": "one-hour"} | fields

    refusal = await catalog.refusal("CreateEventType", event_type=hourly(**given))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert refusal.fields == [f"event_type.{wrong}"]
    assert not (await catalog.ask("ListEventTypes", show_deleted=True)).event_types


async def test_all_wrong_fields_are_named_at_once(catalog: Caller) -> None:
    refusal = await catalog.refusal(
        "CreateEventType",
        request_id="no uuid",
        event_type=hourly("one-hour", title="", time_zone_lock="x", buffer_after=minutes(-1)),
    )

    assert sorted(refusal.fields) == [
        "event_type.buffer_after",
        "event_type.time_zone_lock",
        "event_type.title",
        "request_id",
    ]
