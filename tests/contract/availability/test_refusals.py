"""What is refused, with which code, reason and values, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from holdfast.availability.v1 import availability_pb2, booking_pb2
from holdfast.availability.v1.error_reason_pb2 import ErrorReason
from services.availability.rpc.errors import ERRORS
from shared.runtime.failure import DeadlinePassed, Failure
from shared.runtime.status import KIT_ERRORS
from tests.contract.availability.world import (
    HOUR,
    NOW,
    Caller,
    FakeCatalog,
    civil,
    interval,
    length,
    weekly,
)
from tests.integration.availability.database import dump

NINE = datetime(2027, 3, 8, 9, tzinfo=UTC)
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
QUARTER = timedelta(minutes=15)
Item = booking_pb2.BookingItem

# Each row breaks one rule and every rule after it: the first one answers.
ORDER: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("INVALID_FIELD", {}, {"booker": None}),
    ("NOT_FOUND", {}, {"event_type_id": "nothing"}),
    ("INACTIVE", {"resource": {"active": False}}, {}),
    ("INACTIVE", {"active": False}, {}),
    ("NOT_LINKED", {"linked": False}, {}),
    ("NOT_STANDALONE", {"resource": {"standalone": False}}, {}),
    ("DURATION_NOT_OFFERED", {"duration_options": [length(2 * HOUR)]}, {}),
    ("OUTSIDE_SCHEDULE", {"schedule": weekly("UTC", {2: [(0, 1440)]})}, {}),
    ("NOT_OFFERED_START", {"schedule": weekly("UTC", {1: [(525, 1440)]})}, {}),
    ("TOO_SOON", {"minimum_notice": length(timedelta(days=8))}, {}),
    ("TOO_FAR", {"horizon": length(timedelta(days=6))}, {}),
    ("SLOT_UNAVAILABLE", {}, {}),
]


@pytest.mark.parametrize(
    "rank", range(len(ORDER)), ids=[f"{row[0]}-{n}" for n, row in enumerate(ORDER)]
)
async def test_the_first_of_several_refusals_is_told(
    caller: Caller, catalog: FakeCatalog, availability_url: str, rank: int
) -> None:
    catalog.offer(caller.organization_id)
    await caller.book(NINE)
    rules: dict[str, Any] = {}
    request: dict[str, Any] = {}
    for reason, broken, asked in reversed(ORDER[rank:]):
        if not (reason == "TOO_FAR" and "minimum_notice" in rules):
            rules = _with(rules, broken)
        request |= asked
    if ORDER[rank][0] == "TOO_SOON":
        rules.pop("horizon")
    catalog.offer(caller.organization_id, **rules)
    before = dump(availability_url, caller.organization_id)

    refusal = await caller.refused_book(NINE, **request)

    assert refusal.reason == ORDER[rank][0]
    assert dump(availability_url, caller.organization_id) == before


def _with(rules: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    resource = rules.get("resource", {}) | more.get("resource", {})
    return rules | more | ({"resource": resource} if resource else {})


async def test_refusals_carry_the_values_that_decided(caller: Caller, catalog: FakeCatalog) -> None:
    def offer(**rules: Any) -> None:
        catalog.offer(caller.organization_id, **rules)

    offer(minimum_notice=length(HOUR))
    soon = await caller.refused_book(NOW + HOUR - QUARTER * 4)
    offer(horizon=length(HOUR))
    far = await caller.refused_book(NOW + 2 * HOUR)
    offer(resource={"standalone": False})
    addon = await caller.refused_book(NINE)
    offer(active=False)
    inactive = await caller.refused_book(NINE)

    assert (soon.code, soon.metadata) == (PRECONDITION, {"earliest": "2027-03-01T09:00:00Z"})
    assert (far.code, far.metadata) == (PRECONDITION, {"latest": "2027-03-01T09:00:00Z"})
    assert (addon.code, addon.metadata) == (PRECONDITION, {"resource_id": "studio-a"})
    assert inactive.metadata == {"kind": "event_type", "id": "session"}


async def test_the_past_is_too_soon(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id)

    refusal = await caller.refused_book(NOW - HOUR)

    assert refusal.reason == "TOO_SOON"


@pytest.mark.parametrize(
    ("locations", "location"),
    [([], "Room 1"), (["Room 1"], ""), (["Room 1"], "room 1")],
    ids=["none named", "one required", "another"],
)
async def test_a_location_must_be_one_of_the_event_types(
    caller: Caller, catalog: FakeCatalog, locations: list[str], location: str
) -> None:
    catalog.offer(caller.organization_id, locations=locations)

    refusal = await caller.refused_book(NINE, location=location)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert refusal.fields == ["location"]


BAD_ORDERS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no organization": ({"organization_id": ""}, ["organization_id"]),
    "no request id": ({"request_id": ""}, ["request_id"]),
    "a request id that is none": ({"request_id": "42"}, ["request_id"]),
    "an id too long": ({"booking_id": "a" * 129}, ["booking_id"]),
    "an id with a line break": ({"booking_id": "a\n"}, ["booking_id"]),
    "no item": ({"items": []}, ["items"]),
    "eleven items": ({"items": [Item(resource_id=f"r{n}") for n in range(11)]}, ["items"]),
    "the same item twice": ({"items": [Item(resource_id="a")] * 2}, ["items"]),
    "a blank resource": ({"items": [Item(resource_id=" ")]}, ["items[0].resource_id"]),
    "10,001 units": ({"items": [Item(resource_id="a", units=10_001)]}, ["items[0].units"]),
    "less than no unit": ({"items": [Item(resource_id="a", units=-1)]}, ["items[0].units"]),
    "no event type": ({"event_type_id": ""}, ["event_type_id"]),
    "no start": ({"start_time": None}, ["start_time"]),
    "a start in the year 9999": ({"start_time": {"seconds": 253402300799}}, ["start_time"]),
    "a start before the epoch": ({"start_time": {"seconds": -1}}, ["start_time"]),
    "no length": ({"duration": None}, ["duration"]),
    "length zero": ({"duration": length(timedelta())}, ["duration"]),
    "a negative length": ({"duration": length(-HOUR)}, ["duration"]),
    "over 31 days": ({"duration": length(timedelta(days=31, minutes=1))}, ["duration"]),
    "no booker": ({"booker": None}, ["booker.booker_id"]),
    "a name of control characters": (
        {"booker": booking_pb2.Booker(booker_id="b", name="Ann\r\nBcc: x")},
        ["booker.name"],
    ),
    "an address with a line break": (
        {"booker": booking_pb2.Booker(booker_id="b", email="a@b.c\r\nBcc: x@y.z")},
        ["booker.email"],
    ),
    "an address without an at sign": (
        {"booker": booking_pb2.Booker(booker_id="b", email="ann.example.com")},
        ["booker.email"],
    ),
    "a location of 10 kB": ({"location": "x" * 10_000}, ["location"]),
    "an unknown zone": ({"time_zone": "Europe/Nowhere"}, ["time_zone"]),
    "a path for a zone": ({"time_zone": "../../etc/passwd"}, ["time_zone"]),
}


@pytest.mark.parametrize(("fields", "wrong"), BAD_ORDERS.values(), ids=BAD_ORDERS)
async def test_a_malformed_order_names_its_field_and_writes_nothing(
    caller: Caller,
    catalog: FakeCatalog,
    availability_url: str,
    fields: dict[str, Any],
    wrong: list[str],
) -> None:
    catalog.offer(caller.organization_id)

    refusal = await caller.refused_book(NINE, **fields)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert refusal.fields == wrong
    assert not any(dump(availability_url, caller.organization_id).values())


async def test_every_wrong_field_is_told_at_once(caller: Caller) -> None:
    refusal = await caller.refusal_of("CreateBooking", booking_pb2.CreateBookingRequest())

    assert refusal.fields == [
        "organization_id",
        "request_id",
        "items",
        "event_type_id",
        "start_time",
        "duration",
        "booker.booker_id",
    ]


@pytest.mark.parametrize(
    "off",
    [timedelta(minutes=1), timedelta(seconds=1), timedelta(microseconds=1), -timedelta(seconds=1)],
    ids=str,
)
async def test_a_start_off_the_grid_is_never_rounded(
    caller: Caller, catalog: FakeCatalog, off: timedelta
) -> None:
    catalog.offer(caller.organization_id)

    refusal = await caller.refused_book(NINE + off)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "OFF_GRID")


async def test_a_start_off_by_a_microsecond_is_noticed_however_far_ahead(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    far = datetime(3000, 1, 6, 9, 0, 0, 1, tzinfo=UTC)

    booking = await caller.refused_book(far)
    request = caller.question("CheckInventory", far, range=interval(far, far + HOUR))
    inventory = await caller.refusal_of("CheckInventory", request)

    assert (booking.reason, inventory.reason) == ("OFF_GRID", "OFF_GRID")


async def test_a_start_off_by_a_nanosecond_is_off_the_grid(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    request = caller.order(NINE)
    request.start_time.nanos = 1

    assert (await caller.refusal_of("CreateBooking", request)).reason == "OFF_GRID"


BAD_READS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "slots of the 30th of February": (
        "GetDaySlots",
        {"date": {"year": 2027, "month": 2, "day": 30}},
        ["date"],
    ),
    "slots of the 29th of February": (
        "GetDaySlots",
        {"date": {"year": 2027, "month": 2, "day": 29}},
        ["date"],
    ),
    "slots of the year 0": ("GetDaySlots", {"date": {"month": 2, "day": 1}}, ["date"]),
    "slots of the year 10000": (
        "GetDaySlots",
        {"date": {"year": 10000, "month": 2, "day": 1}},
        ["date"],
    ),
    "slots of no length": ("GetDaySlots", {"duration": None}, ["duration"]),
    "slots in no zone": ("GetDaySlots", {"time_zone": "Mars/Base"}, ["time_zone"]),
    "a month of 94 dates": (
        "GetMonthAvailability",
        {"last_date": civil((NINE + timedelta(days=93)).date())},
        ["last_date"],
    ),
    "a month reversed": (
        "GetMonthAvailability",
        {"last_date": civil((NINE - timedelta(days=1)).date())},
        ["last_date"],
    ),
    "no inventory": ("CheckInventory", {"items": []}, ["items"]),
    "inventory twice": (
        "CheckInventory",
        {"items": [availability_pb2.InventoryItem(resource_id="a")] * 2},
        ["items"],
    ),
    "negative inventory": (
        "CheckInventory",
        {"items": [availability_pb2.InventoryItem(resource_id="a", units=-1)]},
        ["items[0].units"],
    ),
    "inventory of no time": (
        "CheckInventory",
        {"range": None},
        ["range.start_time", "range.end_time", "range"],
    ),
    "inventory reversed": ("CheckInventory", {"range": interval(NINE, NINE - HOUR)}, ["range"]),
    "inventory of 32 days": (
        "CheckInventory",
        {"range": interval(NINE, NINE + timedelta(days=32))},
        ["range"],
    ),
    "inventory of too many days": (
        "CheckInventory",
        {
            "items": [availability_pb2.InventoryItem(resource_id=f"r{n}") for n in range(20)],
            "range": interval(NINE, NINE + timedelta(days=20)),
        },
        ["items"],
    ),
    "no resources": ("GetDays", {"resource_ids": []}, ["resource_ids"]),
    "a resource twice": ("GetDays", {"resource_ids": ["a", "a"]}, ["resource_ids"]),
    "101 resources": (
        "GetDays",
        {"resource_ids": [f"r{n}" for n in range(101)]},
        ["resource_ids"],
    ),
    "321 days": (
        "GetDays",
        {"last_date": civil((NINE + timedelta(days=320)).date())},
        ["last_date"],
    ),
    "321 days of three": (
        "GetDays",
        {
            "resource_ids": ["a", "b", "c"],
            "last_date": civil((NINE + timedelta(days=106)).date()),
        },
        ["resource_ids"],
    ),
    "verification of a blank": ("VerifyInventory", {"resource_id": " "}, ["resource_id"]),
    "a booking without a name": ("GetBooking", {"booking_id": ""}, ["booking_id"]),
    "a reason of 501": (
        "CancelBooking",
        {"reason": "x" * 501},
        ["reason"],
    ),
    "a list of everything": ("ListBookings", {"resource_id": ""}, ["resource_id"]),
    "a page of 1,001": ("ListBookings", {"page_size": 1_001}, ["page_size"]),
    "a negative page": ("ListBookings", {"page_size": -1}, ["page_size"]),
    "an unknown state": ("ListBookings", {"state": 99}, ["state"]),
    "a list reversed": (
        "ListBookings",
        {"start_after": {"seconds": 1_800_000_900}, "start_before": {"seconds": 1_800_000_000}},
        ["start_before"],
    ),
}


@pytest.mark.parametrize(("method", "fields", "wrong"), BAD_READS.values(), ids=BAD_READS)
async def test_a_malformed_question_names_its_field(
    caller: Caller, catalog: FakeCatalog, method: str, fields: dict[str, Any], wrong: list[str]
) -> None:
    catalog.offer(caller.organization_id)

    refusal = await caller.refusal_of(method, caller.question(method, NINE, **fields))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert refusal.fields == wrong


async def test_a_hundred_wrong_ids_still_fit_an_answer(caller: Caller) -> None:
    names = [f"{'-' * 100}{index}" for index in range(100)]

    refusal = await caller.refusal_of(
        "GetDays", caller.question("GetDays", NINE, resource_ids=names)
    )

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")


async def test_a_range_off_the_grid_is_refused(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id)
    request = caller.question(
        "CheckInventory", NINE, range=interval(NINE + QUARTER / 2, NINE + HOUR)
    )

    refusal = await caller.refusal_of("CheckInventory", request)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "OFF_GRID")


def _known_failures(kind: type[Failure] = Failure) -> set[type[Failure]]:
    found = set()
    for child in kind.__subclasses__():
        found |= {child} | _known_failures(child)
    return found


def test_every_refusal_has_a_row_and_every_row_a_reason() -> None:
    ours = {
        kind
        for kind in _known_failures()
        if kind.__module__.startswith("services.availability") and not kind.__name__.startswith("_")
    }
    reasons = {reason for _, reason in (*ERRORS.values(), *KIT_ERRORS.values())} | {"INTERNAL"}

    assert ours == set(ERRORS)
    assert {f"ERROR_REASON_{reason}" for reason in reasons} == set(ErrorReason.keys()) - {
        "ERROR_REASON_UNSPECIFIED"
    }
    assert DeadlinePassed in KIT_ERRORS
