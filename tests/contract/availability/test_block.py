"""CreateBlock: time taken out of use."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import grpc
import pytest

from holdfast.availability.v1 import booking_pb2
from tests.contract.availability.conftest import Serve
from tests.contract.availability.engine import (
    MONDAY,
    NINE,
    QUARTER,
    announced,
    at,
    block,
    blocking,
    clean,
    counters,
    everything,
    got,
    items,
    listed,
    size,
    state_of,
    told,
    units_of,
)
from tests.contract.availability.world import HOUR, Caller, FakeCatalog, length, weekly

TUESDAY = MONDAY + timedelta(days=1)
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


@pytest.fixture
def keeper(caller: Caller, catalog: FakeCatalog) -> Caller:
    """A caller whose organization has a studio with quarter-hour starts."""
    catalog.offer(caller.organization_id, slot_interval=length(QUARTER))
    return caller


async def test_blocks_are_not_allowed_where_nobody_is_trusted_as_an_administrator(
    keeper: Caller,
    serve: Serve,
    shared_catalog: tuple[FakeCatalog, str],
    availability_url: str,
) -> None:
    async with serve(shared_catalog[1], administration=False) as server:
        own = await server.refusal_of("CreateBlock", blocking(keeper, NINE, NINE + HOUR))
        unknown = await server.refusal_of(
            "CreateBlock", blocking(keeper, NINE, NINE + HOUR, resource_id="nothing")
        )
        shape = await server.refusal_of("CreateBlock", blocking(keeper, NINE, NINE))

    assert (own.code, own.reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED")
    assert unknown == own
    assert shape.reason == "INVALID_FIELD"
    assert not any(everything(availability_url, keeper).values())


async def test_a_block_takes_its_time_and_says_why(keeper: Caller, availability_url: str) -> None:
    blocked = await block(
        keeper,
        at(22),
        at(1, 20, days=1),
        booking_id="paint",
        reason="New paint",
        actor_id="caretaker",
    )

    assert (blocked.kind, state_of(blocked)) == (booking_pb2.BOOKING_KIND_BLOCK, "CONFIRMED")
    assert (blocked.block_reason, blocked.event_type_id) == ("New paint", "")
    assert not blocked.HasField("booker")
    assert blocked.end_time.ToDatetime(UTC) == at(1, 20, days=1)
    assert blocked.items[0].occupancy_end_time.ToDatetime(UTC) == at(1, 30, days=1)
    found = await got(keeper, "paint")
    assert found.booking == blocked
    assert told(found.history) == [("CREATED", "CONFIRMED", "caretaker", "New paint")]
    assert announced(availability_url, keeper) == [("created", "paint", 0)]
    assert await keeper.busy(MONDAY, TUESDAY) == {
        MONDAY: [*range(88, 96)],
        TUESDAY: [*range(6)],
    }
    assert at(23) not in await keeper.starts(MONDAY)
    assert (await keeper.refused_book(at(23))).reason == "SLOT_UNAVAILABLE"
    await clean(keeper)


async def test_a_block_ends_by_being_cancelled(keeper: Caller, availability_url: str) -> None:
    await block(keeper, NINE, NINE + HOUR, booking_id="paint")
    await keeper.book(NINE + HOUR)

    ended = await keeper.cancel("paint", reason="dry", actor_id="caretaker")

    assert (state_of(ended), ended.cancel_reason) == ("CANCELLED", "dry")
    assert await keeper.busy(MONDAY, MONDAY) == {MONDAY: [40, 41, 42, 43]}
    assert announced(availability_url, keeper)[-1] == ("cancelled", "paint", 1)
    await keeper.book(NINE)
    await clean(keeper)


async def test_bookings_in_its_way_are_named_and_nothing_is_written(
    keeper: Caller, availability_url: str
) -> None:
    await keeper.book(NINE, booking_id="before")
    await keeper.book(at(10), booking_id="cart", provisional_duration=length(HOUR))
    await keeper.book(at(12), booking_id="gone")
    await keeper.cancel("gone")
    await block(keeper, at(13), at(14), booking_id="older")
    await keeper.book(at(15), booking_id="after")
    before = everything(availability_url, keeper)

    refusal = await keeper.refusal_of("CreateBlock", blocking(keeper, at(10), at(15)))

    assert (refusal.code, refusal.reason) == (PRECONDITION, "SLOT_UNAVAILABLE")
    assert refusal.metadata == {
        "resource_id": "studio-a",
        "bookings": "cart,older",
        "quanta.2027-03-08": "40,41,42,43,52,53,54,55",
    }
    assert everything(availability_url, keeper) == before


async def test_of_many_bookings_in_its_way_the_first_are_named(keeper: Caller) -> None:
    for hour in range(12):
        await keeper.book(at(hour), booking_id=f"b{hour:02}")

    refusal = await keeper.refusal_of("CreateBlock", blocking(keeper, at(0), at(0, days=31)))

    named = refusal.metadata["bookings"].split(",")
    assert named == [f"b{hour:02}" for hour in range(len(named))]
    assert len(named) >= 5


async def test_long_ids_over_a_month_still_fit_an_answer(
    caller: Caller, catalog: FakeCatalog
) -> None:
    day = timedelta(days=1)
    catalog.offer(caller.organization_id, "r" * 128, duration_options=[length(day)])
    for number in range(31):
        name = f"b{number:02}".ljust(128, "x")
        await caller.book(at(0, days=number), day, booking_id=name, items=items("r" * 128))

    asked = blocking(caller, at(0), at(0, days=31), resource_id="r" * 128)
    refusal = await caller.refusal_of("CreateBlock", asked)

    assert refusal.reason == "SLOT_UNAVAILABLE"
    assert refusal.metadata["bookings"].split(",")[0] == "b00".ljust(128, "x")
    told_days = [name for name in refusal.metadata if name.startswith("quanta.")]
    assert len(told_days) + int(refusal.metadata["more_dates"]) == 31


async def test_a_block_takes_some_units_of_a_pool_or_all(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id, "chairs", resource={"pool": True})
    await size(caller, "chairs", 4)

    some = await block(caller, NINE, NINE + HOUR, resource_id="chairs", units=3)
    every = await block(caller, at(12), at(13), resource_id="chairs", booking_id="all")
    refusal = await caller.refusal_of(
        "CreateBlock", blocking(caller, NINE, NINE + HOUR, resource_id="chairs")
    )
    await size(caller, "chairs", 6)
    one = await caller.book(at(12), items=items(chairs=2))
    await caller.cancel("all")

    assert (some.items[0].units, every.items[0].units) == (3, 4)
    assert refusal.reason == "SLOT_UNAVAILABLE"
    assert refusal.metadata["bookings"] == some.booking_id
    assert (await counters(caller, "chairs"))[MONDAY][48:52] == [2] * 4
    assert one.items[0].units == 2
    assert await units_of(caller, "chairs") == 6
    await clean(caller)


async def test_all_of_a_room_is_one_and_two_are_never_there(keeper: Caller) -> None:
    two = await keeper.refusal_of("CreateBlock", blocking(keeper, NINE, NINE + HOUR, units=2))
    every = await block(keeper, NINE, NINE + HOUR)

    assert two.metadata == {"resource_id": "studio-a", "quanta.2027-03-08": "36,37,38,39"}
    assert every.items[0].units == 1


@pytest.mark.parametrize(
    "rules",
    [
        {"schedule": weekly("UTC", {2: [(540, 600)]})},
        {"resource": {"active": False}},
        {"resource": {"standalone": False}},
        {"minimum_notice": length(timedelta(days=300))},
        {"linked": False},
    ],
    ids=["closed", "inactive", "add-on", "notice", "not linked"],
)
async def test_no_rule_of_bookings_keeps_a_block_away(
    caller: Caller, catalog: FakeCatalog, rules: dict[str, Any]
) -> None:
    catalog.offer(caller.organization_id, **rules)

    await block(caller, at(3, 15), at(3, 30))
    await block(caller, at(9, days=-30), at(9, days=-29))

    assert await caller.busy(MONDAY, MONDAY) == {MONDAY: [13]}


async def test_blocks_are_listed_apart_from_bookings(keeper: Caller) -> None:
    await keeper.book(NINE, booking_id="b")
    await block(keeper, at(12), at(13), booking_id="paint")

    bookings = await listed(keeper, resource_id="studio-a")
    blocks = await listed(keeper, resource_id="studio-a", kind=booking_pb2.BOOKING_KIND_BLOCK)

    assert [found.booking_id for found in bookings] == ["b"]
    assert [found.booking_id for found in blocks] == ["paint"]


BAD: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "off the grid": ({"start": NINE + timedelta(minutes=1)}, "OFF_GRID", []),
    "no time": ({"end": NINE}, "INVALID_FIELD", ["range"]),
    "backwards": ({"end": NINE - HOUR}, "INVALID_FIELD", ["range"]),
    "over 31 days": ({"end": NINE + timedelta(days=31, minutes=1)}, "INVALID_FIELD", ["range"]),
    "too many units": ({"units": 10_001}, "INVALID_FIELD", ["units"]),
    "less than no unit": ({"units": -1}, "INVALID_FIELD", ["units"]),
    "no resource": ({"resource_id": ""}, "INVALID_FIELD", ["resource_id"]),
    "an unknown resource": ({"resource_id": "nothing"}, "NOT_FOUND", []),
    "a long reason": ({"reason": "x" * 501}, "INVALID_FIELD", ["reason"]),
    "a reason of lines": ({"reason": "a\nb"}, "INVALID_FIELD", ["reason"]),
    "a taken id": ({"booking_id": "b"}, "ID_TAKEN", []),
}


@pytest.mark.parametrize(("changes", "reason", "fields"), BAD.values(), ids=BAD)
async def test_a_block_that_cannot_be_is_refused(
    keeper: Caller,
    availability_url: str,
    changes: dict[str, Any],
    reason: str,
    fields: list[str],
) -> None:
    await keeper.book(at(20), booking_id="b")
    before = everything(availability_url, keeper)
    given: dict[str, Any] = {"start": NINE, "end": NINE + HOUR} | changes

    refusal = await keeper.refusal_of("CreateBlock", blocking(keeper, **given))

    assert (refusal.reason, refusal.fields) == (reason, fields)
    assert everything(availability_url, keeper) == before


async def test_no_token_opens_a_block(keeper: Caller) -> None:
    order = await keeper.send("CreateBooking", keeper.order(at(20)))
    await block(keeper, NINE, NINE + HOUR, booking_id="paint")

    for token in (order.management_token, "A" * 43):
        cancellation = keeper.cancellation("paint", management_token=token)
        refusal = await keeper.refusal_of("CancelBooking", cancellation)
        assert refusal.code is grpc.StatusCode.NOT_FOUND
