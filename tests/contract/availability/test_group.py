"""Calls that one transaction decides: each is as if it were alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from tests.contract.availability.engine import (
    HALF_DAY,
    MONDAY,
    NINE,
    QUARTER,
    at,
    clean,
    counters,
    got,
    items,
    moving,
    request,
    size,
    state_of,
)
from tests.contract.availability.world import HOUR, Caller, FakeCatalog, length, read_refusal
from tests.integration.availability.database import rows
from tests.integration.availability.entry import round_trips


@pytest.fixture
async def crowd(caller: Caller, catalog: FakeCatalog) -> Caller:
    """A caller whose organization has studios and three chairs."""
    for name in ("studio-a", "studio-b", "chairs"):
        catalog.offer(
            caller.organization_id,
            name,
            flexible_duration=HALF_DAY,
            slot_interval=length(QUARTER),
            resource={"pool": name == "chairs"},
        )
    await size(caller, "chairs", 3)
    return caller


async def outcomes(caller: Caller, calls: Sequence[tuple[str, Any]]) -> list[str]:
    """Sends calls at once; tells of each the booking's state, or the reason."""

    async def outcome(method: str, asked: Any) -> str:
        try:
            return state_of((await caller.send(method, asked)).booking)
        except grpc.aio.AioRpcError as error:
            return read_refusal(error).reason

    return await asyncio.gather(*(outcome(*call) for call in calls))


def transactions(url: str, caller: Caller) -> tuple[int, int]:
    """How many there were, and how many events."""
    ((count, events),) = rows(
        url,
        "select count(distinct feed), count(*) from outbox where organization_id = %s",
        caller.organization_id,
    )
    return count, events


async def test_refused_moves_beside_bookings_free_nothing_of_their_own(
    crowd: Caller, availability_url: str
) -> None:
    for hour in range(0, 20, 2):
        own = items("studio-a", chairs=2)
        await crowd.book(at(hour), booking_id=f"b{hour}", items=own)
        await crowd.book(at(hour + 1), items=items("studio-a", chairs=2))
    before = transactions(availability_url, crowd)

    calls = []
    for hour in range(0, 20, 2):
        calls += [
            ("RescheduleBooking", moving(crowd, f"b{hour}", at(hour, 30))),
            ("CreateBooking", crowd.order(at(hour), items=items("studio-b", chairs=1))),
        ]
    found = await outcomes(crowd, calls)

    assert found == ["SLOT_UNAVAILABLE", "CONFIRMED"] * 10
    count, events = transactions(availability_url, crowd)
    assert count - before[0] < events - before[1] == 10
    assert await crowd.busy(MONDAY, MONDAY) == {MONDAY: [*range(80)]}
    hours = [3] * 4 + [2] * 4
    assert await counters(crowd, "chairs") == {MONDAY: hours * 10 + [0] * 16}
    await clean(crowd)


async def test_refused_bundles_beside_bookings_take_nothing(
    crowd: Caller, availability_url: str
) -> None:
    await crowd.book(at(0), 12 * HOUR, items=items("studio-b"))
    calls = []
    for hour in range(10):
        both = items("studio-a", "studio-b", chairs=3)
        calls += [
            ("CreateBooking", crowd.order(at(hour), items=both)),
            ("CreateBooking", crowd.order(at(hour), 2 * QUARTER, items=items("studio-a"))),
        ]

    found = await outcomes(crowd, calls)

    assert found == ["SLOT_UNAVAILABLE", "CONFIRMED"] * 10
    count, events = transactions(availability_url, crowd)
    assert count < events
    assert await counters(crowd, "chairs") == {MONDAY: []}
    assert await crowd.busy(MONDAY, MONDAY) == {
        MONDAY: [quantum for quantum in range(40) if quantum % 4 < 2]
    }
    await clean(crowd)


async def test_what_is_cancelled_and_booked_at_once_is_one_bookings(crowd: Caller) -> None:
    for hour in range(12):
        await crowd.book(at(hour), booking_id=f"old-{hour}")

    calls = []
    for hour in range(12):
        calls += [
            ("CancelBooking", crowd.cancellation(f"old-{hour}")),
            ("CreateBooking", crowd.order(at(hour), booking_id=f"new-{hour}")),
            ("CancelBooking", crowd.cancellation(f"old-{hour}")),
        ]
    found = await outcomes(crowd, calls)

    taken = []
    for hour in range(12):
        first, new, second = found[3 * hour : 3 * hour + 3]
        assert sorted([first, second]) == ["CANCELLED", "INVALID_STATE"]
        assert new in {"CONFIRMED", "SLOT_UNAVAILABLE"}
        taken += [*range(4 * hour, 4 * hour + 4)] if new == "CONFIRMED" else []
    assert await crowd.busy(MONDAY, MONDAY) == {MONDAY: taken}
    await clean(crowd)


async def test_changes_of_one_booking_at_once_are_told_one_after_the_other(
    crowd: Caller, catalog: FakeCatalog
) -> None:
    await crowd.book(NINE, booking_id="b")
    hours = [at(hour, minute) for hour in (9, 10, 11) for minute in (0, 15)]

    found = await outcomes(
        crowd,
        [
            *(("RescheduleBooking", moving(crowd, "b", start)) for start in hours),
            *(
                ("CompleteBooking", request(crowd, "CompleteBooking", booking_id="b"))
                for _ in range(3)
            ),
        ],
    )

    answer = await got(crowd, "b")
    assert found == ["CONFIRMED"] * 6 + ["INVALID_STATE"] * 3
    assert (answer.booking.sequence, answer.booking.revision) == (6, 6)
    assert [event.revision for event in answer.history] == [*range(7)]
    assert len({event.start_time.seconds for event in answer.history[1:]}) == 6
    first = (answer.booking.start_time.seconds // 900) % 96
    assert await crowd.busy(MONDAY, MONDAY) == {MONDAY: [*range(first, first + 4)]}
    await clean(crowd)


async def test_whoever_looked_first_books_in_one_round_trip(
    crowd: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips = round_trips(monkeypatch)
    wanted = items("studio-a", "studio-b")

    async def made(hour: int) -> int:
        before = len(trips)
        await crowd.book(at(hour), items=wanted)
        return len(trips) - before

    unseen = await made(1)
    for name in ("studio-a", "studio-b"):
        await crowd.busy(MONDAY, MONDAY, name)

    assert (unseen, await made(3), await made(5)) == (2, 1, 1)
    await clean(crowd)
