"""Databases of the catalog."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.integration.catalog.database import migrated_database
from tests.stores import PostgresServer


@pytest.fixture(scope="session")
def catalog_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a migrated database that tests share."""
    with migrated_database(postgres_server) as url:
        yield url


@pytest.fixture
def organization() -> str:
    """An organization of the test's own."""
    return f"org-{uuid.uuid4().hex}"
