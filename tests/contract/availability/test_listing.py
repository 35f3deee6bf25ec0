"""ListBookings: filters, order and pages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from holdfast.availability.v1 import booking_pb2
from shared.runtime.page import encode_token
from tests.contract.availability.world import HOUR, Caller, FakeCatalog, stamp

NINE = datetime(2027, 3, 8, 9, tzinfo=UTC)


def request(caller: Caller, **fields: Any) -> booking_pb2.ListBookingsRequest:
    return booking_pb2.ListBookingsRequest(organization_id=caller.organization_id, **fields)


async def listed(caller: Caller, **fields: Any) -> list[str]:
    answer = await caller.send("ListBookings", request(caller, **fields))
    assert not answer.next_page_token
    return [booking.booking_id for booking in answer.bookings]


@pytest.fixture
async def filled(caller: Caller, catalog: FakeCatalog) -> Caller:
    """Six bookings: two resources, two bookers, two event types; one is cancelled."""
    for resource_id in ("studio-a", "studio-b"):
        for event_type_id in ("session", "rehearsal"):
            catalog.offer(caller.organization_id, resource_id, event_type_id)
    for hour, name, resource_id, booker_id, event_type_id in (
        (5, "f", "studio-a", "ann", "session"),
        (3, "d", "studio-b", "bob", "session"),
        (0, "a", "studio-a", "ann", "session"),
        (3, "c", "studio-a", "bob", "rehearsal"),
        (1, "b", "studio-b", "ann", "rehearsal"),
        (4, "e", "studio-a", "ann", "rehearsal"),
    ):
        await caller.book(
            NINE + hour * HOUR,
            booking_id=name,
            items=[booking_pb2.BookingItem(resource_id=resource_id)],
            booker=booking_pb2.Booker(booker_id=booker_id),
            event_type_id=event_type_id,
        )
    await caller.cancel("e")
    return caller


FILTERS: dict[str, tuple[dict[str, Any], str]] = {
    "resource": ({"resource_id": "studio-a"}, "acef"),
    "booker": ({"booker_id": "ann"}, "abef"),
    "event type": ({"event_type_id": "rehearsal"}, "bce"),
    "confirmed": ({"state": 1}, "abcdf"),
    "cancelled": ({"state": 2}, "e"),
    "from": ({"start_after": stamp(NINE + 3 * HOUR)}, "cdef"),
    "until": ({"start_before": stamp(NINE + 3 * HOUR)}, "ab"),
    "resource, booker and state": (
        {"resource_id": "studio-a", "booker_id": "ann", "state": 1},
        "af",
    ),
    "resource and time": (
        {
            "resource_id": "studio-a",
            "start_after": stamp(NINE + 3 * HOUR),
            "start_before": stamp(NINE + 5 * HOUR),
        },
        "ce",
    ),
    "resource and event type": ({"resource_id": "studio-b", "event_type_id": "session"}, "d"),
    "cancelled of a booker": ({"booker_id": "bob", "state": 2}, ""),
    "nobody": ({"booker_id": "carol"}, ""),
}


@pytest.mark.parametrize(("filters", "names"), FILTERS.values(), ids=FILTERS)
async def test_filters_narrow_and_the_order_is_start_then_id(
    filled: Caller, filters: dict[str, Any], names: str
) -> None:
    assert await listed(filled, **filters) == list(names)


@pytest.mark.parametrize("filters", [row[0] for row in FILTERS.values()], ids=FILTERS)
async def test_pages_of_one_follow_each_other(filled: Caller, filters: dict[str, Any]) -> None:
    whole = await listed(filled, **filters)
    found: list[str] = []
    token = ""
    while True:
        answer = await filled.send(
            "ListBookings", request(filled, page_size=1, page_token=token, **filters)
        )
        found += [booking.booking_id for booking in answer.bookings]
        token = answer.next_page_token
        if not token:
            break

    assert found == whole


async def test_a_listed_booking_is_the_one_got(filled: Caller) -> None:
    answer = await filled.send("ListBookings", request(filled, state=2))

    got = await filled.send(
        "GetBooking",
        booking_pb2.GetBookingRequest(organization_id=filled.organization_id, booking_id="e"),
    )
    assert list(answer.bookings) == [got.booking]


async def test_another_organization_has_none_of_them(filled: Caller) -> None:
    assert await listed(filled.elsewhere(), resource_id="studio-a") == []


async def test_a_page_size_of_nothing_is_fifty(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id)
    for index in range(51):
        await caller.book(NINE + index * HOUR)

    answer = await caller.send("ListBookings", request(caller, resource_id="studio-a"))

    assert len(answer.bookings) == 50
    assert answer.next_page_token


async def test_a_token_is_good_for_its_own_filters_only(filled: Caller) -> None:
    answer = await filled.send("ListBookings", request(filled, booker_id="ann", page_size=1))

    refusal = await filled.refusal_of(
        "ListBookings",
        request(filled, booker_id="bob", page_size=1, page_token=answer.next_page_token),
    )

    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_PAGE_TOKEN",
    )


@pytest.mark.parametrize(
    "cursor",
    [[], ["1"], ["x", "a"], ["9" * 30, "a"], ["9" * 5_000, "a"], ["1", "a\0"], ["1", "a", "b"]],
    ids=["empty", "short", "no number", "no date", "no int", "no id", "long"],
)
async def test_a_forged_token_is_refused(filled: Caller, cursor: list[str]) -> None:
    asked = request(filled, booker_id="ann")
    asked.page_token = encode_token(asked, cursor)

    refusal = await filled.refusal_of("ListBookings", asked)

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "INVALID_PAGE_TOKEN"


async def test_rows_of_one_start_are_all_listed_over_pages(
    caller: Caller, catalog: FakeCatalog
) -> None:
    names = [f"studio-{letter}" for letter in "abcdefgh"]
    for name in names:
        catalog.offer(caller.organization_id, name)
        await caller.book(NINE, booking_id=name, items=[booking_pb2.BookingItem(resource_id=name)])
    first = await caller.send("ListBookings", request(caller, booker_id="ann", page_size=5))

    rest = await listed(caller, booker_id="ann", page_size=5, page_token=first.next_page_token)

    assert [booking.booking_id for booking in first.bookings] + rest == names


async def test_a_page_holds_though_a_row_before_it_goes(filled: Caller) -> None:
    first = await filled.send("ListBookings", request(filled, state=1, page_size=2))
    await filled.cancel("a")

    rest = await filled.send(
        "ListBookings",
        request(filled, state=1, page_size=2, page_token=first.next_page_token),
    )

    assert [booking.booking_id for booking in rest.bookings] == ["c", "d"]
