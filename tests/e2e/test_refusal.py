"""A start that cannot be: one clear message, and nothing is left running."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from services.launcher.store import DATABASES
from shared.embedded.database import missing_databases
from tests.e2e.running import ANY_PORTS, HOLDFAST, environment, refused, system
from tests.stores import PostgresServer


def test_a_taken_port_is_named_with_the_way_out(data_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])

        said = refused(data_folder, *ANY_PORTS[:-1], port)

    assert said.splitlines()[0] == (
        f"holdfast: port {port} for presence cannot be used on this machine (Address already in"
        " use): choose another with --presence-port PORT (0 is any free one) or"
        " HOLDFAST_PRESENCE_ADDRESS"
    )


def test_what_a_refused_first_start_leaves_can_be_wiped(data_folder: Path) -> None:
    data = data_folder / "data"
    refused(data, variables={"HOLDFAST_CLOCK_START": "tomorrow"})

    wiped = subprocess.run(
        [HOLDFAST, "wipe", "--yes"],
        env=environment({"HOLDFAST_DATA": str(data)}),
        capture_output=True,
        check=False,
    )

    assert wiped.returncode == 0, wiped.stderr
    assert not data.exists()


def test_a_second_start_on_the_same_data_is_refused_and_harms_nothing(kept_data: Path) -> None:
    with system(kept_data) as running:
        said = refused(kept_data)
        resources = running.holdfast("resources", "list")

    assert said == (
        f"holdfast: the system is already running on the data in {kept_data} (process"
        f" {running.process.pid}): use that one, stop it, or start another with its own --data"
        " and ports\n"
    )
    assert resources.returncode == 0


def test_another_clock_on_kept_data_is_refused(kept_data: Path) -> None:
    said = refused(kept_data, variables={"HOLDFAST_CLOCK_START": "2027-03-01T08:00:00Z"})

    assert said.splitlines()[0] == (
        f"holdfast: the data in {kept_data} began without, not with"
        " HOLDFAST_CLOCK_START=2027-03-01T08:00:00Z: unset it to go on, or give it a folder of its"
        " own with --data"
    )


def test_a_moved_clock_is_refused_beyond_loopback(data_folder: Path) -> None:
    variables = {
        "HOLDFAST_CLOCK_START": "2027-03-01T08:00:00Z",
        "HOLDFAST_CATALOG_ADDRESS": "0.0.0.0:0",
    }

    said = refused(data_folder, "--presence-port", "0", variables=variables)

    assert "a moved clock is for this machine only, and 0.0.0.0:0 is not loopback" in said


def test_an_unreachable_given_server_is_named(data_folder: Path) -> None:
    variables = {"HOLDFAST_POSTGRES_URL": "postgresql://someone:secret@127.0.0.1:1/postgres"}

    said = refused(data_folder, variables=variables)

    assert "holdfast: the server that HOLDFAST_POSTGRES_URL names cannot be used: " in said
    assert "secret" not in said


def test_an_embedded_server_that_lets_nobody_in_is_told_in_a_line(kept_data: Path) -> None:
    (kept_data / "postgres/databases-created").unlink()
    (kept_data / "postgres/cluster/pg_hba.conf").write_text("local all all reject\n")

    said = refused(kept_data)

    (message,) = [line for line in said.splitlines() if line.startswith("holdfast: ")]
    assert "PostgreSQL did not create the databases: " in message
    assert message.endswith(f"(see {kept_data}/logs/postgres.log)")


def test_a_given_server_that_may_lose_writes_is_refused_before_anything_is_made_on_it(
    data_folder: Path, postgres_server: PostgresServer
) -> None:
    server = postgres_server.url("postgres")

    said = refused(data_folder, variables={"HOLDFAST_POSTGRES_URL": server})

    assert (
        "holdfast: the server that HOLDFAST_POSTGRES_URL names cannot be used: it runs with"
        " fsync=off, full_page_writes=off, synchronous_commit=off and may lose acknowledged writes:"
        " set HOLDFAST_THROWAWAY_DATA=1 if this data may be lost\n"
    ) in said
    assert missing_databases(server, DATABASES) == list(DATABASES)


def test_a_half_installed_environment_is_told_from_a_bug(data_folder: Path) -> None:
    # Without its site-packages, Python finds our code and nothing else.
    said = refused(data_folder, command=(sys.executable, "-S", "-m", "services"))

    assert said.count("\n") == 1
    assert said.startswith("holdfast is not installed completely (")
    assert "make clean run" in said


def test_a_data_folder_that_cannot_be_written_is_named(data_folder: Path) -> None:
    (data_folder / "file").write_text("")

    said = refused(data_folder / "file" / "data")

    assert said.startswith(f"holdfast: the data folder {data_folder}/file/data cannot be used: ")
