"""The store fixtures that the other suites build on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from tests.stores import PostgresServer, running_postgres


def test_a_fresh_database_is_a_copy_of_its_template(
    postgres_server: PostgresServer, fresh_database: Callable[..., str]
) -> None:
    template = fresh_database()
    with psycopg.connect(template) as connection:
        connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")

    with psycopg.connect(fresh_database(urlsplit(template).path.lstrip("/"))) as copy:
        row = copy.execute("SELECT text FROM note").fetchone()

    assert row == ("kept",)


def test_a_fresh_database_is_apart_from_every_other(fresh_database: Callable[..., str]) -> None:
    first, second = fresh_database(), fresh_database()

    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE note (text text)")

    with psycopg.connect(second) as connection:
        row = connection.execute("SELECT to_regclass('note')").fetchone()
    assert row == (None,)


def test_the_valkey_of_a_test_is_empty_and_writable(valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as connection:
        keys_before = connection.dbsize()
        connection.set("note", "kept")
        note = connection.get("note")

    assert keys_before == 0
    assert note == b"kept"


def test_the_valkey_of_the_next_test_is_empty_too(valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as connection:
        keys_before = connection.dbsize()
        connection.set("other", "kept")

    assert keys_before == 0


def test_the_servers_of_tests_are_found_whatever_libpq_is_told(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "7")
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")

    with (
        running_postgres(data_folder) as server,
        psycopg.connect(server.url("postgres")) as connection,
    ):
        row = connection.execute("SELECT 1").fetchone()

    assert row == (1,)
