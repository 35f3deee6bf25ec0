"""ListBookings: filters, order and pages."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from holdfast.availability.v1 import booking_pb2
from holdfast.availability.v1.booking_pb2 import BOOKING_KIND_BLOCK, BOOKING_KIND_BOOKING
from services.availability.app.port import BookingFilter
from services.availability.domain.booking import BookingKind, BookingState
from services.availability.storage import booking as storage
from shared.runtime.page import encode_token
from tests.contract.availability.world import HOUR, Caller, FakeCatalog, interval, stamp
from tests.integration.availability.database import opened, rows

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


STATES = {
    "CONFIRMED": 1,
    "CANCELLED": 2,
    "PENDING": 3,
    "PROVISIONAL": 4,
    "DECLINED": 5,
    "EXPIRED": 6,
    "COMPLETED": 7,
}


@pytest.fixture
async def varied(caller: Caller, catalog: FakeCatalog, availability_url: str) -> Caller:
    """Bookings in every state, and blocks, on two resources."""
    for resource_id in ("studio-a", "studio-b"):
        catalog.offer(caller.organization_id, resource_id)
    number = itertools.count()
    for resource_id, (state, value), booker_id in itertools.product(
        ("studio-a", "studio-b"), STATES.items(), ("ann", "bob")
    ):
        name = f"{state}-{resource_id}-{booker_id}"
        await caller.book(
            NINE + next(number) * HOUR,
            booking_id=name,
            items=[booking_pb2.BookingItem(resource_id=resource_id)],
            booker=booking_pb2.Booker(booker_id=booker_id),
        )
        # How they come about is others' business: what matters here is that they are found.
        rows(
            availability_url,
            "update bookings set state = %s where organization_id = %s and booking_id = %s",
            value,
            caller.organization_id,
            name,
        )
    for resource_id in ("studio-a", "studio-b"):
        for name in ("block", "ended"):
            start = NINE + next(number) * HOUR
            request = booking_pb2.CreateBlockRequest(
                organization_id=caller.organization_id,
                request_id=str(uuid.uuid4()),
                booking_id=f"{name}-{resource_id}",
                resource_id=resource_id,
                range=interval(start, start + HOUR),
            )
            await caller.send("CreateBlock", request)
        await caller.cancel(f"ended-{resource_id}")
    return caller


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("page_size", [1, 50])
async def test_a_state_is_found_alone_and_beside_other_filters(
    varied: Caller, state: str, page_size: int
) -> None:
    for resource_id, booker_id in itertools.product(("", "studio-a"), ("", "bob")):
        fields = {"state": STATES[state], "resource_id": resource_id, "booker_id": booker_id}
        found, token = [], ""
        while True:
            answer = await varied.send(
                "ListBookings", request(varied, page_size=page_size, page_token=token, **fields)
            )
            found += answer.bookings
            token = answer.next_page_token
            if not token:
                break

        assert [booking.booking_id for booking in found] == [
            f"{state}-{resource}-{booker}"
            for resource in ("studio-a", "studio-b")
            for booker in ("ann", "bob")
            if resource_id in {"", resource} and booker_id in {"", booker}
        ]


async def test_blocks_are_listed_apart(varied: Caller) -> None:
    blocks = ["block-studio-a", "ended-studio-a"]

    assert await listed(varied, resource_id="studio-a", kind=BOOKING_KIND_BLOCK) == blocks
    assert await listed(varied, state=1, kind=BOOKING_KIND_BLOCK) == [*blocks[:1], "block-studio-b"]
    assert await listed(varied, state=2, kind=BOOKING_KIND_BLOCK) == [*blocks[1:], "ended-studio-b"]
    assert await listed(varied, booker_id="ann", kind=BOOKING_KIND_BLOCK) == []
    for fields in ({}, {"kind": BOOKING_KIND_BOOKING}):
        found = await listed(varied, resource_id="studio-a", **fields)
        assert len(found) == 14
        assert not set(found) & set(blocks)


async def test_a_kind_alone_is_no_filter(caller: Caller) -> None:
    refusal = await caller.refusal_of("ListBookings", request(caller, kind=BOOKING_KIND_BLOCK))

    assert refusal.fields == ["resource_id"]


@pytest.mark.parametrize("most", [1, 2, 3, 100])
async def test_what_the_filters_leave_out_makes_pages_short_and_nothing_is_missed(
    varied: Caller, availability_url: str, most: int
) -> None:
    # A page looks at few rows, which must never end a list before its end.
    async with opened(availability_url) as database:
        bookings = storage.PostgresBookings(database, most_walked=most)
        for state, resource_id, booker_id in itertools.product(
            BookingState, ("", "studio-b"), ("", "bob")
        ):
            filters = BookingFilter(
                organization_id=varied.organization_id,
                resource_id=resource_id,
                booker_id=booker_id,
                event_type_id="",
                state=state,
                kind=BookingKind.BOOKING,
                start_after=NINE,
                start_before=None,
            )
            whole = await bookings.page(filters, None, 100)
            found, end = list(whole.bookings), whole.end
            while end is not None:
                page = await bookings.page(filters, end, 2)
                assert len(page.bookings) <= 2
                found += page.bookings
                end = page.end
            assert [booking.booking_id for booking in found] == [
                f"{state.name}-{resource}-{booker}"
                for resource in ("studio-a", "studio-b")
                for booker in ("ann", "bob")
                if resource_id in {"", resource} and booker_id in {"", booker}
            ]
