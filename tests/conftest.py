"""Fixtures that every test may ask for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from shared.embedded.database import drop_database
from shared.runtime import poller

poller.choose()  # as the services do, before gRPC is imported

from tests import stores  # noqa: E402  # it may import gRPC

# An example is as slow as the machine is busy.
settings.register_profile("holdfast", deadline=None)
settings.load_profile("holdfast")


@pytest.fixture(scope="session", autouse=True)
def _redis() -> Iterator[None]:
    """Whatever starts a Valkey of its own starts the one that was asked for."""
    with stores.chosen_redis():
        yield


@pytest.fixture(scope="session")
def store_folder() -> Iterator[Path]:
    """A folder for the servers of this test process."""
    with _folder() as folder:
        yield folder


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """An empty folder for a server's data: pytest would keep some 50 MB of each for three runs."""
    with _folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_server(store_folder: Path) -> Iterator[stores.PostgresServer]:
    """A PostgreSQL for this test process; not durable, and the services must be told so."""
    with stores.running_postgres(store_folder / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server(store_folder: Path) -> Iterator[stores.ValkeyServer]:
    """A Valkey for this test process."""
    with stores.running_valkey(store_folder / "valkey") as server:
        yield server


@pytest.fixture
def valkey_url(valkey_server: stores.ValkeyServer) -> str:
    """The address of an empty Valkey."""
    import redis  # noqa: PLC0415  # most tests do without

    with redis.Redis.from_url(valkey_server.url) as connection:
        connection.flushall()
        connection.script_flush()
    return valkey_server.url


@pytest.fixture
def fresh_database(postgres_server: stores.PostgresServer) -> Iterator[Callable[..., str]]:
    """``fresh_database(template=None)``: the address of a new database, gone after the test."""
    names: list[str] = []

    def create(template: str | None = None) -> str:
        names.append(stores.fresh_database(postgres_server, template))
        return postgres_server.url(names[-1])

    yield create
    for name in names:
        drop_database(postgres_server.url("postgres"), name)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="holdfast-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
