"""Offerings: all that a booking is judged by, from one moment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest

from tests.contract.catalog.caller import Caller, override, room
from tests.contract.catalog.conftest import NOW

PAIR = {"resource_id": "studio-a", "event_type_id": "one-hour"}


@pytest.fixture
async def pair(catalog: Caller) -> Caller:
    """A caller with a resource and an event type, not linked."""
    await catalog.resource("studio-a")
    await catalog.event_type("one-hour")
    return catalog


async def offering(caller: Caller) -> Any:
    return (await caller.ask("GetOffering", **PAIR)).offering


async def test_an_offering_holds_both_as_they_are_read_alone(pair: Caller) -> None:
    resource = (await pair.ask("GetResource", resource_id="studio-a")).resource
    event_type = (await pair.ask("GetEventType", event_type_id="one-hour")).event_type

    found = await offering(pair)

    assert found.resource == resource
    assert found.event_type == event_type


async def test_a_link_shows(pair: Caller) -> None:
    before = await offering(pair)
    await pair.ask("Link", **PAIR)
    after = await offering(pair)

    assert (before.linked, after.linked) == (False, True)


async def test_another_organizations_link_and_default_do_not_show(pair: Caller) -> None:
    other = pair.elsewhere()
    await other.resource("studio-a")
    await other.event_type("one-hour")
    await other.ask("Link", **PAIR)
    await other.schedule("hours", is_default=True)

    found = await offering(pair)

    assert not found.linked
    assert not found.HasField("schedule")


async def test_inactivity_is_answered_not_refused(pair: Caller) -> None:
    await pair.ask(
        "UpdateResource", resource=room("studio-a", active=False), update_mask={"paths": ["active"]}
    )

    assert not (await offering(pair)).resource.active


@pytest.mark.parametrize(
    ("method", "key"),
    [("DeleteResource", "resource_id"), ("DeleteEventType", "event_type_id")],
)
async def test_what_is_deleted_has_no_offering(pair: Caller, method: str, key: str) -> None:
    await pair.ask(method, **{key: PAIR[key]})

    refusal = await pair.refusal("GetOffering", **PAIR)

    assert refusal.code == grpc.StatusCode.NOT_FOUND
    assert refusal.metadata["id"] == PAIR[key]


@pytest.mark.parametrize("key", ["resource_id", "event_type_id"])
async def test_what_is_unknown_has_no_offering(pair: Caller, key: str) -> None:
    refusal = await pair.refusal("GetOffering", **(PAIR | {key: "none"}))

    assert refusal.metadata == {"kind": key.removesuffix("_id"), "id": "none"}


async def test_an_organization_without_anything_has_no_offering(catalog: Caller) -> None:
    assert (await catalog.refusal("GetOffering", **PAIR)).reason == "NOT_FOUND"


async def test_another_organizations_pair_has_no_offering(pair: Caller) -> None:
    other = pair.elsewhere()
    await other.resource("studio-b")

    assert (await other.refusal("GetOffering", **PAIR)).metadata["id"] == "studio-a"


async def test_without_any_schedule_there_is_none(pair: Caller) -> None:
    found = await offering(pair)

    assert not found.HasField("schedule")
    assert not found.date_overrides


async def test_the_schedule_that_decides_is_the_first_that_is_named(pair: Caller) -> None:
    seen = []
    for name, is_default in (("default", True), ("own", False), ("theirs", False)):
        await pair.schedule(name, is_default=is_default)
        if name == "own":
            await pair.ask(
                "UpdateResource",
                resource=room("studio-a", schedule_id="own"),
                update_mask={"paths": ["schedule_id"]},
            )
        if name == "theirs":
            await pair.ask(
                "UpdateEventType",
                event_type={"event_type_id": "one-hour", "schedule_id": "theirs"},
                update_mask={"paths": ["schedule_id"]},
            )
        seen.append((await offering(pair)).schedule.schedule_id)

    assert seen == ["default", "own", "theirs"]


async def test_overrides_begin_the_day_before_yesterday(pair: Caller) -> None:
    await pair.schedule("hours", is_default=True)
    await pair.schedule("unused")
    today = NOW.date()
    for days in (5, -3, 0, -2):
        day = today + timedelta(days=days)
        one = override(day.year, day.month, day.day)
        await pair.ask("SetDateOverride", schedule_id="hours", date_override=one)
    other = override(today.year, today.month, today.day, note="of another schedule")
    await pair.ask("SetDateOverride", schedule_id="unused", date_override=other)

    found = await offering(pair)

    expected = [today + timedelta(days=days) for days in (-2, 0, 5)]
    assert [one.date.day for one in found.date_overrides] == [day.day for day in expected]
    assert not any(one.note for one in found.date_overrides)


async def test_the_version_rises_with_every_change_and_only_then(pair: Caller) -> None:
    versions = [(await offering(pair)).version]
    for method, fields in (
        ("CreateResource", {"resource": room("another")}),
        ("Link", PAIR),
        ("DeleteResource", {"resource_id": "another"}),
        ("UndeleteResource", {"resource_id": "another"}),
    ):
        await pair.ask(method, **fields)
        versions.append((await offering(pair)).version)
    await pair.refusal("CreateResource", resource=room("another"))
    await pair.elsewhere().resource("studio-a")

    assert versions == sorted(set(versions))
    assert (await offering(pair)).version == versions[-1]
