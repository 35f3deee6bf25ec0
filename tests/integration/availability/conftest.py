"""A database of availability, and stores over it; each test has an organization of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from services.availability.storage.database import Database
from tests.integration.availability.database import migrated_database, opened
from tests.stores import PostgresServer


@pytest.fixture(scope="session")
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


@pytest.fixture
def organization() -> str:
    return f"org-{uuid.uuid4().hex}"
