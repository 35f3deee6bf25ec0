"""Real stores for tests: containers where a Docker engine is ready for them, else embedded."""

from __future__ import annotations

import functools
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import pytest

from shared.embedded import valkey
from shared.embedded.database import create_database, drop_client_variables
from shared.embedded.postgres import EmbeddedPostgres
from shared.embedded.valkey import EmbeddedValkey

POSTGRES_IMAGE = "postgres:18-alpine"
VALKEY_IMAGE = "valkey/valkey:9-alpine"
# "embedded" or "containers" (which pulls images); absent: whatever is there already.
_CHOICE_VARIABLE = "HOLDFAST_TEST_STORES"
# The path of another server than the embedded Valkey, such as Debian's /usr/bin/redis-server.
_REDIS_VARIABLE = "HOLDFAST_TEST_REDIS"
_ENGINE_PATIENCE_SECONDS = 2


class PostgresServer(Protocol):
    """A PostgreSQL server whose data is thrown away."""

    def url(self, database: str) -> str:
        """Returns the address of a database, for psycopg and, with its scheme, SQLAlchemy."""

    def create_database(self, name: str, template: str | None = None) -> None:
        """Creates a database, as a copy of ``template`` when one is named."""


class ValkeyServer(Protocol):
    """A Valkey server of the tests' own."""

    @property
    def url(self) -> str:
        """The address for redis-py."""


def fresh_database(server: PostgresServer, template: str | None = None) -> str:
    """Creates a database with a name of its own, copied from ``template``; returns its name."""
    name = f"test_{uuid.uuid4().hex}"
    server.create_database(name, template)
    return name


@contextmanager
def running_postgres(folder: Path) -> Iterator[PostgresServer]:
    """A server for one test process; an embedded one keeps its data in ``folder``."""
    drop_client_variables(os.environ)
    if has_container_images():
        with _postgres_container() as container:
            yield container
    else:
        with EmbeddedPostgres.start(folder, throwaway=True) as server:
            yield server


@contextmanager
def chosen_redis() -> Iterator[None]:
    """Has every embedded Valkey be the server that ``HOLDFAST_TEST_REDIS`` names, if it does."""
    chosen = os.environ.get(_REDIS_VARIABLE)
    if not chosen:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(valkey, "valkey_binary", lambda: Path(chosen).absolute())
        yield


@contextmanager
def running_valkey(folder: Path) -> Iterator[ValkeyServer]:
    """A server for one test process; an embedded one keeps its log in ``folder``."""
    if has_container_images() and not os.environ.get(_REDIS_VARIABLE):
        with _valkey_container() as container:
            yield container
    else:
        with EmbeddedValkey.start(folder) as server:
            yield server


@functools.cache
def has_container_images() -> bool:
    """Says whether tests use containers: the engine answers and need not pull anything.

    A pull may outlast a test's timeout, and a machine without network cannot make one: whoever
    wants it asks for it by ``HOLDFAST_TEST_STORES=containers``.
    """
    choice = os.environ.get(_CHOICE_VARIABLE)
    if choice is not None:
        return choice == "containers"
    if "DOCKER_HOST" not in os.environ and not Path("/var/run/docker.sock").exists():
        return False
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415  # 100 ms
    from testcontainers.core.docker_client import DockerClient  # noqa: PLC0415

    try:
        engine = DockerClient(timeout=_ENGINE_PATIENCE_SECONDS).client
        for image in (POSTGRES_IMAGE, VALKEY_IMAGE, testcontainers_config.ryuk_image):
            engine.images.get(image)
    except Exception:  # noqa: BLE001  # whatever the reason, there is nothing to use
        return False
    return True


class _PostgresContainer:
    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    def url(self, database: str) -> str:
        return urlunsplit(self._url._replace(path=f"/{database}"))

    def create_database(self, name: str, template: str | None = None) -> None:
        create_database(self.url("postgres"), name, template, by_files=True)


class _ValkeyContainer:
    def __init__(self, url: str) -> None:
        self._url = url

    @property
    def url(self) -> str:
        return self._url


@contextmanager
def _postgres_container() -> Iterator[PostgresServer]:
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415  # as above

    container = PostgresContainer(POSTGRES_IMAGE, username="holdfast", driver=None).with_command(
        "postgres -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        " -c max_connections=200 -c timezone=UTC"
    )
    with container:
        yield _PostgresContainer(container.get_connection_url())


@contextmanager
def _valkey_container() -> Iterator[ValkeyServer]:
    from testcontainers.community.valkey import ValkeyContainer  # noqa: PLC0415  # as above

    with ValkeyContainer(VALKEY_IMAGE) as container:
        host, port = container.get_host(), container.get_exposed_port()
        yield _ValkeyContainer(f"redis://{host}:{port}/0")
