"""The migrations lead to the schema that the code is written against."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import NullPool, create_engine, inspect

from services.catalog.bootstrap import migrate
from services.catalog.settings import CatalogSettings
from services.catalog.storage import migrations
from services.catalog.storage.engine import HEAD
from services.catalog.storage.schema import metadata
from tests.integration.catalog.database import migrated_database
from tests.stores import PostgresServer


def test_a_migrated_database_has_exactly_the_tables_of_the_code(catalog_database: str) -> None:
    url = catalog_database.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(url, poolclass=NullPool)

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
        primary_keys = {
            table: inspect(connection).get_pk_constraint(table)["constrained_columns"]
            for table in metadata.tables
        }

    assert differences == []
    assert primary_keys == {
        name: [column.name for column in table.primary_key]
        for name, table in metadata.tables.items()
    }


def test_the_newest_migration_is_the_one_the_code_needs() -> None:
    versions = Path(migrations.__file__).parent / "versions"

    assert max(version.name for version in versions.glob("*.py")).partition("_")[0] == HEAD


def test_every_key_begins_with_the_organization() -> None:
    for table in metadata.tables.values():
        keys = [list(table.primary_key), *(list(index.columns) for index in table.indexes)]
        keys += [list(constraint.columns) for constraint in table.foreign_key_constraints]
        assert {key[0].name for key in keys} == {"organization_id"}


def test_migrating_again_changes_nothing(postgres_server: PostgresServer) -> None:
    with migrated_database(postgres_server) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("insert into organizations values ('kept', 7)")

        migrate(CatalogSettings(postgres_url=url))

        with psycopg.connect(url) as connection:
            assert connection.execute("select * from organizations").fetchall() == [("kept", 7)]


@pytest.mark.parametrize("column", ["resource_id", "schedule_id", "organization_id"])
def test_ids_sort_by_bytes_whatever_the_database_does(catalog_database: str, column: str) -> None:
    query = (
        "select collation_name from information_schema.columns"
        " where table_name = 'resources' and column_name = %s"
    )

    with psycopg.connect(catalog_database) as connection:
        assert connection.execute(query, [column]).fetchone() == ("C",)
