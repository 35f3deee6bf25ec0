"""CheckInventory, GetDays and VerifyInventory: what is stored, and whether it is right."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import pytest

from holdfast.availability.v1 import availability_pb2
from tests.contract.availability.world import (
    HOUR,
    Caller,
    FakeCatalog,
    civil,
    interval,
    length,
    read_date,
)
from tests.integration.availability.database import rows

NINE = datetime(2027, 3, 8, 9, tzinfo=UTC)
MONDAY = date(2027, 3, 8)
TUESDAY = date(2027, 3, 9)
Item = availability_pb2.InventoryItem


async def check(caller: Caller, start: datetime, end: datetime, *items: Item) -> list[Any]:
    request = availability_pb2.CheckInventoryRequest(
        organization_id=caller.organization_id, items=items, range=interval(start, end)
    )
    return list((await caller.send("CheckInventory", request)).items)


async def test_a_free_range_is_available_in_the_order_asked(
    caller: Caller, catalog: FakeCatalog
) -> None:
    for resource_id in ("studio-a", "studio-b"):
        catalog.offer(caller.organization_id, resource_id)
    await caller.book(NINE)

    found = await check(
        caller,
        NINE,
        NINE + HOUR,
        Item(resource_id="studio-b"),
        Item(resource_id="studio-a", units=1),
    )

    assert [(item.resource_id, item.available, item.units_free) for item in found] == [
        ("studio-b", True, 1),
        ("studio-a", False, 0),
    ]


async def test_conflicts_are_told_by_resource_and_date(
    caller: Caller, catalog: FakeCatalog
) -> None:
    late = datetime(2027, 3, 8, 23, tzinfo=UTC)
    catalog.offer(
        caller.organization_id, duration_options=[length(2 * HOUR)], slot_interval=length(HOUR)
    )
    await caller.book(late, 2 * HOUR)

    (found,) = await check(
        caller, late + HOUR / 2, late + timedelta(minutes=61), Item(resource_id="studio-a")
    )

    assert [
        (conflict.resource_id, read_date(conflict.date), list(conflict.quanta))
        for conflict in found.conflicts
    ] == [("studio-a", MONDAY, [94, 95]), ("studio-a", TUESDAY, [0])]


async def test_a_range_that_ends_where_a_booking_starts_is_free(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    await caller.book(NINE)

    (before,) = await check(caller, NINE - HOUR, NINE, Item(resource_id="studio-a"))
    (after,) = await check(caller, NINE + HOUR, NINE + 2 * HOUR, Item(resource_id="studio-a"))

    assert before.available
    assert after.available


async def test_an_end_off_the_grid_is_rounded_up(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id)
    await caller.book(NINE)

    (found,) = await check(
        caller, NINE - HOUR, NINE + timedelta(seconds=1), Item(resource_id="studio-a")
    )

    assert [list(conflict.quanta) for conflict in found.conflicts] == [[36]]


async def test_more_units_than_there_are_are_not_available(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)

    (found,) = await check(caller, NINE, NINE + HOUR, Item(resource_id="studio-a", units=2))

    assert (found.available, found.units_free) == (False, 1)
    assert [list(conflict.quanta) for conflict in found.conflicts] == [[36, 37, 38, 39]]


@pytest.mark.parametrize("method", ["CheckInventory", "GetDays"])
@pytest.mark.parametrize("deleted", [False, True], ids=["unknown", "deleted"])
async def test_a_resource_that_is_not_there_is_not_found(
    caller: Caller, catalog: FakeCatalog, method: str, *, deleted: bool
) -> None:
    if deleted:
        catalog.offer(caller.organization_id).resource.delete_time.GetCurrentTime()

    refusal = await caller.refusal_of(method, caller.question(method, NINE))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert refusal.metadata == {"kind": "resource", "id": "studio-a"}


async def test_days_are_read_raw_in_the_order_asked_never_booked_ones_too(
    caller: Caller, catalog: FakeCatalog
) -> None:
    names = ["studio-b", "NULL", "studio-a"]
    for name in names:
        catalog.offer(caller.organization_id, name)
    await caller.book(NINE, items=[{"resource_id": "NULL"}])

    answer = await caller.send(
        "GetDays",
        caller.question(
            "GetDays", NINE, resource_ids=names, first_date=civil(MONDAY), last_date=civil(TUESDAY)
        ),
    )

    nothing = bytes(12)
    assert [(day.resource_id, read_date(day.date), day.version) for day in answer.days] == [
        ("studio-b", MONDAY, 0),
        ("studio-b", TUESDAY, 0),
        ("NULL", MONDAY, 1),
        ("NULL", TUESDAY, 0),
        ("studio-a", MONDAY, 0),
        ("studio-a", TUESDAY, 0),
    ]
    assert [day.busy for day in answer.days] == [
        *[nothing] * 2,
        bytes.fromhex("0000 0000 0f00 0000 0000 0000"),
        *[nothing] * 3,
    ]


async def test_versions_rise_with_each_change_of_the_day(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    versions = []
    for hour in range(3):
        await caller.book(NINE + hour * HOUR)
        answer = await caller.send("GetDays", caller.question("GetDays", NINE))
        versions.append(answer.days[0].version)

    assert versions == sorted(set(versions))


async def test_right_inventory_has_no_difference(caller: Caller, catalog: FakeCatalog) -> None:
    for name in ("studio-a", "studio-b"):
        catalog.offer(caller.organization_id, name, duration_options=[length(24 * HOUR)])
        await caller.book(
            datetime(2027, 3, 8, tzinfo=UTC), 24 * HOUR, items=[{"resource_id": name}]
        )
    cancelled = await caller.book(datetime(2027, 3, 9, tzinfo=UTC), 24 * HOUR)
    await caller.cancel(cancelled.booking_id)

    found = await caller.verification()

    assert list(found.differences) == []
    assert (found.difference_count, found.days_checked, found.bookings_checked) == (0, 3, 2)


# Quarter hours told as surplus, missing, overlapping and miscounted.
Told = tuple[list[int], list[int], list[int], list[int]]
CORRUPTIONS: dict[str, tuple[str, Told]] = {
    "a bit too many": (
        "update days set busy = set_bit(busy, 50, 1) where organization_id = %s",
        ([50], [], [], [50]),
    ),
    "a bit too few": (
        "update days set busy = set_bit(busy, 37, 0) where organization_id = %s",
        ([], [37], [], [37]),
    ),
    "a day lost": (
        "delete from days where organization_id = %s",
        ([], [36, 37, 38, 39], [], [36, 37, 38, 39]),
    ),
    "a booking lost": (
        "delete from booking_items where organization_id = %s",
        ([36, 37, 38, 39], [], [], [36, 37, 38, 39]),
    ),
    "two bookings of one time": (
        """insert into booking_items
          select organization_id, booking_id, 2, resource_id, units, first_quantum + 2,
            stop_quantum + 2, start_time
          from booking_items where organization_id = %s""",
        ([], [40, 41], [38, 39], [38, 39, 40, 41]),
    ),
}
# Of a pool of three, of which three and then one are taken.
POOL_CORRUPTIONS: dict[str, tuple[str, Told]] = {
    "marked though a unit is left": (
        "update days set busy = set_bit(busy, 41, 1) where organization_id = %s",
        ([41], [], [], []),
    ),
    "full and not marked": (
        "update days set busy = set_bit(busy, 37, 0) where organization_id = %s",
        ([], [37], [], []),
    ),
    "a counter lost": (
        "update days set taken = '' where organization_id = %s",
        ([], [], [], [*range(36, 44)]),
    ),
    "a booking of more units": (
        "update booking_items set units = 2 where organization_id = %s and units = 1",
        ([], [], [], [40, 41, 42, 43]),
    ),
    "a unit lost": (
        "update capacities set units = 2 where organization_id = %s",
        ([], [], [36, 37, 38, 39], []),
    ),
    "a capacity lost": (
        "delete from capacities where organization_id = %s",
        ([], [40, 41, 42, 43], [36, 37, 38, 39], []),
    ),
}


async def assert_told(caller: Caller, resource_id: str, told: Told) -> None:
    found = await caller.verification(resource_id)

    assert found.difference_count == 1
    (difference,) = found.differences
    assert (difference.resource_id, read_date(difference.date)) == ("studio-a", MONDAY)
    assert (
        list(difference.surplus_quanta),
        list(difference.missing_quanta),
        list(difference.overlapping_quanta),
        list(difference.miscounted_quanta),
    ) == told


@pytest.mark.parametrize(("damage", "told"), CORRUPTIONS.values(), ids=CORRUPTIONS)
@pytest.mark.parametrize("resource_id", ["", "studio-a"], ids=["all", "one resource"])
async def test_corruption_of_each_kind_is_found(
    caller: Caller,
    catalog: FakeCatalog,
    availability_url: str,
    damage: Any,
    told: Told,
    resource_id: str,
) -> None:
    catalog.offer(caller.organization_id)
    await caller.book(NINE)

    rows(availability_url, damage, caller.organization_id)

    await assert_told(caller, resource_id, told)


@pytest.mark.parametrize(("damage", "told"), POOL_CORRUPTIONS.values(), ids=POOL_CORRUPTIONS)
async def test_corruption_of_a_pool_is_found(
    caller: Caller, catalog: FakeCatalog, availability_url: str, damage: Any, told: Told
) -> None:
    catalog.offer(caller.organization_id, resource={"pool": True})
    await caller.send(
        "SetCapacity",
        availability_pb2.SetCapacityRequest(
            organization_id=caller.organization_id,
            request_id=str(uuid.uuid4()),
            resource_id="studio-a",
            units=3,
        ),
    )
    for hour, units in enumerate([3, 1]):
        items = [{"resource_id": "studio-a", "units": units}]
        await caller.book(NINE + hour * HOUR, items=items)
    assert not (await caller.verification()).difference_count

    rows(availability_url, damage, caller.organization_id)

    # A pool that has shrunk to two is full where three are taken: only that there are too many.
    await assert_told(caller, "", told)


async def test_only_the_resource_asked_for_is_verified(
    caller: Caller, catalog: FakeCatalog, availability_url: str
) -> None:
    for name in ("studio-a", "studio-b"):
        catalog.offer(caller.organization_id, name)
        await caller.book(NINE, items=[{"resource_id": name}])
    rows(
        availability_url,
        "update days set busy = 0::bit(96) where organization_id = %s and resource_id = 'studio-b'",
        caller.organization_id,
    )

    found = await caller.verification("studio-a")

    assert (found.difference_count, found.days_checked, found.bookings_checked) == (0, 1, 1)
    assert (await caller.verification()).difference_count == 1


async def test_an_unknown_resource_is_verified_too(caller: Caller) -> None:
    found = await caller.verification("nothing")

    assert (found.difference_count, found.days_checked) == (0, 0)


async def test_only_the_first_thousand_differences_are_told(
    caller: Caller, availability_url: str
) -> None:
    rows(
        availability_url,
        "insert into days select %s, 'studio-a', date '2027-01-01' + n, 1::bit(96), 1"
        " from generate_series(1, 1100) n",
        caller.organization_id,
    )

    found = await caller.verification()

    assert (found.difference_count, len(found.differences)) == (1_100, 1_000)
    days = [read_date(difference.date) for difference in found.differences]
    assert days == sorted(days)
