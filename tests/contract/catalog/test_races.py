"""Many callers at once, and one truth."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable

import grpc
import pytest

from holdfast.catalog.v1.schedule_pb2 import Schedule
from tests.contract.catalog.caller import Caller, hourly, read_refusal, room, weekly


async def outcome(call: Awaitable[object]) -> str:
    """OK, or the reason of the refusal."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return read_refusal(error).reason
    return "OK"


async def outcomes(*calls: Awaitable[object]) -> Counter[str]:
    return Counter(await asyncio.gather(*(outcome(call) for call in calls)))


async def test_of_twenty_creates_of_one_id_one_succeeds(catalog: Caller) -> None:
    found = await outcomes(
        *(catalog.resource("studio-a", name=f"Number {number}") for number in range(20))
    )

    assert found == {"OK": 1, "ID_TAKEN": 19}


async def test_of_twenty_creates_of_one_slug_one_succeeds(catalog: Caller) -> None:
    found = await outcomes(
        *(catalog.event_type(f"e{number}", slug="one-hour") for number in range(20))
    )

    assert found == {"OK": 1, "SLUG_TAKEN": 19}


async def test_slugs_made_at_once_from_one_title_differ(catalog: Caller) -> None:
    made = await asyncio.gather(
        *(
            catalog.ask("CreateEventType", event_type=hourly(f"e{number}", slug=""))
            for number in range(20)
        )
    )

    assert len({answer.event_type.slug for answer in made}) == 20


async def test_of_twenty_updates_of_one_etag_one_succeeds(catalog: Caller) -> None:
    etag = (await catalog.resource("studio-a")).etag

    found = await outcomes(
        *(
            catalog.ask(
                "UpdateResource",
                resource=room("studio-a", name=f"Number {number}", etag=etag),
                update_mask={"paths": ["name"]},
            )
            for number in range(20)
        )
    )

    assert found == {"OK": 1, "STALE_ETAG": 19}


async def test_updates_at_once_of_different_fields_are_all_kept(catalog: Caller) -> None:
    await catalog.resource("studio-a")
    changes = {"name": "New", "description": "quiet", "time_zone": "UTC", "active": False}

    await asyncio.gather(
        *(
            catalog.ask(
                "UpdateResource",
                resource=room("studio-a", **{field: value}),
                update_mask={"paths": [field]},
            )
            for field, value in changes.items()
        )
    )

    read = (await catalog.ask("GetResource", resource_id="studio-a")).resource
    assert {field: getattr(read, field) for field in changes} == changes


async def test_defaults_set_at_once_leave_exactly_one(catalog: Caller) -> None:
    await asyncio.gather(*(catalog.schedule(f"s{number}") for number in range(10)))

    await asyncio.gather(
        *(
            catalog.ask(
                "UpdateSchedule",
                schedule=Schedule(schedule_id=f"s{number}", is_default=True),
                update_mask={"paths": ["is_default"]},
            )
            for number in range(10)
        ),
        *(catalog.schedule(f"t{number}", is_default=True) for number in range(10)),
    )

    schedules = (await catalog.ask("ListSchedules")).schedules
    defaults = [schedule.schedule_id for schedule in schedules if schedule.is_default]
    assert len(schedules) == 20
    assert len(defaults) == 1
    assert (await catalog.ask("GetDefaultSchedule")).schedule.schedule_id == defaults[0]


@pytest.mark.parametrize("attempt", range(5))
async def test_a_schedule_deleted_while_it_is_taken_up_leaves_no_dangling_name(
    catalog: Caller, attempt: int
) -> None:
    await catalog.schedule("hours")
    calls = [
        catalog.resource("studio-a", schedule_id="hours"),
        catalog.ask("DeleteSchedule", schedule_id="hours"),
        catalog.event_type("one-hour", schedule_id="hours"),
    ]

    await outcomes(*calls[attempt % 3 :], *calls[: attempt % 3])

    resources = (await catalog.ask("ListResources")).resources
    event_types = (await catalog.ask("ListEventTypes")).event_types
    schedules = (await catalog.ask("ListSchedules")).schedules
    assert bool(resources or event_types) == bool(schedules)


async def test_links_set_at_once_are_one_of_the_sets(catalog: Caller) -> None:
    await catalog.event_type("one-hour")
    for letter in "abcd":
        await catalog.resource(letter)

    await asyncio.gather(
        *(
            catalog.ask("SetResources", event_type_id="one-hour", resource_ids=list(wanted))
            for wanted in ("ab", "cd") * 5
        )
    )

    answer = await catalog.ask("ListResourcesForEventType", event_type_id="one-hour")
    assert "".join(one.resource_id for one in answer.resources) in {"ab", "cd"}


async def test_organizations_change_at_once_without_waiting_for_refusals(catalog: Caller) -> None:
    others = [catalog.elsewhere() for _ in range(30)]

    found = await outcomes(
        *(
            other.ask("CreateSchedule", schedule=weekly(f"s{number}", is_default=True))
            for other in others
            for number in range(3)
        )
    )

    assert found == {"OK": 90}
