"""Group commit on a real PostgreSQL: who shares a transaction, and who falls out of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from services.availability.app.port import Answered
from services.availability.domain.booking import Booking, Note
from services.availability.domain.refusal import Contended, InvalidState, SlotUnavailable
from services.availability.domain.request_key import RequestKey
from services.availability.storage.database import Database
from services.availability.storage.writer import WriterTerms
from shared.runtime import deadline
from shared.runtime.failure import DeadlinePassed, Overloaded, RequestIdReused
from tests.integration.availability.database import opened, rows, waiting_for_a_lock
from tests.integration.availability.entry import Ledger, booking, key, violations


@contextmanager
def held(database_url: str, organization: str) -> Iterator[None]:
    """Keeps every transaction of an organization from ending."""
    with psycopg.connect(database_url) as rival:
        rival.execute("select from feeds where organization_id = %s for update", [organization])
        yield


@asynccontextmanager
async def on_its_way(
    ledger: Ledger, database_url: str, organization: str
) -> AsyncIterator[asyncio.Task[bytes]]:
    """A claim whose transaction cannot end before the block does: others queue behind it."""
    await ledger.book(key(organization), booking(organization, 0, 1), b"")
    with held(database_url, organization):
        first = asyncio.create_task(book(ledger, booking(organization, 1, 2)))
        await waiting_for_a_lock(database_url)
        yield first
    await asyncio.gather(first, return_exceptions=True)


async def book(ledger: Ledger, wanted: Booking) -> bytes:
    return await ledger.book(key(wanted.organization_id), wanted, wanted.booking_id.encode())


async def queued(*tasks: asyncio.Task[bytes]) -> None:
    """Lets tasks come as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


def feeds(url: str, organization: str) -> Sequence[int]:
    """How many events each transaction wrote, in their order."""
    found = rows(
        url,
        "select count(*) from outbox where organization_id = %s group by feed order by feed",
        organization,
    )
    return [number for (number,) in found]


async def test_claims_that_wait_share_the_next_transaction(
    database: Database, database_url: str, organization: str
) -> None:
    ledger = Ledger(database)
    async with on_its_way(ledger, database_url, organization):
        tasks = [
            asyncio.create_task(book(ledger, booking(organization, 10 + n, 11 + n)))
            for n in range(20)
        ]
        await queued(*tasks)
    await asyncio.gather(*tasks)

    assert feeds(database_url, organization) == [1, 1, 20]
    assert await violations(database, organization) == 0


async def test_a_lone_claim_has_a_transaction_of_its_own(
    database: Database, database_url: str, organization: str
) -> None:
    ledger = Ledger(database)

    for number in range(3):
        await book(ledger, booking(organization, number, number + 1))

    assert feeds(database_url, organization) == [1, 1, 1]


async def test_a_transaction_locks_no_more_days_than_it_may(
    database: Database, database_url: str, organization: str
) -> None:
    ledger = Ledger(database)
    async with on_its_way(ledger, database_url, organization):
        # 200 days each: two of them fit, whatever their order.
        tasks = [
            asyncio.create_task(
                book(ledger, booking(organization, 0, 200 * 96, resources=[f"long-{n}"]))
            )
            for n in range(5)
        ]
        await queued(*tasks)
    await asyncio.gather(*tasks)

    assert feeds(database_url, organization) == [1, 1, 2, 2, 1]


async def test_a_caller_that_leaves_costs_its_neighbours_nothing(
    database: Database, database_url: str, organization: str
) -> None:
    ledger = Ledger(database)
    entries = [booking(organization, 10 + n, 11 + n) for n in range(6)]
    async with on_its_way(ledger, database_url, organization) as first:
        tasks = [asyncio.create_task(book(ledger, entry)) for entry in entries]
        await queued(*tasks)
        first.cancel()
        for leaving in tasks[::2]:
            leaving.cancel()
    stayed = await asyncio.gather(*tasks[1::2])

    assert stayed == [entry.booking_id.encode() for entry in entries[1::2]]
    # What was on its way is written all the same, what still waited is not.
    assert feeds(database_url, organization) == [1, 1, 3]
    assert await violations(database, organization) == 0


async def test_a_commit_is_told_once_even_if_its_caller_has_left(
    database: Database, database_url: str, organization: str
) -> None:
    ledger = Ledger(database)
    await ledger.book(key(organization), booking(organization, 0, 1), b"")
    request, entry = key(organization), booking(organization, 10, 11)
    told: list[str] = []

    async def create(wanted: RequestKey, name: str, of: Booking = entry) -> Answered:
        return await ledger.create(
            wanted, of, Note("ann"), lambda _: b"made", committed=lambda: told.append(name)
        )

    with held(database_url, organization):
        leaving = asyncio.create_task(create(request, "left"))
        await waiting_for_a_lock(database_url)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    again = await create(request, "again")
    with pytest.raises(SlotUnavailable):
        await create(key(organization), "refused", booking(organization, 10, 11))

    assert again == Answered(b"made", is_replay=True)
    assert told == ["left"]


async def test_a_claim_that_cannot_be_written_falls_out_alone(
    database: Database, database_url: str, organization: str, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(database)
    poisoned = replace(booking(organization, 50, 54), location="no text has a \0 in it")
    entries = [booking(organization, 10 + n, 11 + n) for n in range(6)]
    entries.insert(3, poisoned)
    async with on_its_way(ledger, database_url, organization):
        tasks = [asyncio.create_task(book(ledger, entry)) for entry in entries]
        await queued(*tasks)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert [isinstance(outcome, bytes) for outcome in outcomes] == [True] * 3 + [False] + [True] * 3
    assert isinstance(outcomes[3], psycopg.Error)
    told = [record.message for record in caplog.records if record.name.startswith("holdfast")]
    assert told == ["a group is committed one by one"]
    assert await violations(database, organization) == 0
    # And the ledger goes on.
    await book(ledger, booking(organization, 50, 54))


async def test_a_row_that_is_stuck_keeps_nobody_else_waiting(
    database_url: str, organization: str
) -> None:
    now = asyncio.get_running_loop().time
    async with opened(database_url, statement=timedelta(seconds=1)) as database:
        ledger = Ledger(database)
        await book(ledger, booking(organization, 0, 1))
        with psycopg.connect(database_url) as rival:
            rival.execute("select from days where organization_id = %s for update", [organization])
            stuck = [
                asyncio.create_task(book(ledger, booking(organization, 10 + n, 11 + n)))
                for n in range(40)
            ]
            await waiting_for_a_lock(database_url)
            waits = []
            for number in range(5):
                begun = now()
                await book(ledger, booking(organization, number, number + 1, resources=["b"]))
                waits.append(now() - begun)
            outcomes = await asyncio.gather(*stuck, return_exceptions=True)

        assert all(isinstance(outcome, Contended) for outcome in outcomes)
        # Two short waits for the lock at most, not forty.
        assert max(waits) < 2
        await book(ledger, booking(organization, 10, 11))


async def test_a_claim_whose_deadline_passes_while_it_waits_is_not_written(
    database: Database, database_url: str, organization: str
) -> None:
    ledger = Ledger(database)

    async def impatient() -> bytes:
        deadline.begin(0.05)
        return await book(ledger, booking(organization, 50, 54))

    async with on_its_way(ledger, database_url, organization):
        late = asyncio.create_task(impatient())
        patient = asyncio.create_task(book(ledger, booking(organization, 60, 64)))
        await queued(late, patient)
        await asyncio.sleep(0.1)
    await patient
    with pytest.raises(DeadlinePassed):
        await late

    assert feeds(database_url, organization) == [1, 1, 1]


async def test_who_finds_the_queue_full_is_told_at_once(
    database: Database, database_url: str, organization: str
) -> None:
    ledger = Ledger(database, terms=WriterTerms(most_waiting=3))
    async with on_its_way(ledger, database_url, organization):
        tasks = [
            asyncio.create_task(book(ledger, booking(organization, 10 + n, 11 + n)))
            for n in range(3)
        ]
        await queued(*tasks)

        with pytest.raises(Overloaded) as refused:
            await book(ledger, booking(organization, 50, 54))
    await asyncio.gather(*tasks)

    assert timedelta() < refused.value.retry_after < timedelta(seconds=1)
    await book(ledger, booking(organization, 50, 54))


async def test_organizations_do_not_wait_for_one_another(
    database: Database, database_url: str, organization: str
) -> None:
    ledger = Ledger(database)
    other = f"{organization}-b"
    async with on_its_way(ledger, database_url, organization):
        for number in range(3):
            await book(ledger, booking(other, number, number + 1))

    assert feeds(database_url, other) == [1, 1, 1]


async def test_copies_of_a_call_in_one_transaction_are_one_booking(
    database: Database, database_url: str, organization: str
) -> None:
    ledger = Ledger(database)
    call = key(organization)
    async with on_its_way(ledger, database_url, organization):
        tasks = [
            asyncio.create_task(ledger.book(call, booking(organization, 50, 54), f"{n}".encode()))
            for n in range(5)
        ]
        other = asyncio.create_task(
            ledger.book(call._replace(content_hash=b"other"), booking(organization, 60, 64), b"")
        )
        await queued(*tasks, other)
    answers = await asyncio.gather(*tasks)

    assert answers == [b"0"] * 5
    with pytest.raises(RequestIdReused):
        await other
    assert feeds(database_url, organization) == [1, 1, 1]


async def test_rivals_in_one_transaction_have_one_winner(
    database: Database, database_url: str, organization: str
) -> None:
    ledger = Ledger(database)
    async with on_its_way(ledger, database_url, organization):
        tasks = [
            asyncio.create_task(book(ledger, booking(organization, 50 + n, 54 + n)))
            for n in range(4)
        ]
        await queued(*tasks)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(outcomes[0], bytes)
    assert all(isinstance(outcome, SlotUnavailable) for outcome in outcomes[1:])


async def test_a_booking_cancelled_twice_in_one_transaction_is_freed_once(
    database: Database, database_url: str, organization: str
) -> None:
    ledger = Ledger(database)
    found = booking(organization, 50, 54)
    await book(ledger, found)
    async with on_its_way(ledger, database_url, organization):
        cancelling = [
            asyncio.create_task(ledger.cancel(key(organization, "CancelBooking"), found.booking_id))
            for _ in range(2)
        ]
        async with asyncio.timeout(5):
            while ledger.waiting < len(cancelling):  # both have read it by then  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        again = asyncio.create_task(book(ledger, booking(organization, 50, 54)))
        await queued(*cancelling, again)
    outcomes = await asyncio.gather(*cancelling, again, return_exceptions=True)

    # Whichever of the two came first.
    assert {type(outcome) for outcome in outcomes[:2]} == {bytes, InvalidState}
    assert isinstance(outcomes[2], bytes)
    assert await violations(database, organization) == 0


async def test_two_servers_may_be_the_first_ones_of_a_day(
    database_url: str, organization: str
) -> None:
    async with opened(database_url) as one, opened(database_url) as other:
        ledgers = [Ledger(one), Ledger(other)]
        for number in range(20):
            first = number * 96
            await asyncio.gather(
                book(ledgers[0], booking(organization, first, first + 4)),
                book(ledgers[1], booking(organization, first + 8, first + 12)),
            )

        assert await violations(one, organization) == 0
