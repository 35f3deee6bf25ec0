"""Schedules, the default among them, and what keeps them from being deleted."""

from __future__ import annotations

import grpc

from holdfast.catalog.v1.schedule_pb2 import Schedule
from tests.contract.catalog.caller import Caller, hourly, override, room, weekday, weekly, window
from tests.contract.catalog.conftest import NOW


async def test_a_created_schedule_is_read_as_it_was_answered(catalog: Caller) -> None:
    created = await catalog.schedule("hours")

    read = await catalog.ask("GetSchedule", schedule_id="hours")

    assert read.schedule == created
    assert not created.is_default
    assert created.HasField("is_default")
    assert created.create_time.ToDatetime(NOW.tzinfo) == NOW
    assert created.organization_id == catalog.organization_id


async def test_windows_are_answered_in_order(catalog: Caller) -> None:
    sunday, late, early = weekday(7, 0, 1440), weekday(1, 720, 1020), weekday(1, 480, 720)

    created = await catalog.schedule("hours", windows=[sunday, late, early])

    assert list(created.windows) == [early, late, sunday]
    assert created.windows[2].window.end.hours == 24


async def test_a_schedule_may_be_closed_all_week(catalog: Caller) -> None:
    created = await catalog.schedule("never", windows=[])

    assert not created.windows


async def test_there_is_no_default_until_one_is_set(catalog: Caller) -> None:
    await catalog.schedule("hours")

    refusal = await catalog.refusal("GetDefaultSchedule")

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


async def test_a_default_takes_the_place_of_the_one_before(catalog: Caller) -> None:
    first = await catalog.schedule("first", is_default=True)
    await catalog.schedule("second", is_default=True)

    default = await catalog.ask("GetDefaultSchedule")
    before = await catalog.ask("GetSchedule", schedule_id="first")

    assert default.schedule.schedule_id == "second"
    assert not before.schedule.is_default
    assert before.schedule.etag != first.etag


async def test_an_update_moves_the_default(catalog: Caller) -> None:
    await catalog.schedule("first", is_default=True)
    await catalog.schedule("second")

    await catalog.ask(
        "UpdateSchedule",
        schedule=Schedule(schedule_id="second", is_default=True),
        update_mask={"paths": ["is_default"]},
    )

    listed = await catalog.ask("ListSchedules")
    assert [(one.schedule_id, one.is_default) for one in listed.schedules] == [
        ("first", False),
        ("second", True),
    ]


async def test_the_default_can_be_given_up(catalog: Caller) -> None:
    await catalog.schedule("first", is_default=True)

    await catalog.ask(
        "UpdateSchedule",
        schedule=Schedule(schedule_id="first", is_default=False),
        update_mask={"paths": ["is_default"]},
    )

    assert (await catalog.refusal("GetDefaultSchedule")).code == grpc.StatusCode.NOT_FOUND


async def test_another_organizations_default_is_not_touched(catalog: Caller) -> None:
    other = catalog.elsewhere()
    await other.schedule("theirs", is_default=True)

    await catalog.schedule("ours", is_default=True)

    assert (await other.ask("GetDefaultSchedule")).schedule.schedule_id == "theirs"


async def test_an_update_changes_what_its_mask_names(catalog: Caller) -> None:
    created = await catalog.schedule("hours")

    updated = await catalog.ask(
        "UpdateSchedule",
        schedule=weekly("hours", name="New", time_zone="UTC", windows=[weekday(3, 0, 60)]),
        update_mask={"paths": ["windows", "time_zone"]},
    )

    assert updated.schedule.name == created.name
    assert updated.schedule.time_zone == "UTC"
    assert list(updated.schedule.windows) == [weekday(3, 0, 60)]


async def test_a_stale_etag_is_refused(catalog: Caller) -> None:
    stale = (await catalog.schedule("hours")).etag
    await catalog.ask("SetDateOverride", schedule_id="hours", date_override=override(2027, 3, 8))

    refusal = await catalog.refusal("DeleteSchedule", schedule_id="hours", etag=stale)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "STALE_ETAG")


async def test_a_deleted_schedule_is_gone_with_its_overrides(catalog: Caller) -> None:
    await catalog.schedule("hours")
    await catalog.ask(
        "SetDateOverride",
        schedule_id="hours",
        date_override=override(2027, 3, 8, window(0, 60)),
    )

    await catalog.ask("DeleteSchedule", schedule_id="hours")

    assert (await catalog.refusal("GetSchedule", schedule_id="hours")).reason == "NOT_FOUND"
    await catalog.schedule("hours")
    assert not (await catalog.ask("ListDateOverrides", schedule_id="hours")).date_overrides


async def test_a_schedule_made_anew_has_another_etag(catalog: Caller) -> None:
    before = await catalog.schedule("hours")
    await catalog.ask("DeleteSchedule", schedule_id="hours")

    assert (await catalog.schedule("hours")).etag != before.etag


async def test_an_unknown_schedule_cannot_be_deleted(catalog: Caller) -> None:
    refusal = await catalog.refusal("DeleteSchedule", schedule_id="none")

    assert refusal.metadata == {"kind": "schedule", "id": "none"}


async def test_a_schedule_in_use_is_not_deleted_and_says_by_whom(catalog: Caller) -> None:
    await catalog.schedule("hours", is_default=True)
    await catalog.resource("studio-a", schedule_id="hours")
    await catalog.event_type("one-hour", schedule_id="hours")

    refusal = await catalog.refusal("DeleteSchedule", schedule_id="hours")

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IN_USE")
    assert refusal.metadata == {"used_by": "default,resource:studio-a,event_type:one-hour"}
    await catalog.ask("GetSchedule", schedule_id="hours")


async def test_a_deleted_resource_still_uses_its_schedule(catalog: Caller) -> None:
    await catalog.schedule("hours")
    await catalog.resource("studio-a", schedule_id="hours")
    await catalog.ask("DeleteResource", resource_id="studio-a")

    refusal = await catalog.refusal("DeleteSchedule", schedule_id="hours")

    assert refusal.metadata == {"used_by": "resource:studio-a"}


async def test_many_users_are_named_in_part(catalog: Caller) -> None:
    await catalog.schedule("hours")
    for number in range(12):
        await catalog.ask("CreateResource", resource=room(f"r{number:02}", schedule_id="hours"))

    refusal = await catalog.refusal("DeleteSchedule", schedule_id="hours")

    assert len(refusal.metadata["used_by"].split(",")) == 10


async def test_another_organizations_user_of_the_same_id_does_not_count(catalog: Caller) -> None:
    other = catalog.elsewhere()
    await other.schedule("hours")
    await other.resource("studio-a", schedule_id="hours")
    await catalog.schedule("hours")

    await catalog.ask("DeleteSchedule", schedule_id="hours")

    assert (await other.ask("GetSchedule", schedule_id="hours")).schedule.schedule_id == "hours"


async def test_a_taken_id_is_refused(catalog: Caller) -> None:
    await catalog.schedule("hours", is_default=True)

    refusal = await catalog.refusal("CreateSchedule", schedule=weekly("hours", is_default=True))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ID_TAKEN")
    assert (await catalog.ask("GetDefaultSchedule")).schedule.schedule_id == "hours"


async def test_an_unknown_schedule_cannot_be_an_event_types(catalog: Caller) -> None:
    refusal = await catalog.refusal(
        "CreateEventType", event_type=hourly("one-hour", schedule_id="none")
    )

    assert refusal.metadata == {"kind": "schedule", "id": "none"}
