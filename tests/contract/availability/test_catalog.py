"""What is asked of the catalog, how long an answer counts, and what works without it."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, date, datetime
from typing import Any

import grpc
import pytest

from services.availability.bootstrap import wired
from shared.runtime.server import started
from tests.contract.availability.conftest import Serve, StillSettings
from tests.contract.availability.world import (
    HOUR,
    NOW,
    Caller,
    FakeCatalog,
    Refusal,
    running,
)

NINE = datetime(2027, 3, 8, 9, tzinfo=UTC)
MONDAY = date(2027, 3, 8)


@pytest.fixture
def organization() -> str:
    return f"org-{uuid.uuid4().hex}"


def unavailable(refusal: Refusal) -> bool:
    return (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")


async def test_callers_who_ask_at_once_share_one_question(serve: Serve, organization: str) -> None:
    catalog = FakeCatalog()
    catalog.offer(organization)
    async with (
        running(catalog) as address,
        serve(address, catalog_fresh_seconds=60) as caller,
    ):
        caller.organization_id = organization
        await asyncio.gather(*(caller.starts(MONDAY) for _ in range(50)))
        await caller.book(NINE)

    assert catalog.asked == ["studio-a/session"]


async def test_what_is_not_there_is_remembered_too(serve: Serve, organization: str) -> None:
    catalog = FakeCatalog()
    async with (
        running(catalog) as address,
        serve(address, catalog_fresh_seconds=60) as caller,
    ):
        caller.organization_id = organization
        for _ in range(3):
            slots = await caller.refusal_of("GetDaySlots", caller.slots_request(MONDAY))
            days = await caller.refusal_of("GetDays", caller.question("GetDays", NINE))
            assert slots.code is days.code is grpc.StatusCode.NOT_FOUND

    assert sorted(catalog.asked) == ["studio-a", "studio-a/session"]


async def test_a_change_in_the_catalog_is_noticed_once_the_answer_is_old(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    before = await caller.starts(MONDAY)

    catalog.offer(caller.organization_id, active=False)

    assert len(before) == 24
    assert await caller.starts(MONDAY) == []


@pytest.mark.parametrize("method", ["GetDaySlots", "GetMonthAvailability", "CreateBooking"])
async def test_without_a_catalog_nothing_is_offered(
    serve: Serve, organization: str, method: str
) -> None:
    async with serve("127.0.0.1:1") as caller:
        caller.organization_id = organization
        request: Any = caller.question(method, NINE)
        if method == "CreateBooking":
            request = caller.order(NINE)

        refusal = await caller.refusal_of(method, request)

    assert unavailable(refusal)
    assert refusal.message == "the catalog cannot be asked"


async def test_a_fresh_answer_books_though_the_catalog_is_gone(
    serve: Serve, organization: str
) -> None:
    catalog = FakeCatalog()
    catalog.offer(organization)
    async with serve("127.0.0.1:1", catalog_fresh_seconds=60) as lost:
        lost.organization_id = organization
        assert unavailable(await lost.refused_book(NINE))
    async with running(catalog) as address:
        server = serve(address, catalog_fresh_seconds=60)
        caller = await server.__aenter__()
        caller.organization_id = organization
        await caller.starts(MONDAY)

    try:
        await caller.book(NINE)
        assert NINE not in await caller.starts(MONDAY)
    finally:
        await server.__aexit__(None, None, None)


async def test_a_catalog_that_comes_back_is_asked_again(serve: Serve, organization: str) -> None:
    catalog = FakeCatalog()
    catalog.offer(organization)
    async with running(catalog) as address:
        server = serve(address)
        caller = await server.__aenter__()
        caller.organization_id = organization
        await caller.book(NINE)
    try:
        assert unavailable(await caller.refused_book(NINE))

        async with running(catalog, address), asyncio.timeout(10):
            while unavailable(await caller.refused_book(NINE)):
                continue
    finally:
        await server.__aexit__(None, None, None)


async def test_bookings_are_read_cancelled_and_verified_without_the_catalog(
    serve: Serve, caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    request = caller.order(NINE, booking_id="mine")
    first = await caller.send("CreateBooking", request)
    async with serve("127.0.0.1:1") as alone:
        alone.organization_id = caller.organization_id

        assert (await alone.send("GetBooking", alone.question("GetBooking", NINE))).booking
        assert (await alone.send("ListBookings", alone.question("ListBookings", NINE))).bookings
        assert await alone.send("CreateBooking", request) == first
        await alone.cancel("mine")
        assert (await alone.verification()).difference_count == 0


@pytest.mark.parametrize(
    ("told", "code", "reason"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
        (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
    ],
    ids=["overloaded", "broken", "slow"],
)
async def test_what_the_catalog_cannot_do_is_told_in_our_words(
    serve: Serve,
    organization: str,
    told: grpc.StatusCode,
    code: grpc.StatusCode,
    reason: str,
) -> None:
    catalog = FakeCatalog()
    catalog.fails_with = told
    async with running(catalog) as address, serve(address) as caller:
        caller.organization_id = organization

        refusal = await caller.refusal_of("GetDaySlots", caller.slots_request(MONDAY))

    assert (refusal.code, refusal.reason) == (code, reason)


async def test_a_silent_catalog_does_not_outlast_the_callers_deadline(
    serve: Serve, organization: str
) -> None:
    catalog = FakeCatalog()
    catalog.silent = True
    async with running(catalog) as address, serve(address) as caller:
        caller.organization_id = organization
        begun = asyncio.get_running_loop().time()

        refusal = await caller.refusal_of("GetDaySlots", caller.slots_request(MONDAY), 0.2)

        assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert asyncio.get_running_loop().time() - begun < 1
        patient = await caller.refusal_of("GetDaySlots", caller.slots_request(MONDAY))

    assert unavailable(patient)
    assert patient.message == "the catalog did not answer in time"


async def test_notice_is_judged_by_the_services_clock(
    availability_url: str, organization: str
) -> None:
    catalog = FakeCatalog()
    catalog.offer(organization)
    async with running(catalog) as address:
        settings = StillSettings(
            postgres_url=availability_url,
            catalog_address=address,
            throwaway_data=True,
            present=NOW + 3 * HOUR,
        )
        async with (
            started(settings, wired) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            starts = await Caller(channel, organization).starts(NOW.date())

    assert starts[0] == NOW + 3 * HOUR
