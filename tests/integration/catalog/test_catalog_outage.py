"""A database that is down, slow, full of callers, or gone for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import exc, text

from services.catalog.app.create_resource import create_resource
from services.catalog.app.once import once
from services.catalog.app.port import Change, Page, ResourceFilter, View
from services.catalog.bootstrap import migrate
from services.catalog.settings import CatalogSettings
from services.catalog.storage.store import PostgresStore
from shared.embedded.postgres import EmbeddedPostgres
from shared.runtime.failure import Failure, Overloaded, StoreUnavailable
from tests.integration.catalog.database import migrated_database, opened
from tests.integration.catalog.value import a_request, a_resource
from tests.stores import PostgresServer

SHORT = timedelta(milliseconds=200)


@pytest.fixture
def own_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a migrated database that no other test uses."""
    with migrated_database(postgres_server) as url:
        yield url


async def listed(view: View) -> list[str]:
    records = await view.resources.page(ResourceFilter(), Page(after="", limit=100))
    return [record.value.resource_id for record in records]


async def create(
    store: PostgresStore,
    organization: str,
    before: Callable[[View, int], object] | None = None,
) -> int:
    """Creates a resource; ``before`` is called with the number of each try. Returns the tries."""
    tries = 0

    async def effect(change: Change) -> bytes:
        nonlocal tries
        tries += 1
        found = before(change, tries) if before else None
        if asyncio.iscoroutine(found):
            await found
        await create_resource(change, a_resource())
        return b""

    await once(store, organization, a_request(), effect)
    return tries


async def execute(view: View, statement: str) -> None:
    """Runs SQL of the test's own over the view's connection."""
    await view.resources._connection.execute(text(statement))  # type: ignore[attr-defined]  # on purpose


def end_connections(url: str) -> int:
    """Ends the catalog's connections to a database; says how many there were."""
    query = (
        "select count(pg_terminate_backend(pid)) from pg_stat_activity"
        " where datname = current_database() and application_name = 'holdfast-catalog'"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


async def test_connections_ended_while_idle_are_not_noticed_by_callers(
    own_database: str, organization: str
) -> None:
    async with opened(own_database) as store:
        await asyncio.gather(*(store.read(organization, listed) for _ in range(8)))
        assert end_connections(own_database) > 1

        await create(store, organization)
        assert end_connections(own_database) >= 1
        found = await asyncio.gather(*(store.read(organization, listed) for _ in range(8)))

    assert found == [["studio-a"]] * 8


async def test_a_change_that_is_cut_off_is_made_by_the_second_try(
    own_database: str, organization: str
) -> None:
    def cut_off(_: View, number: int) -> None:
        if number == 1:
            end_connections(own_database)

    async with opened(own_database) as store:
        assert await create(store, organization, cut_off) == 2
        assert await store.read(organization, listed) == ["studio-a"]


async def test_a_change_that_is_always_cut_off_is_unavailable(
    own_database: str, organization: str
) -> None:
    async with opened(own_database) as store:
        with pytest.raises(StoreUnavailable):
            await create(store, organization, lambda *_: end_connections(own_database))

        assert await store.read(organization, listed) == []


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_transaction_that_the_database_ended_is_tried_once_more(
    catalog_database: str, organization: str, state: str
) -> None:
    async def fail_first(view: View, number: int) -> None:
        if number == 1:
            await execute(view, raising(state))

    async with opened(catalog_database) as store:
        assert await create(store, organization, fail_first) == 2
        assert await store.read(organization, listed) == ["studio-a"]


def raising(state: str) -> str:
    return f"do $$ begin raise exception using errcode = '{state}'; end $$"


@pytest.mark.parametrize(
    ("state", "failure"),
    [
        pytest.param("40001", Overloaded, id="serialization failure, twice"),
        pytest.param("40P01", Overloaded, id="deadlock, twice"),
        pytest.param("55P03", Overloaded, id="lock timeout"),
        pytest.param("57014", Overloaded, id="statement timeout"),
        pytest.param("53100", StoreUnavailable, id="disk full"),
        pytest.param("53200", StoreUnavailable, id="out of memory"),
        pytest.param("53300", StoreUnavailable, id="too many connections"),
        pytest.param("57P01", StoreUnavailable, id="shutting down"),
        pytest.param("57P03", StoreUnavailable, id="starting up"),
        pytest.param("58030", StoreUnavailable, id="input or output error"),
        pytest.param("25006", StoreUnavailable, id="read only"),
        pytest.param("25P03", StoreUnavailable, id="idle in transaction"),
        pytest.param("25P04", StoreUnavailable, id="transaction timeout"),
    ],
)
async def test_what_the_database_cannot_do_is_told_as_it_is(
    catalog_database: str, organization: str, state: str, failure: type[Failure]
) -> None:
    async with opened(catalog_database) as store:
        with pytest.raises(failure):
            await create(store, organization, lambda view, _: execute(view, raising(state)))

        assert await store.read(organization, listed) == []


@pytest.mark.parametrize("state", ["22012", "42P01", "23514"])
async def test_what_only_a_bug_can_cause_is_no_outage(
    catalog_database: str, organization: str, state: str
) -> None:
    async with opened(catalog_database) as store:
        with pytest.raises(exc.DBAPIError):
            await create(store, organization, lambda view, _: execute(view, raising(state)))


async def test_a_statement_that_takes_too_long_is_ended(
    catalog_database: str, organization: str
) -> None:
    async with opened(catalog_database, statement_timeout=SHORT) as store:
        with pytest.raises(Overloaded):
            await store.read(organization, lambda view: execute(view, "select pg_sleep(60)"))

        assert await store.read(organization, listed) == []


async def test_a_change_does_not_wait_for_ever_for_another_replicas(
    catalog_database: str, organization: str
) -> None:
    async with opened(catalog_database, statement_timeout=SHORT) as store:
        await create(store, organization)
        async with await psycopg.AsyncConnection.connect(catalog_database) as other:
            await other.execute(
                "select from organizations where organization_id = %s for update", [organization]
            )
            with pytest.raises(Overloaded):
                await create(store, organization)

            assert await store.read(organization, listed) == ["studio-a"]


async def test_without_a_free_connection_a_call_is_refused_soon(
    catalog_database: str, organization: str
) -> None:
    taken, release = asyncio.Event(), asyncio.Event()

    async def hold(view: View) -> list[str]:
        taken.set()
        await release.wait()
        return await listed(view)

    async with opened(catalog_database, pool_size=1, pool_timeout=SHORT) as store:
        holding = asyncio.create_task(store.read(organization, hold))
        await taken.wait()

        with pytest.raises(Overloaded):
            await store.read(organization, listed)

        release.set()
        assert await holding == []
        assert await store.read(organization, listed) == []


async def test_a_database_that_only_reads_still_answers_reads(
    own_database: str, organization: str
) -> None:
    async with opened(own_database) as store:
        await create(store, organization)
    with psycopg.connect(own_database, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        setting = sql.SQL("alter database {} set default_transaction_read_only = on")
        connection.execute(setting.format(name))

    async with opened(own_database) as store:
        with pytest.raises(StoreUnavailable):
            await create(store, organization)

        assert await store.read(organization, listed) == ["studio-a"]


async def test_a_database_that_comes_back_is_used_at_once(
    data_folder: Path, organization: str
) -> None:
    server = EmbeddedPostgres.start(data_folder, throwaway=True)
    try:
        server.create_database("catalog")
        migrate(CatalogSettings(postgres_url=server.url("catalog")))
        # A throw-away server keeps what it wrote before a checkpoint, and little else.
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("checkpoint")
        async with opened(server.url("catalog")) as store:
            await asyncio.gather(*(store.read(organization, listed) for _ in range(4)))

            server.stop()
            with pytest.raises(StoreUnavailable):
                await store.read(organization, listed)
            with pytest.raises(StoreUnavailable):
                await create(store, organization)

            server = EmbeddedPostgres.start(data_folder, throwaway=True)
            assert await create(store, organization) == 1
            assert await store.read(organization, listed) == ["studio-a"]
    finally:
        server.stop()
