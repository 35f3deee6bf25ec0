"""One change at a time in each organization, all of it or nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from services.catalog.app.create_resource import create_resource
from services.catalog.app.delete import delete
from services.catalog.app.once import once
from services.catalog.app.port import Change, DateRange, Page, RequestKey, ResourceFilter, View
from services.catalog.app.undelete import undelete
from services.catalog.app.update_schedule import update_schedule
from services.catalog.domain.record import Record
from services.catalog.domain.schedule import DateOverride, TimeWindow
from services.catalog.storage.answer import KEPT
from services.catalog.storage.schema import metadata
from services.catalog.storage.store import PostgresStore
from shared.runtime.failure import RequestIdReused
from tests.clock import ManualClock
from tests.integration.catalog.database import opened
from tests.integration.catalog.value import a_request, a_resource, a_schedule, an_event_type

NOW = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def store(catalog_database: str, clock: ManualClock) -> AsyncIterator[PostgresStore]:
    async with opened(catalog_database, clock) as store:
        yield store


async def made(store: PostgresStore, organization: str, resource_id: str = "studio-a") -> bytes:
    return await answered(store, organization, a_request(), resource_id)


async def answered(
    store: PostgresStore, organization: str, request: RequestKey, resource_id: str = "studio-a"
) -> bytes:
    async def effect(change: Change) -> bytes:
        record = await create_resource(change, a_resource(resource_id))
        return f"{record.value.resource_id} at {record.revision}".encode()

    return await once(store, organization, request, effect)


async def rows(url: str, organization: str) -> dict[str, int]:
    """How many rows each table has of an organization."""
    found = {}
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for table in metadata.tables:
            query = sql.SQL("select count(*) from {} where organization_id = %s")
            cursor = await connection.execute(query.format(sql.Identifier(table)), [organization])
            row = await cursor.fetchone()
            assert row is not None
            found[table] = row[0]
    return found


async def test_a_change_that_fails_leaves_nothing(
    store: PostgresStore, catalog_database: str, organization: str
) -> None:
    async def effect(change: Change) -> bytes:
        await create_resource(change, a_resource("studio-a"))
        await change.schedules.add(Record.new(a_schedule(), change.stamp))
        raise LookupError

    with pytest.raises(LookupError):
        await once(store, organization, a_request(), effect)

    assert set((await rows(catalog_database, organization)).values()) == {0}


async def test_a_change_keeps_its_answer_and_raises_the_revision_by_one(
    store: PostgresStore, organization: str
) -> None:
    request = a_request()

    first = await answered(store, organization, request)
    again = await answered(store, organization, request)
    second = await made(store, organization, "studio-b")

    assert (first, again, second) == (b"studio-a at 1", b"studio-a at 1", b"studio-b at 2")


async def test_a_request_id_with_other_content_is_refused(
    store: PostgresStore, organization: str
) -> None:
    request = a_request("one")
    await answered(store, organization, request)

    other = RequestKey(
        method=request.method, request_id=request.request_id, content=a_request("two").content
    )
    with pytest.raises(RequestIdReused):
        await answered(store, organization, other, "studio-b")


async def test_an_answer_is_kept_for_a_day_and_dropped_later(
    store: PostgresStore, clock: ManualClock, catalog_database: str, organization: str
) -> None:
    requests = [a_request() for _ in range(3)]
    for number, request in enumerate(requests):
        await answered(store, organization, request, f"r{number}")

    clock.advance(timedelta(hours=24))
    assert await answered(store, organization, requests[0], "r0") == b"r0 at 1"
    clock.set(NOW + KEPT + timedelta(seconds=1))
    await made(store, organization, "later")

    assert (await rows(catalog_database, organization))["request_keys"] == 1


async def test_outdated_answers_are_dropped_a_few_at_a_time(
    store: PostgresStore, clock: ManualClock, catalog_database: str, organization: str
) -> None:
    insert = (
        "insert into request_keys select %s, 'Old', gen_random_uuid(), '', '', %s"
        " from generate_series(1, 50)"
    )
    async with await psycopg.AsyncConnection.connect(catalog_database) as connection:
        await connection.execute(insert, [organization, NOW - KEPT - timedelta(days=1)])

    left = []
    for number in range(4):
        await made(store, organization, f"r{number}")
        left.append((await rows(catalog_database, organization))["request_keys"])

    assert left == [31, 12, 3, 4]


async def test_another_organizations_outdated_answers_are_left_alone(
    store: PostgresStore, clock: ManualClock, catalog_database: str, organization: str
) -> None:
    await made(store, organization)
    clock.advance(timedelta(days=9))

    await made(store, f"{organization}-other")

    assert (await rows(catalog_database, organization))["request_keys"] == 1


async def test_a_row_tells_when_it_changed(
    store: PostgresStore, clock: ManualClock, organization: str
) -> None:
    await made(store, organization)
    clock.advance(timedelta(hours=1))

    async def take_out(change: Change) -> bytes:
        await delete(change, change.resources, "studio-a", "")
        return b""

    await once(store, organization, a_request(), take_out)
    deleted = await store.read(organization, lambda view: view.resources.find("studio-a"))
    clock.advance(timedelta(hours=1))

    async def bring_back(change: Change) -> bytes:
        await undelete(change, change.resources, "studio-a")
        return b""

    await once(store, organization, a_request(), bring_back)
    restored = await store.read(organization, lambda view: view.resources.find("studio-a"))

    hour = timedelta(hours=1)
    assert deleted is not None
    assert restored is not None
    assert (deleted.create_time, deleted.update_time, deleted.delete_time) == (
        NOW,
        NOW + hour,
        NOW + hour,
    )
    assert (restored.update_time, restored.delete_time) == (NOW + 2 * hour, None)


async def test_values_come_back_as_they_were_written(
    store: PostgresStore, organization: str
) -> None:
    resource = a_resource(metadata={"ä": "\U0001f3b9", "quote": "'\"\\"}, description="a\nb\t%")
    event_type = an_event_type(
        duration_options=(timedelta(minutes=1), timedelta(days=31)),
        slot_interval=timedelta(minutes=15),
        horizon=timedelta(days=3_660),
        minimum_notice=timedelta(days=366),
        locations=("Here, {there}", "NULL", '"quoted"'),
    )

    async def effect(change: Change) -> bytes:
        await change.resources.add(Record.new(resource, change.stamp))
        await change.event_types.add(Record.new(event_type, change.stamp))
        return b""

    await once(store, organization, a_request(), effect)

    found = await store.read(organization, lambda view: view.resources.find("studio-a"))
    other = await store.read(organization, lambda view: view.event_types.find("one-hour"))
    assert found is not None
    assert found.value == resource
    assert other is not None
    assert other.value == event_type


async def test_changes_of_one_organization_do_not_take_all_connections(
    catalog_database: str, organization: str
) -> None:
    inside = asyncio.Event()
    release = asyncio.Event()

    async def slow(change: Change) -> bytes:
        inside.set()
        await release.wait()
        return b""

    async with opened(catalog_database, pool_size=2) as store:
        first = asyncio.create_task(once(store, organization, a_request(), slow))
        await inside.wait()
        waiting = [
            asyncio.create_task(made(store, organization, f"r{number}")) for number in range(10)
        ]
        await asyncio.sleep(0)

        assert await made(store, f"{organization}-other") == b"studio-a at 1"
        release.set()
        await asyncio.gather(first, *waiting)


async def test_replicas_take_turns(catalog_database: str, organization: str) -> None:
    requests = [a_request() for _ in range(20)]

    async with opened(catalog_database) as one, opened(catalog_database) as other:
        answers = await asyncio.gather(
            *(
                answered(store, organization, request, f"r{number}")
                for number, request in enumerate(requests)
                for store in (one, other)
            )
        )

    assert answers[::2] == answers[1::2]
    revisions = sorted(int(answer.rpartition(b" ")[2]) for answer in answers[::2])
    assert revisions == list(range(1, 21))


async def test_an_offering_is_read_from_one_moment(store: PostgresStore, organization: str) -> None:
    await _prepare_offering(store, organization)
    stop = asyncio.Event()
    changes = asyncio.create_task(_rename_for_ever(store, organization, stop))

    try:
        for _ in range(200):
            offering = await store.read(
                organization,
                lambda view: view.offerings.read("studio-a", "one-hour", since=date.min),
            )
            assert offering.hours is not None
            schedule = offering.hours.schedule
            assert schedule.revision == offering.version
            assert schedule.value.name == offering.hours.overrides[0].note
    finally:
        stop.set()
        await changes


async def _prepare_offering(store: PostgresStore, organization: str) -> None:
    async def effect(change: Change) -> bytes:
        await change.schedules.add(Record.new(a_schedule(name="0", is_default=True), change.stamp))
        await change.resources.add(Record.new(a_resource(), change.stamp))
        await change.event_types.add(Record.new(an_event_type(), change.stamp))
        await change.date_overrides.put("hours", _noted("0"))
        return b""

    await once(store, organization, a_request(), effect)


async def _rename_for_ever(store: PostgresStore, organization: str, stop: asyncio.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        name = str(number)

        async def effect(change: Change, name: str = name) -> bytes:
            await change.date_overrides.put("hours", _noted(name))
            await update_schedule(change, "hours", "", {"name": name})
            return b""

        await once(store, organization, a_request(), effect)


def _noted(note: str) -> DateOverride:
    window = TimeWindow(0, 60)
    return DateOverride(date=date(2027, 3, 8), unavailable=False, windows=(window,), note=note)


async def test_hours_hold_the_overrides_of_the_dates_asked_for(
    store: PostgresStore, organization: str
) -> None:
    await _prepare_offering(store, organization)
    day = date(2027, 3, 8)

    async def found(first: date, last: date) -> int:
        hours = await store.read(
            organization,
            lambda view: view.schedules.hours("hours", DateRange(first=first, last=last)),
        )
        assert hours is not None
        return len(hours.overrides)

    assert await found(day, day) == 1
    assert await found(day + timedelta(days=1), date.max) == 0
    assert await found(date.min, day - timedelta(days=1)) == 0


async def test_callers_who_give_up_break_nothing(catalog_database: str, organization: str) -> None:
    """Cancelled at random, changes happen wholly or not at all, and every connection is whole."""
    source = random.Random(1)

    async with opened(catalog_database, pool_size=3) as store:

        async def impatient(number: int) -> None:
            try:
                async with asyncio.timeout(source.uniform(0.0001, 0.03)):
                    if number % 3:
                        await made(store, f"{organization}-{number % 2}", f"r{number}")
                    else:
                        await store.read(organization, _listed)
            except TimeoutError:
                pass

        for start in range(0, 150, 15):
            await asyncio.gather(*(impatient(number) for number in range(start, start + 15)))
        await asyncio.gather(*(store.read(organization, _listed) for _ in range(9)))

    for half in (0, 1):
        counted = await rows(catalog_database, f"{organization}-{half}")
        assert counted["request_keys"] == counted["resources"]


async def _listed(view: View) -> int:
    return len(await view.resources.page(ResourceFilter(), Page(after="", limit=10)))
