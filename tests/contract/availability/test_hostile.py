"""Input of the worst kind on every RPC: refused by name, never a failure of the server."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from holdfast.availability.v1 import booking_pb2
from tests.contract.availability.world import (
    METHODS,
    SERVICES,
    Caller,
    FakeCatalog,
    read_refusal,
    request_class,
)
from tests.fuzz import IDENTIFIERS, ORGANIZATION, hostile_bytes, hostile_messages
from tests.integration.availability.database import dump

COUNT = 300
START = datetime(2027, 3, 8, 9, tzinfo=UTC)
ALLOWED = {
    "INVALID_FIELD",
    "OFF_GRID",
    "REQUEST_ID_REUSED",
    "INVALID_PAGE_TOKEN",
    "INVALID_RESUME_TOKEN",
    "NOT_FOUND",
    "ID_TAKEN",
    "NOT_LINKED",
    "DURATION_NOT_OFFERED",
    "OUTSIDE_SCHEDULE",
    "NOT_OFFERED_START",
    "TOO_SOON",
    "TOO_FAR",
    "SLOT_UNAVAILABLE",
    "INVALID_STATE",
    "NOT_A_POOL",
    "NOT_STANDALONE",
    "TOKEN_EXPIRED",
}


@pytest.fixture
def stranger(caller: Caller, catalog: FakeCatalog) -> Caller:
    """A caller of the organization of the hostile messages; all that they name is offered."""
    for resource_id in IDENTIFIERS:
        for event_type_id in IDENTIFIERS:
            catalog.offer(
                ORGANIZATION,
                resource_id,
                event_type_id,
                flexible_duration={
                    "minimum": {"seconds": 60},
                    "maximum": {"seconds": 31 * 86_400},
                    "step": {"seconds": 60},
                },
                slot_interval={"seconds": 900},
            )
    caller.organization_id = ORGANIZATION
    return caller


def sender(caller: Caller, method: str) -> Callable[[bytes], Awaitable[object]]:
    """Sends bytes to a method and returns its answer, or the first one of a stream."""
    service = next(name for name in SERVICES if method in SERVICES[name].methods_by_name)
    path = f"/holdfast.availability.v1.{service}/{method}"
    if not METHODS[method].server_streaming:
        once: Any = caller.channel.unary_unary(path)
        return lambda payload: once(payload, timeout=30)
    opened: Any = caller.channel.unary_stream(path)

    async def first(payload: bytes) -> object:
        call = opened(payload, timeout=30)
        try:
            return await call.read()
        finally:
            call.cancel()

    return first


async def outcomes(caller: Caller, method: str, payloads: Iterable[bytes]) -> Counter[str]:
    call = sender(caller, method)
    found: Counter[str] = Counter()
    for payload in payloads:
        try:
            await call(payload)
        except grpc.aio.AioRpcError as error:
            refusal = read_refusal(error)
            assert "insert into" not in refusal.message.lower()
            assert "select" not in refusal.message.lower()
            found[refusal.reason or refusal.code.name] += 1
        else:
            found["OK"] += 1
    return found


@pytest.mark.parametrize("method", METHODS)
async def test_hostile_requests_are_refused_by_name(stranger: Caller, method: str) -> None:
    messages = hostile_messages(request_class(method), seed=1, count=COUNT)

    found = await outcomes(stranger, method, (m.SerializeToString() for m in messages))

    assert set(found) <= {"OK", *ALLOWED}
    assert found["INVALID_FIELD"] > COUNT / 10
    assert (await stranger.verification()).difference_count == 0


@pytest.mark.parametrize("method", METHODS)
async def test_bytes_that_are_no_request_are_refused_by_name(stranger: Caller, method: str) -> None:
    payloads = hostile_bytes(request_class(method), seed=2, count=COUNT)

    found = await outcomes(stranger, method, payloads)

    assert set(found) <= {"OK", *ALLOWED}
    assert found["INVALID_FIELD"] > COUNT / 10


async def test_refused_writes_leave_no_trace(stranger: Caller, availability_url: str) -> None:
    before = dump(availability_url, ORGANIZATION)
    for message in hostile_messages(booking_pb2.CreateBookingRequest, seed=3, count=COUNT):
        try:
            await stranger.bookings.CreateBooking(message)
        except grpc.aio.AioRpcError:
            continue
        made = dump(availability_url, ORGANIZATION)
        assert len(made["bookings"]) == len(before["bookings"]) + 1
        before = made

    assert dump(availability_url, ORGANIZATION) == before


async def test_a_message_of_five_mebibytes_is_refused(stranger: Caller) -> None:
    request = stranger.order(START, location="x" * 5 * 1024 * 1024)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stranger.bookings.CreateBooking(request)

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("seconds", [-1, 0, 1e-6])
async def test_a_deadline_that_has_passed_is_told_so(stranger: Caller, seconds: float) -> None:
    refusal = await stranger.refusal_of("CreateBooking", stranger.order(START), seconds)

    assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_deadline_of_years_is_accepted(stranger: Caller) -> None:
    request = stranger.question("GetDays", START)

    assert await stranger.send("GetDays", request, timeout=10 * 365 * 86_400)


async def test_nothing_personal_is_logged(
    caller: Caller, catalog: FakeCatalog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    catalog.offer(caller.organization_id)
    booker = booking_pb2.Booker(
        booker_id="sentinel-id", name="Sentinel Name", email="sentinel@example.com"
    )
    booking = await caller.book(START, booker=booker)
    await caller.refused_book(START, booker=booker)
    await caller.refused_book(START, booker=booker, items=[])
    await caller.cancel(booking.booking_id, reason="Sentinel reason")

    written = [str(vars(record)) for record in caplog.records]

    assert any("CreateBooking" in line for line in written)
    assert not [line for line in written if "entinel" in line]
