"""From which databases the catalog serves, and from which it refuses to."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from services.catalog.bootstrap import wired
from services.catalog.settings import CatalogSettings
from shared.embedded.postgres import EmbeddedPostgres
from shared.runtime.failure import StartRefused
from tests.integration.catalog.database import migrated_database
from tests.stores import PostgresServer


async def start(url: str, *, throwaway: bool = True) -> None:
    async with wired(CatalogSettings(postgres_url=url, throwaway_data=throwaway)):
        pass


async def test_a_migrated_database_is_served(catalog_database: str) -> None:
    await start(catalog_database)


async def test_a_database_that_is_not_migrated_is_refused(
    postgres_server: PostgresServer,
) -> None:
    with pytest.raises(StartRefused, match=r"python -m services\.catalog migrate"):
        await start(postgres_server.url("postgres"))


async def test_an_older_schema_is_refused_and_a_newer_one_is_served(
    postgres_server: PostgresServer,
) -> None:
    with migrated_database(postgres_server) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("update alembic_version set version_num = '9999'")
        await start(url)

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("update alembic_version set version_num = '0000'")
        with pytest.raises(StartRefused, match="at 0000"):
            await start(url)


async def test_data_that_may_be_lost_must_be_called_throw_away(catalog_database: str) -> None:
    with pytest.raises(StartRefused, match="HOLDFAST_THROWAWAY_DATA"):
        await start(catalog_database, throwaway=False)


async def test_synchronous_commit_off_alone_is_refused(data_folder: Path) -> None:
    with EmbeddedPostgres.start(data_folder) as durable, migrated_database(durable) as url:
        await start(url, throwaway=False)

        with pytest.raises(StartRefused, match="synchronous_commit=off"):
            await start(f"{url}&options=-c%20synchronous_commit%3Doff", throwaway=False)


async def test_a_database_out_of_reach_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StartRefused) as refusal:
        await start(f"postgresql://nobody@/catalog?host={tmp_path}")

    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret@/d?nonsense=1", "postgresql://u:secret@[", "secret=%%"]
)
async def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StartRefused) as refusal:
        await start(url)

    assert "secret" not in str(refusal.value)
