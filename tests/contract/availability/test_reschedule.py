"""RescheduleBooking: the same booking at another time, or nothing at all."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from tests.contract.availability.engine import (
    MONDAY,
    NINE,
    QUARTER,
    announced,
    at,
    clean,
    counters,
    everything,
    got,
    items,
    listed,
    move,
    moving,
    size,
    state_of,
    told,
)
from tests.contract.availability.world import (
    ALL_DAY,
    HOUR,
    Caller,
    FakeCatalog,
    length,
    read_refusal,
    stamp,
    weekly,
)

TUESDAY = MONDAY + timedelta(days=1)
WEDNESDAY = MONDAY + timedelta(days=2)
NINE_TO_TEN = [36, 37, 38, 39]


def offer(catalog: FakeCatalog, caller: Caller, *names: str, **rules: Any) -> None:
    for name in names or ("studio-a",):
        catalog.offer(caller.organization_id, name, **({"slot_interval": length(QUARTER)} | rules))


KINDS: dict[str, dict[str, Any]] = {
    "CONFIRMED": {},
    "PENDING": {"event_type_id": "asked"},
    "PROVISIONAL": {"provisional_duration": length(HOUR)},
}


@pytest.mark.parametrize("state", KINDS)
async def test_a_moved_booking_keeps_all_but_its_time(
    caller: Caller, catalog: FakeCatalog, availability_url: str, state: str
) -> None:
    offer(catalog, caller)
    offer(catalog, caller, event_type_id="asked", requires_confirmation=True)
    order = caller.order(NINE, booking_id="b", time_zone="Asia/Tokyo", **KINDS[state])
    created = await caller.send("CreateBooking", order)

    await move(caller, "b", NINE + 3 * HOUR)
    moved = await move(caller, "b", NINE + 2 * HOUR, reason="rain", actor_id="desk")

    expected = type(moved).FromString(created.booking.SerializeToString())
    expected.start_time.CopyFrom(stamp(NINE + 2 * HOUR))
    expected.end_time.CopyFrom(stamp(NINE + 3 * HOUR))
    expected.items[0].occupancy_start_time.CopyFrom(stamp(NINE + 2 * HOUR))
    expected.items[0].occupancy_end_time.CopyFrom(stamp(NINE + 3 * HOUR))
    expected.sequence, expected.revision = 2, 2
    assert (moved, state_of(moved)) == (expected, state)
    found = await got(caller, "b", management_token=created.management_token)
    assert found.booking == moved
    assert told(found.history)[1:] == [
        ("RESCHEDULED", state, "", ""),
        ("RESCHEDULED", state, "desk", "rain"),
    ]
    assert [event.start_time.ToDatetime(UTC) for event in found.history] == [
        *(NINE, NINE + 3 * HOUR, NINE + 2 * HOUR)
    ]
    assert announced(availability_url, caller) == [
        ("created", "b", 0),
        ("rescheduled", "b", 1),
        ("rescheduled", "b", 2),
    ]
    assert await caller.busy(MONDAY, MONDAY) == {MONDAY: [44, 45, 46, 47]}
    await clean(caller)


@pytest.mark.parametrize(
    ("start", "hours", "taken"),
    [
        (at(9, 30), 1, {MONDAY: [38, 39, 40, 41]}),
        (at(8, 15), 1, {MONDAY: [33, 34, 35, 36]}),
        (at(9), 1, {MONDAY: NINE_TO_TEN}),
        (at(9), 3, {MONDAY: [*range(36, 48)]}),
        (at(8), 4, {MONDAY: [*range(32, 48)]}),
        (at(23), 2, {MONDAY: [*range(92, 96)], TUESDAY: [*range(4)]}),
        (at(9, days=1), 1, {TUESDAY: NINE_TO_TEN}),
        (at(9), 40, {MONDAY: [*range(36, 96)], TUESDAY: [*range(96)], WEDNESDAY: [0, 1, 2, 3]}),
    ],
    ids=["later", "earlier", "nowhere", "longer", "around", "midnight", "tomorrow", "days"],
)
async def test_the_new_time_may_overlap_the_old_one_and_lie_on_other_days(
    caller: Caller, catalog: FakeCatalog, start: datetime, hours: int, taken: dict[Any, list[int]]
) -> None:
    offer(catalog, caller, duration_options=[length(n * HOUR) for n in (1, 2, 3, 4, 40)])
    booking = await caller.book(NINE, booking_id="b")

    moved = await move(caller, "b", start, duration=length(hours * HOUR))
    away = await caller.busy(MONDAY, WEDNESDAY)
    back = await move(caller, "b", NINE, duration=length(HOUR))

    assert (moved.sequence, back.sequence) == (1, 2)
    assert moved.end_time.ToDatetime(UTC) == start + hours * HOUR
    assert away == {MONDAY: [], TUESDAY: [], WEDNESDAY: []} | taken
    assert await caller.busy(MONDAY, WEDNESDAY) == {
        MONDAY: NINE_TO_TEN,
        TUESDAY: [],
        WEDNESDAY: [],
    }
    assert back.items == booking.items
    await clean(caller)


async def test_without_a_length_it_keeps_its_own(caller: Caller, catalog: FakeCatalog) -> None:
    offer(catalog, caller, duration_options=[length(50 * QUARTER / 15), length(2 * HOUR)])
    await caller.book(NINE, 2 * HOUR, booking_id="b")

    moved = await move(caller, "b", NINE + QUARTER)

    assert moved.end_time.ToDatetime(UTC) == NINE + QUARTER + 2 * HOUR


async def test_a_bundle_moves_with_all_its_items_or_stays(
    caller: Caller, catalog: FakeCatalog, availability_url: str
) -> None:
    offer(catalog, caller, "a", "b")
    offer(catalog, caller, "chairs", resource={"pool": True})
    await size(caller, "chairs", 4)
    await caller.book(NINE, booking_id="b", items=items("a", "b", chairs=3))
    await caller.book(at(9, days=1), items=items(chairs=2))
    await caller.book(at(12), items=items("b"))
    before = everything(availability_url, caller)

    pool = await caller.refusal_of("RescheduleBooking", moving(caller, "b", at(8, 30, days=1)))
    room = await caller.refusal_of("RescheduleBooking", moving(caller, "b", at(11, 15)))
    unwritten = everything(availability_url, caller)
    moved = await move(caller, "b", NINE + QUARTER)

    assert pool.metadata == {"resource_id": "chairs", "quanta.2027-03-09": "36,37"}
    assert room.metadata == {"resource_id": "b", "quanta.2027-03-08": "48"}
    assert unwritten == before
    assert [(item.resource_id, item.units) for item in moved.items] == [
        ("a", 1),
        ("b", 1),
        ("chairs", 3),
    ]
    assert await caller.busy(MONDAY, MONDAY, "a") == {MONDAY: [37, 38, 39, 40]}
    assert (await counters(caller, "chairs"))[MONDAY][35:42] == [0, 0, 3, 3, 3, 3, 0]
    await clean(caller)


@pytest.mark.parametrize("quarters", [1, 3, 4, 7])
async def test_another_booking_in_the_way_leaves_everything_as_it_is(
    caller: Caller, catalog: FakeCatalog, availability_url: str, quarters: int
) -> None:
    offer(catalog, caller)
    await caller.book(NINE, booking_id="b")
    await caller.book(NINE + HOUR, booking_id="other")
    before = everything(availability_url, caller)

    refusal = await caller.refusal_of(
        "RescheduleBooking", moving(caller, "b", NINE + quarters * QUARTER)
    )

    assert refusal.reason == "SLOT_UNAVAILABLE"
    told_quanta = [int(quantum) for quantum in refusal.metadata["quanta.2027-03-08"].split(",")]
    assert told_quanta == [*range(max(40, 36 + quarters), min(44, 40 + quarters))]
    assert everything(availability_url, caller) == before


# In the order in which they are told: each case breaks all after it, too.
RULES: dict[str, dict[str, Any]] = {
    "INACTIVE": {"active": False},
    "NOT_LINKED": {"linked": False},
    "NOT_STANDALONE": {"resource": {"standalone": False}},
    "DURATION_NOT_OFFERED": {"duration_options": [length(2 * HOUR)]},
    "OUTSIDE_SCHEDULE": {"schedule": weekly("UTC", {2: [ALL_DAY]})},
    "NOT_OFFERED_START": {"slot_interval": length(7 * HOUR)},
    "TOO_SOON": {"minimum_notice": length(timedelta(days=8))},
    "TOO_FAR": {"horizon": length(timedelta(days=1))},
    "SLOT_UNAVAILABLE": {},
}


@pytest.mark.parametrize("reason", RULES)
async def test_every_rule_is_asked_again(
    caller: Caller, catalog: FakeCatalog, availability_url: str, reason: str
) -> None:
    offer(catalog, caller)
    await caller.book(NINE, booking_id="b")
    await caller.book(NINE + 2 * HOUR)
    rules: dict[str, Any] = {}
    for later in [*RULES][[*RULES].index(reason) :]:
        rules |= RULES[later]
    if reason != "TOO_FAR":
        rules.pop("horizon", None)
    offer(catalog, caller, **rules)
    before = everything(availability_url, caller)

    refusal = await caller.refusal_of("RescheduleBooking", moving(caller, "b", at(10, 15)))

    assert refusal.reason == reason
    assert everything(availability_url, caller) == before


async def test_what_the_catalog_no_longer_has_is_not_found(
    caller: Caller, catalog: FakeCatalog
) -> None:
    offer(catalog, caller)
    await caller.book(NINE, booking_id="b")
    del catalog.offerings[caller.organization_id, "studio-a", "session"]

    gone = await caller.refusal_of("RescheduleBooking", moving(caller, "b", at(10)))
    nobody = await caller.refusal_of("RescheduleBooking", moving(caller, "x", at(10)))
    off = await caller.refusal_of("RescheduleBooking", moving(caller, "b", at(10, 5)))

    assert (gone.reason, gone.metadata) == ("NOT_FOUND", {"kind": "event_type", "id": "session"})
    assert (nobody.reason, nobody.metadata) == ("NOT_FOUND", {"kind": "booking", "id": "x"})
    assert (off.code, off.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "OFF_GRID")


async def test_it_keeps_its_location_though_the_event_type_names_others_by_now(
    caller: Caller, catalog: FakeCatalog
) -> None:
    offer(catalog, caller, locations=["Room 1"])
    await caller.book(NINE, booking_id="b", location="Room 1")
    offer(catalog, caller, locations=["Room 2"])

    moved = await move(caller, "b", at(12))

    assert moved.location == "Room 1"


async def test_it_is_taken_with_the_buffers_of_today_and_frees_those_it_had(
    caller: Caller, catalog: FakeCatalog
) -> None:
    offer(catalog, caller, buffer_after=length(HOUR))
    await caller.book(NINE, booking_id="b")
    offer(catalog, caller, buffer_before=length(QUARTER))

    moved = await move(caller, "b", NINE + 2 * HOUR)

    assert moved.items[0].occupancy_start_time == stamp(NINE + 2 * HOUR - QUARTER)
    assert await caller.busy(MONDAY, MONDAY) == {MONDAY: [43, 44, 45, 46, 47]}
    await clean(caller)


async def test_it_is_listed_at_its_new_start_though_it_takes_the_same_quanta(
    caller: Caller, catalog: FakeCatalog
) -> None:
    offer(catalog, caller)
    await caller.book(NINE, booking_id="b")
    offer(catalog, caller, buffer_before=length(QUARTER), duration_options=[length(3 * QUARTER)])

    await move(caller, "b", NINE + QUARTER, duration=length(3 * QUARTER))

    window = {"start_after": stamp(NINE + QUARTER), "start_before": stamp(NINE + HOUR)}
    assert [b.booking_id for b in await listed(caller, **window)] == ["b"]
    assert [b.booking_id for b in await listed(caller, resource_id="studio-a", **window)] == ["b"]
    assert await caller.busy(MONDAY, MONDAY) == {MONDAY: NINE_TO_TEN}


async def test_cancelling_and_moving_at_once_never_frees_what_is_anothers(
    caller: Caller, catalog: FakeCatalog
) -> None:
    offer(catalog, caller)
    chance = random.Random(1)
    for day in range(20):
        name, nine = f"b{day}", at(9, days=day)
        await caller.book(nine, booking_id=name)
        calls = [
            ("RescheduleBooking", moving(caller, name, nine + 2 * QUARTER)),
            ("CancelBooking", caller.cancellation(name)),
            ("RescheduleBooking", moving(caller, name, nine + 5 * QUARTER)),
            ("CreateBooking", caller.order(nine, booking_id=f"early{day}")),
            ("CreateBooking", caller.order(nine + HOUR, booking_id=f"late{day}")),
        ]
        chance.shuffle(calls)
        outcomes = await asyncio.gather(
            *(caller.send(*call) for call in calls), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, grpc.aio.AioRpcError):
                assert read_refusal(outcome).reason in {"SLOT_UNAVAILABLE", "INVALID_STATE"}
            else:
                assert not isinstance(outcome, BaseException), outcome
        assert state_of((await got(caller, name)).booking) == "CANCELLED"
        held = [*range(36, 40)] * bool(await found(caller, f"early{day}"))
        held += [*range(40, 44)] * bool(await found(caller, f"late{day}"))
        assert await caller.busy(nine.date(), nine.date()) == {nine.date(): held}
    await clean(caller)


async def found(caller: Caller, booking_id: str) -> bool:
    try:
        await got(caller, booking_id)
    except grpc.aio.AioRpcError:
        return False
    return True
