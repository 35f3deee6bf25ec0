"""Bookings decided by days that are remembered: in one round trip if they are so, right if not."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import psycopg
import pytest

from services.availability.domain.booking import BookingItem
from services.availability.domain.claim import FREE, DayKey, DayState
from services.availability.domain.refusal import IdTaken, SlotUnavailable
from services.availability.storage.database import Database
from shared.runtime.failure import RequestIdReused
from shared.slots.quantum import QUANTA_PER_DAY
from tests.integration.availability.database import dump, rows, waiting_for_a_lock
from tests.integration.availability.entry import (
    MONDAY,
    Ledger,
    Memory,
    booking,
    key,
    round_trips,
    violations,
)

DAY = MONDAY // QUANTA_PER_DAY
STUDIO = DayKey("studio-a", DAY)


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def ledger(database: Database, memory: Memory) -> Ledger:
    return Ledger(database, memory.noted, remember=memory)


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    return round_trips(monkeypatch)


def busy(url: str, organization: str) -> dict[tuple[str, int], str]:
    """The quanta taken of each day, by resource and day after Monday."""
    found = rows(
        url,
        "select resource_id, day - date '2027-03-08', busy::text from days"
        " where organization_id = %s",
        organization,
    )
    return {(resource_id, day): bits for resource_id, day, bits in found}


def bits(*taken: range) -> str:
    """A day as stored."""
    quanta = {quantum for each in taken for quantum in each}
    return "".join("1" if quantum in quanta else "0" for quantum in range(QUANTA_PER_DAY))


async def test_days_that_are_as_remembered_cost_one_round_trip(
    ledger: Ledger, database: Database, database_url: str, organization: str, trips: list[None]
) -> None:
    # A day nobody ever booked, one that has a row, and a bundle over two days of both kinds.
    await ledger.book(key(organization), booking(organization, 0, 4), b"1")
    await ledger.book(key(organization), booking(organization, 8, 12), b"2")
    bundle = booking(organization, 90, 100, resources=["studio-a", "studio-b"])
    await ledger.book(key(organization), bundle, b"3")

    assert len(trips) == 3
    first, second = bits(range(4), range(8, 12), range(90, 96)), bits(range(4))
    assert busy(database_url, organization) == {
        ("studio-a", 0): first,
        ("studio-a", 1): second,
        ("studio-b", 0): bits(range(90, 96)),
        ("studio-b", 1): second,
    }
    numbers = "select feed from outbox where organization_id = %s order by feed"
    assert rows(database_url, numbers, organization) == [(1,), (2,), (3,)]
    assert await violations(database, organization) == 0


async def test_the_rows_are_those_of_a_booking_that_is_decided_under_locks(
    ledger: Ledger, database: Database, database_url: str, organization: str
) -> None:
    other = f"{organization}-2"
    plain = Ledger(database)
    for number, first in enumerate((0, 10)):
        wanted = booking(organization, first, first + 4, booking_id=f"b-{number}")
        request = key(organization)
        await ledger.book(request, wanted, b"told")
        twin = replace(wanted, organization_id=other)
        await plain.book(request._replace(organization_id=other), twin, b"told")

    def of(name: str) -> dict[str, list[str]]:
        found = dump(database_url, name)
        # The database's own time is another one.
        return {
            table: [line.replace(name, "org") for line in lines]
            for table, lines in found.items()
            if table not in {"request_keys", "outbox"}
        }

    assert of(organization) == of(other)
    told = (
        "select feed, ordinal, kind, booking_id, revision, payload::text from outbox"
        " where organization_id = %s order by feed"
    )
    assert rows(database_url, told, organization) == rows(database_url, told, other)
    answers = (
        "select method, request_id, content_hash, answer from request_keys"
        " where organization_id = %s order by request_id"
    )
    assert rows(database_url, answers, organization) == rows(database_url, answers, other)


async def test_time_that_is_taken_though_remembered_as_free_is_refused(
    ledger: Ledger, memory: Memory, database: Database, database_url: str, organization: str
) -> None:
    await Ledger(database).book(key(organization), booking(organization, 0, 4), b"")
    before = dump(database_url, organization)

    for remembered in (FREE, DayState(0, 1), DayState(0b1111 << 10, 1)):
        memory.days[STUDIO] = remembered
        with pytest.raises(SlotUnavailable):
            await ledger.book(key(organization), booking(organization, 2, 6), b"")

    assert dump(database_url, organization) == before


@pytest.mark.parametrize(
    "remembered",
    [
        pytest.param(FREE, id="no row"),
        pytest.param(DayState(0, 1), id="free"),
        pytest.param(DayState(0b1 << 50, 1), id="other content of that version"),
        pytest.param(DayState((1 << QUANTA_PER_DAY) - 1, 7), id="all taken"),
        pytest.param(DayState(0b1111, 1, (0b1111,)), id="counted"),
    ],
)
async def test_what_others_did_meanwhile_is_neither_lost_nor_done_twice(
    ledger: Ledger,
    memory: Memory,
    database: Database,
    database_url: str,
    organization: str,
    remembered: DayState,
) -> None:
    await Ledger(database).book(key(organization), booking(organization, 0, 4), b"")
    memory.days[STUDIO] = remembered

    await ledger.book(key(organization), booking(organization, 8, 12), b"")

    assert busy(database_url, organization) == {("studio-a", 0): bits(range(4), range(8, 12))}
    assert await violations(database, organization) == 0
    # What it told of is right again.
    assert memory.days[STUDIO] == DayState(0b111100001111, 2)


@pytest.mark.parametrize("more", [0, 1], ids=["as the same version", "as another version"])
async def test_a_day_that_is_written_as_it_was_while_one_waits_for_it_is_still_written(
    ledger: Ledger, database: Database, database_url: str, organization: str, more: int
) -> None:
    # The statement that waits sees the row as it was before: what it finds there is not the row.
    await ledger.book(key(organization), booking(organization, 0, 4), b"")
    with psycopg.connect(database_url) as rival:
        rival.execute(
            "update days set version = version + %s where organization_id = %s",
            [more, organization],
        )
        waiting = asyncio.create_task(
            ledger.book(key(organization), booking(organization, 8, 12), b"")
        )
        await waiting_for_a_lock(database_url)
    await waiting

    assert busy(database_url, organization) == {("studio-a", 0): bits(range(4), range(8, 12))}
    assert await violations(database, organization) == 0


async def test_a_row_that_is_remembered_but_not_there_is_made(
    ledger: Ledger, memory: Memory, database: Database, database_url: str, organization: str
) -> None:
    memory.days[STUDIO] = DayState(0, 12)

    await ledger.book(key(organization), booking(organization, 8, 12), b"")

    assert busy(database_url, organization) == {("studio-a", 0): bits(range(8, 12))}
    assert await violations(database, organization) == 0


async def test_one_day_of_many_that_has_changed_is_enough(
    ledger: Ledger, memory: Memory, database: Database, database_url: str, organization: str
) -> None:
    names = [f"r{number}" for number in range(10)]
    await Ledger(database).book(
        key(organization), booking(organization, 0, 1, resources=["r9"]), b""
    )

    wanted = booking(organization, 90, 300, resources=names)
    await ledger.book(key(organization), wanted, b"")
    with pytest.raises(SlotUnavailable):
        await ledger.book(key(organization), replace(wanted, booking_id="again"), b"")

    assert busy(database_url, organization)["r9", 0] == bits(range(1), range(90, 96))
    assert await violations(database, organization) == 0


async def test_a_repeated_call_has_its_answer(
    ledger: Ledger, memory: Memory, database: Database, database_url: str, organization: str
) -> None:
    request = key(organization)
    await Ledger(database).book(request, booking(organization, 0, 4), b"first")

    # Of other time, which is free: nothing but the key says that it was answered.
    again = await ledger.book(request, booking(organization, 8, 12), b"second")
    with pytest.raises(RequestIdReused):
        await ledger.book(
            request._replace(content_hash=b"other"), booking(organization, 8, 12), b"third"
        )

    assert again == b"first"
    assert busy(database_url, organization) == {("studio-a", 0): bits(range(4))}


async def test_a_bookings_id_is_taken_once(
    ledger: Ledger, database: Database, database_url: str, organization: str
) -> None:
    await Ledger(database).book(
        key(organization), booking(organization, 0, 4, booking_id="mine"), b""
    )
    before = dump(database_url, organization)

    with pytest.raises(IdTaken):
        await ledger.book(key(organization), booking(organization, 8, 12, booking_id="mine"), b"")

    assert dump(database_url, organization) == before


async def test_units_of_a_pool_are_counted_under_locks(
    ledger: Ledger, memory: Memory, organization: str
) -> None:
    wanted = booking(organization, 0, 4)
    (item,) = wanted.items
    pooled: tuple[BookingItem, ...] = (replace(item, is_pool=True),)

    await ledger.book(key(organization), replace(wanted, items=pooled), b"")

    assert memory.asked == 0


async def test_of_many_who_remember_a_slot_as_free_one_gets_it(
    database: Database, organization: str
) -> None:
    # Servers that hear nothing of one another.
    memories = [Memory() for _ in range(8)]
    ledgers = [Ledger(database, memory.noted, remember=memory) for memory in memories]

    async def attempt(number: int) -> bool:
        try:
            wanted = booking(organization, number % 3, 3 + number % 5)
            await ledgers[number % 8].book(key(organization), wanted, b"")
        except SlotUnavailable:
            return False
        return True

    won = await asyncio.gather(*map(attempt, range(200)))

    assert sum(won) == 1
    assert await violations(database, organization) == 0


async def test_bundles_that_cross_never_deadlock_and_never_overlap(
    database: Database, database_url: str, organization: str
) -> None:
    memories = [Memory() for _ in range(4)]
    ledgers = [Ledger(database, memory.noted, remember=memory) for memory in memories]
    names = [f"r{number}" for number in range(5)]

    async def attempt(number: int) -> None:
        first = number * 7 % 90
        chosen = [*names[number % 5 :], *names[: number % 5]][: 1 + number % 3]
        wanted = booking(organization, first, first + 6 + number % 120, resources=chosen)
        with suppress(SlotUnavailable):
            await ledgers[number % 4].book(key(organization), wanted, b"")

    await asyncio.gather(*map(attempt, range(400)))

    assert await violations(database, organization) == 0
    numbers = "select distinct feed from outbox where organization_id = %s order by feed"
    found = [number for (number,) in rows(database_url, numbers, organization)]
    assert found == list(range(1, len(found) + 1))
