"""A database for tests under faults, and a furnished scene of each test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.faults.scene import Scene, furnished
from tests.integration.availability.database import migrated_database
from tests.stores import PostgresServer


@pytest.fixture(scope="session")
def faults_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database that no other tests use: its deadlocks are counted."""
    with migrated_database(postgres_server) as url:
        yield url


@pytest.fixture
async def scene(faults_url: str) -> AsyncIterator[Scene]:
    async with furnished(faults_url) as found:
        yield found
