"""The embedded PostgreSQL: what it keeps, what it refuses, what it leaves alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from shared.embedded import cluster
from shared.embedded.database import DatabaseExists, missing_databases
from shared.embedded.errors import DataFolderInUse, DataFolderUnusable, ServerDidNotStart
from shared.embedded.folder import FolderLock
from shared.embedded.postgres import EmbeddedPostgres


@pytest.fixture
def bystander(data_folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An unrelated process that nobody may end."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        assert process.poll() is None
        process.kill()


def test_data_is_kept_by_default_and_durably(data_folder: Path) -> None:
    with EmbeddedPostgres.start(data_folder) as server, psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")

    with EmbeddedPostgres.start(data_folder) as server, psycopg.connect(server.url()) as connection:
        row = connection.execute(
            "SELECT text, current_setting('fsync'), current_setting('synchronous_commit'),"
            " current_setting('timezone') FROM note"
        ).fetchone()

    assert row == ("kept", "on", "on", "UTC")


def test_a_throwaway_does_not_wait_for_the_disk(data_folder: Path) -> None:
    with (
        EmbeddedPostgres.start(data_folder, throwaway=True) as server,
        psycopg.connect(server.url()) as connection,
    ):
        row = connection.execute("SELECT current_setting('fsync')").fetchone()

    assert row == ("off",)


def test_it_listens_on_no_port(data_folder: Path) -> None:
    with (
        EmbeddedPostgres.start(data_folder, throwaway=True) as server,
        psycopg.connect(server.url()) as connection,
    ):
        row = connection.execute("SELECT current_setting('listen_addresses')").fetchone()

    assert row == ("",)


def test_its_address_says_the_port_so_that_pgport_has_no_say(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "7")

    with (
        EmbeddedPostgres.start(data_folder, throwaway=True) as server,
        psycopg.connect(server.url()) as connection,
    ):
        row = connection.execute("SELECT 1").fetchone()

    assert row == (1,)


def test_a_failed_statement_is_one_line_in_the_log(data_folder: Path) -> None:
    log = data_folder / "log"
    with (
        EmbeddedPostgres.start(data_folder, throwaway=True, log=log) as server,
        psycopg.connect(server.url()) as connection,
        pytest.raises(psycopg.errors.DivisionByZero),
    ):
        connection.execute("SELECT 1 / 0 AS lost_race")

    assert "ERROR:  division by zero" in log.read_text()
    assert "lost_race" not in log.read_text()


def test_what_was_committed_before_a_kill_is_there_after_it(data_folder: Path) -> None:
    server = EmbeddedPostgres.start(data_folder)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")
    server.process.send(signal.SIGKILL)
    server.stop()

    with EmbeddedPostgres.start(data_folder) as again, psycopg.connect(again.url()) as connection:
        row = connection.execute("SELECT text FROM note").fetchone()

    assert row == ("kept",)


def test_stopping_ends_open_connections_and_every_process(data_folder: Path) -> None:
    server = EmbeddedPostgres.start(data_folder, throwaway=True)
    connection = psycopg.connect(server.url())

    server.stop()

    with connection, pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    with pytest.raises(ProcessLookupError):
        os.kill(server.process.pid, 0)


def test_the_folder_of_its_socket_is_gone_after_a_stop(data_folder: Path) -> None:
    with EmbeddedPostgres.start(data_folder, throwaway=True) as server:
        folder = Path(server.url().partition("host=")[2])
        mode = folder.stat().st_mode & 0o777

    assert mode == 0o700
    assert not folder.exists()


def test_a_second_start_on_the_same_data_is_refused(data_folder: Path) -> None:
    with (
        EmbeddedPostgres.start(data_folder, throwaway=True),
        pytest.raises(DataFolderInUse, match=f"in use by process {os.getpid()}"),
    ):
        EmbeddedPostgres.start(data_folder)


def test_a_recycled_pid_neither_stops_a_start_nor_is_killed(
    data_folder: Path, bystander: subprocess.Popen[bytes]
) -> None:
    server = EmbeddedPostgres.start(data_folder, throwaway=True)
    lines = (data_folder / "cluster/postmaster.pid").read_text().splitlines()
    server.stop()
    lines[0] = str(bystander.pid)
    (data_folder / "cluster/postmaster.pid").write_text("\n".join(lines))

    with EmbeddedPostgres.start(data_folder, throwaway=True) as again:
        assert again.process.exit_code() is None


@pytest.mark.parametrize("text", ["", "x\n", "0\n", "9" * 99, "\xff"])
def test_a_damaged_pid_file_does_not_stop_a_start(data_folder: Path, text: str) -> None:
    EmbeddedPostgres.start(data_folder, throwaway=True).stop()
    (data_folder / "cluster/postmaster.pid").write_text(text, "latin-1")

    with EmbeddedPostgres.start(data_folder, throwaway=True) as again:
        assert again.process.exit_code() is None


def test_its_identity_is_that_of_its_cluster(data_folder: Path) -> None:
    identities = []
    for folder in ("one", "one", "other"):
        with EmbeddedPostgres.start(data_folder / folder, throwaway=True) as server:
            identities.append(server.identity)

    with (
        EmbeddedPostgres.start(data_folder / "one", throwaway=True) as server,
        psycopg.connect(server.url()) as connection,
    ):
        row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
    assert row == (int(identities[0]),)
    assert identities[0] == identities[1] != identities[2]


def test_a_server_that_was_left_running_is_named_and_left_alone(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    EmbeddedPostgres.start(data_folder, throwaway=True).stop()
    monkeypatch.setattr(cluster, "_LEFTOVER_PATIENCE", timedelta(0))
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=data_folder / "cluster"
    ) as leftover:
        with pytest.raises(DataFolderInUse, match=f"left running \\(process {leftover.pid}\\)"):
            EmbeddedPostgres.start(data_folder)

        assert leftover.poll() is None
        leftover.kill()


def test_a_half_made_cluster_is_made_anew(data_folder: Path) -> None:
    half = data_folder / "cluster.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")

    with EmbeddedPostgres.start(data_folder, throwaway=True) as server:
        assert server.process.exit_code() is None

    assert not half.exists()


def test_a_server_that_cannot_start_says_why_and_frees_the_folder(data_folder: Path) -> None:
    EmbeddedPostgres.start(data_folder, throwaway=True).stop()
    (data_folder / "cluster/postgresql.conf").write_text("nonsense = yes\n")

    with pytest.raises(ServerDidNotStart, match="exit code 1") as caught:
        EmbeddedPostgres.start(data_folder)

    assert 'unrecognized configuration parameter "nonsense"' in str(caught.value)
    FolderLock(data_folder).release()


def test_a_folder_of_another_version_is_refused(data_folder: Path) -> None:
    (data_folder / "cluster").mkdir()
    (data_folder / "cluster/PG_VERSION").write_text("15\n")

    with pytest.raises(DataFolderUnusable, match="PostgreSQL 15's and this is 18"):
        EmbeddedPostgres.start(data_folder)


def test_a_data_folder_that_is_a_file_is_refused(data_folder: Path) -> None:
    (data_folder / "data").write_text("")

    with pytest.raises(DataFolderUnusable, match="data cannot be used: "):
        EmbeddedPostgres.start(data_folder / "data")


def test_a_database_is_created_once(data_folder: Path) -> None:
    with EmbeddedPostgres.start(data_folder, throwaway=True) as server:
        server.create_database("catalog")

        with pytest.raises(DatabaseExists):
            server.create_database("catalog")
        missing = missing_databases(server.url(), ["catalog", "availability"])

    assert missing == ["availability"]
