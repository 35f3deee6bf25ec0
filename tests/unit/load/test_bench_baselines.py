"""The baselines that book, on a real PostgreSQL: what they are compared for, they do."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest
from pydantic import SecretStr

from holdfast.availability.v1 import (
    availability_pb2,
    availability_pb2_grpc,
    booking_pb2,
    booking_pb2_grpc,
)
from services.availability.domain.booking import Booker, Booking, BookingItem, BookingState, Note
from services.availability.domain.refusal import IdTaken, SlotUnavailable
from services.availability.domain.request_key import RequestKey
from services.availability.settings import AvailabilitySettings
from services.availability.storage.migration import migrate
from shared.runtime.failure import RequestIdReused
from shared.runtime.server import started
from shared.slots.quantum import Span
from tests.contract.availability.world import FakeCatalog, civil, length, running, stamp
from tests.load import exclusion, history, single
from tests.load.baseline import wired
from tests.load.exclusion import ExclusionStore
from tests.load.rival import CONVERT, ROWS
from tests.load.single import SingleStore

ORGANIZATION = "org"
DAY = 23_000  # counted from 1970
NOON = DAY * 96 + 48
NOTE = Note("person", "why")
Store = ExclusionStore | SingleStore


@pytest.fixture(params=["exclusion", "single"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(fresh_database: Callable[..., str], name: str) -> str:
    found = fresh_database()
    migrate(found)
    entries = [history.Entry("studio", NOON - 96 + at, NOON - 96 + at + 4) for at in (0, 8)]
    history.load(found, ORGANIZATION, entries, lambda _: None)
    CONVERT[name](found)
    return found


@pytest.fixture
async def store(url: str, name: str) -> AsyncIterator[Store]:
    settings = settings_of(url, "127.0.0.1:1")
    if name == "exclusion":
        async with exclusion.opened(settings) as ranges:
            yield ranges
    else:
        async with single.opened(settings) as bitmaps:
            yield bitmaps


def settings_of(url: str, catalog_address: str) -> AvailabilitySettings:
    return AvailabilitySettings(
        postgres_url=url,
        postgres_connections=4,
        catalog_address=catalog_address,
        catalog_fresh_seconds=0,
        management_key=SecretStr("k" * 32),
    )


def key(content: bytes = b"content") -> RequestKey:
    return RequestKey(ORGANIZATION, "CreateBooking", str(uuid.uuid4()), content)


def booking(first: int = NOON, stop: int = NOON + 4) -> Booking:
    start = datetime.fromtimestamp(first * 900, UTC)
    return Booking(
        organization_id=ORGANIZATION,
        booking_id=str(uuid.uuid4()),
        items=(BookingItem("studio", 1, Span(first, stop)),),
        event_type_id="session",
        event_type_title="Session",
        start=start,
        end=start + timedelta(minutes=15 * (stop - first)),
        booker=Booker("person", "Person", "person@example.com"),
        location="",
        time_zone="Europe/Berlin",
        state=BookingState.CONFIRMED,
        cancel_reason="",
        created_at=start,
        updated_at=start,
        revision=0,
    )


async def create(store: Store, key: RequestKey, wanted: Booking, answer: bytes) -> bytes:
    return (await store.create(key, wanted, NOTE, lambda _: answer)).answer


def counts(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [
            connection.execute(f"select count(*) from {table}").fetchall()[0][0] for table in ROWS
        ]


async def test_a_booking_writes_one_row_in_each_table(store: Store, url: str) -> None:
    before = counts(url)

    await create(store, key(), booking(), b"answer")

    assert [after - was for was, after in zip(before, counts(url), strict=True)] == [1] * len(ROWS)


async def test_what_overlaps_is_refused_and_nothing_is_written(store: Store, url: str) -> None:
    await create(store, key(), booking(), b"answer")
    before = counts(url)

    with pytest.raises(SlotUnavailable):
        await create(store, key(), booking(NOON + 3, NOON + 5), b"answer")

    assert counts(url) == before
    await create(store, key(), booking(NOON + 4, NOON + 5), b"answer")


async def test_what_was_booked_before_it_started_is_taken(store: Store) -> None:
    with pytest.raises(SlotUnavailable):
        await create(store, key(), booking(NOON - 96 + 3, NOON - 96 + 5), b"answer")


async def test_of_many_at_once_one_gets_the_slot(store: Store) -> None:
    results = await asyncio.gather(
        *(create(store, key(), booking(), b"answer") for _ in range(20)), return_exceptions=True
    )

    assert results.count(b"answer") == 1
    assert sum(isinstance(result, SlotUnavailable) for result in results) == 19


async def test_the_same_request_gets_its_first_answer_again(store: Store) -> None:
    first = key()
    wanted = booking()

    assert await create(store, first, wanted, b"first") == b"first"
    assert await create(store, first, booking(NOON + 8, NOON + 9), b"second") == b"first"
    assert await store.answer(first) == b"first"
    with pytest.raises(RequestIdReused):
        await create(store, first._replace(content_hash=b"other"), booking(), b"third")
    with pytest.raises(IdTaken):
        await create(
            store,
            key(),
            replace(booking(NOON + 8, NOON + 9), booking_id=wanted.booking_id),
            b"fourth",
        )


@pytest.mark.parametrize("name", ["exclusion"], indirect=True)
async def test_ranges_are_read_as_the_bitmaps_of_the_days_asked_for(store: Store) -> None:
    assert isinstance(store, ExclusionStore)
    midnight = (DAY + 1) * 96
    await create(store, key(), booking(midnight - 2, midnight + 3), b"answer")
    await create(store, key(), booking(midnight + 90, midnight + 99), b"answer")

    one = await store.of_resource(ORGANIZATION, "studio", range(DAY + 1, DAY + 2))
    two = await store.of_resource(ORGANIZATION, "studio", range(DAY - 1, DAY + 1))

    assert {day: state.busy for day, state in one.items()} == {DAY + 1: 0b111 | 0b111111 << 90}
    assert {day: state.busy for day, state in two.items()} == {
        DAY - 1: 0b1111 << 48 | 0b1111 << 56,
        DAY: 0b11 << 94,
    }
    assert not any(
        state.busy
        for state in (
            await store.of_resource(ORGANIZATION, "another", range(DAY, DAY + 3))
        ).values()
    )


async def test_a_baseline_serves_what_the_service_serves(url: str, name: str) -> None:
    catalog = FakeCatalog()
    catalog.offer(ORGANIZATION, "studio")
    wiring: Any = {
        "exclusion": wired(name, exclusion.opened, exclusion.served),
        "single": wired(name, single.opened, single.served),
    }[name]
    # At noon: the hour after it is of the same date, whenever this runs.
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    start = noon + timedelta(days=2)
    async with (
        running(catalog) as address,
        started(settings_of(url, address), wiring) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        caller = booking_pb2_grpc.BookingServiceStub(channel)
        request = create_request(start)

        made = await caller.CreateBooking(request)
        again = await caller.CreateBooking(request)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await caller.CreateBooking(create_request(start))

        assert made == again
        assert made.booking.start_time.ToDatetime(UTC) == start
        assert made.management_token
        assert "SLOT_UNAVAILABLE" in str(refused.value.trailing_metadata())
        if name == "exclusion":
            slots = await free_starts(channel, start)
            assert start not in slots
            assert start + timedelta(hours=1) in slots


def create_request(start: datetime) -> booking_pb2.CreateBookingRequest:
    return booking_pb2.CreateBookingRequest(
        organization_id=ORGANIZATION,
        request_id=str(uuid.uuid4()),
        items=[booking_pb2.BookingItem(resource_id="studio")],
        event_type_id="session",
        start_time=stamp(start),
        duration=length(timedelta(hours=1)),
        booker=booking_pb2.Booker(booker_id="person"),
    )


async def free_starts(channel: grpc.aio.Channel, start: datetime) -> list[datetime]:
    request = availability_pb2.GetDaySlotsRequest(
        organization_id=ORGANIZATION,
        resource_id="studio",
        event_type_id="session",
        date=civil(start.date()),
        duration=length(timedelta(hours=1)),
    )
    stub = availability_pb2_grpc.AvailabilityServiceStub(channel)
    answer = await stub.GetDaySlots(request)
    return [slot.start_time.ToDatetime(UTC) for slot in answer.slots]
