"""Many callers at once: one winner, equal answers, no deadlock, no trace of who lost."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc

from tests.contract.availability.world import (
    HOUR,
    Caller,
    FakeCatalog,
    length,
    read_refusal,
)
from tests.integration.availability.database import rows

NINE = datetime(2027, 3, 8, 9, tzinfo=UTC)
MONDAY = date(2027, 3, 8)


async def outcome(call: Any) -> str:
    """OK, or the reason of the refusal."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        refusal = read_refusal(error)
        return refusal.reason or refusal.code.name
    return "OK"


async def test_a_thousand_creates_of_one_slot_have_one_winner(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)

    outcomes = await asyncio.gather(
        *(outcome(caller.send("CreateBooking", caller.order(NINE))) for _ in range(1_000))
    )

    assert Counter(outcomes) == {"OK": 1, "SLOT_UNAVAILABLE": 999}
    assert (await caller.verification()).difference_count == 0


async def test_a_thousand_creates_of_one_slot_on_a_day_that_exists_have_one_winner(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    await caller.book(NINE + 3 * HOUR)

    outcomes = await asyncio.gather(
        *(outcome(caller.send("CreateBooking", caller.order(NINE))) for _ in range(1_000))
    )

    assert Counter(outcomes) == {"OK": 1, "SLOT_UNAVAILABLE": 999}


async def test_five_copies_of_a_request_at_once_make_one_booking(
    caller: Caller, catalog: FakeCatalog, availability_url: str
) -> None:
    catalog.offer(caller.organization_id)
    requests = [caller.order(NINE + index * HOUR) for index in range(40)]

    answers = await asyncio.gather(
        *(caller.send("CreateBooking", request) for request in requests for _ in range(5))
    )

    for index in range(0, len(answers), 5):
        assert all(answer == answers[index] for answer in answers[index : index + 5])
    assert len({answer.booking.booking_id for answer in answers}) == 40
    (count,) = rows(
        availability_url,
        "select count(*) from bookings where organization_id = %s",
        caller.organization_id,
    )
    assert count == (40,)


async def test_copies_of_a_request_and_rivals_for_its_slot_have_one_winner(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    for index in range(20):
        start = NINE + index * HOUR
        copied = caller.order(start)
        requests = [copied] * 5 + [caller.order(start) for _ in range(5)]
        random.Random(index).shuffle(requests)

        found = await asyncio.gather(
            *(outcome(caller.send("CreateBooking", request)) for request in requests)
        )

        # The copies win together or lose together.
        assert Counter(found) in (
            {"OK": 5, "SLOT_UNAVAILABLE": 5},
            {"OK": 1, "SLOT_UNAVAILABLE": 9},
        )


async def test_one_id_wanted_by_many_is_given_once(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id)

    found = await asyncio.gather(
        *(outcome(caller.book(NINE + index * HOUR, booking_id="wanted")) for index in range(24))
    )

    assert Counter(found) == {"OK": 1, "ID_TAKEN": 23}
    assert (await caller.verification()).difference_count == 0


async def test_a_booking_cancelled_by_many_at_once_is_freed_once(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)
    for _ in range(10):
        booking = await caller.book(NINE)

        found = await asyncio.gather(
            *(outcome(caller.cancel(booking.booking_id)) for _ in range(10))
        )

        assert Counter(found) == {"OK": 1, "INVALID_STATE": 9}
        assert await caller.busy(MONDAY, MONDAY) == {MONDAY: []}


async def test_random_bookings_and_cancellations_leave_no_trace_of_their_races(
    caller: Caller, catalog: FakeCatalog, availability_url: str
) -> None:
    catalog.offer(
        caller.organization_id,
        slot_interval=length(timedelta(minutes=15)),
        flexible_duration={
            "minimum": length(timedelta(minutes=15)),
            "maximum": length(timedelta(days=4)),
            "step": length(timedelta(minutes=15)),
        },
        buffer_after=length(timedelta(minutes=15)),
    )
    taken: list[str] = []
    reasons: Counter[str] = Counter()

    async def client(seed: int) -> None:
        source = random.Random(seed)
        for _ in range(40):
            if taken and source.random() < 0.4:
                booking_id = source.choice(taken)
                reasons[await outcome(caller.cancel(booking_id))] += 1
                continue
            booking_id = str(uuid.uuid4())
            start = NINE + source.randrange(4 * 96) * timedelta(minutes=15)
            wanted = source.choice([1, 4, 8, 40, 100, 300]) * timedelta(minutes=15)
            found = await outcome(caller.book(start, wanted, booking_id=booking_id))
            reasons[found] += 1
            if found == "OK":
                taken.append(booking_id)

    await asyncio.gather(*(client(seed) for seed in range(32)))

    assert set(reasons) <= {"OK", "SLOT_UNAVAILABLE", "INVALID_STATE"}
    assert min(reasons.values()) > 20
    found = await caller.verification()
    assert found.difference_count == 0
    assert found.bookings_checked > 0
    overlaps = rows(
        availability_url,
        "select count(*) from booking_items a join bookings ab using (organization_id, booking_id)"
        " join booking_items b on a.organization_id = b.organization_id"
        "  and a.resource_id = b.resource_id and a.booking_id < b.booking_id"
        "  and a.first_quantum < b.stop_quantum and b.first_quantum < a.stop_quantum"
        " join bookings bb on bb.organization_id = b.organization_id"
        "  and bb.booking_id = b.booking_id"
        " where a.organization_id = %s and ab.state = 1 and bb.state = 1",
        caller.organization_id,
    )
    assert overlaps == [(0,)]


async def test_feed_numbers_have_no_gap_and_no_double(
    caller: Caller, catalog: FakeCatalog, availability_url: str
) -> None:
    catalog.offer(caller.organization_id)

    await asyncio.gather(*(outcome(caller.book(NINE + (index % 30) * HOUR)) for index in range(90)))

    feeds = rows(
        availability_url,
        "select feed, count(*), max(ordinal) + 1 from outbox where organization_id = %s"
        " group by feed order by feed",
        caller.organization_id,
    )
    assert [feed for feed, *_ in feeds] == list(range(1, len(feeds) + 1))
    assert all(events == stop for _, events, stop in feeds)
    assert sum(events for _, events, _ in feeds) == 30


async def test_of_thousands_of_calls_at_once_none_is_cut_off(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)

    found = Counter(await asyncio.gather(*(outcome(caller.book(NINE)) for _ in range(2_500))))

    assert found == {"OK": 1, "SLOT_UNAVAILABLE": 2_499}
