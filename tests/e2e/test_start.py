"""One command starts the whole system, says so, and finds its data again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2

from tests import ordinary_user
from tests.e2e.running import (
    HOLDFAST,
    READY,
    ROOT,
    SERVICES,
    environment,
    system,
)
from tests.stores import PostgresServer


def is_serving(target: str) -> bool:
    with grpc.insecure_channel(target) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        answer = check(health_pb2.HealthCheckRequest(), timeout=5)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def test_a_first_start_says_one_ready_line_and_three_commands_that_work(data_folder: Path) -> None:
    data = data_folder / "data"

    with system(data) as running:
        ready, *commands = running.ready
        answers = [
            subprocess.run(
                command,
                shell=True,
                cwd=ROOT,
                env=environment({}),
                capture_output=True,
                text=True,
                check=False,
            )
            for command in commands
        ]
        _, said = running.stop()

    assert READY.fullmatch(ready)
    assert [command.split()[:3] for command in commands] == [
        [f"HOLDFAST_DATA={data}", str(HOLDFAST.relative_to(ROOT)), verb]
        for verb in ("month", "slots", "book")
    ]
    assert [answer.returncode for answer in answers] == [0, 0, 0], answers
    assert [line.split("] ")[1] for line in said.splitlines()] == [
        f"starting PostgreSQL, making its data in {data}/postgres",
        "starting catalog, availability, presence",
        "loading the demo data",
        "stopping; Ctrl-C again kills at once",
        "stopped",
    ]


def test_every_service_serves_when_the_system_is_ready(kept_data: Path) -> None:
    with system(kept_data) as running:
        assert all(is_serving(target) for target in running.targets.values())


def test_the_command_line_finds_the_system_by_its_data_only_while_it_runs(kept_data: Path) -> None:
    endpoints = kept_data / "endpoints.json"

    with system(kept_data) as running:
        written = json.loads(endpoints.read_text())
        running.stop()

        assert written == running.targets
        assert not endpoints.exists()


def test_a_booking_is_there_after_a_restart(kept_data: Path) -> None:
    with system(kept_data) as running:
        day = running.ready[2].split()[4]
        booked = running.holdfast("-o", "json", "book", "studio-a", f"{day}T10:00", *_HOUR)
        before = running.holdfast("-o", "json", "bookings", "list", "--resource", "studio-a")
        running.stop()
    with system(kept_data) as running:
        after = running.holdfast("-o", "json", "bookings", "list", "--resource", "studio-a")
        again = running.holdfast("book", "studio-a", f"{day}T10:00", *_HOUR)

    assert booked.returncode == 0, booked.stderr
    assert json.loads(after.stdout) == json.loads(before.stdout)
    assert "studio-a" in after.stdout
    assert again.returncode != 0
    assert "SLOT_UNAVAILABLE" in again.stderr


_HOUR = ("--duration", "60")


def test_the_demo_data_is_loaded_once(kept_data: Path) -> None:
    with system(kept_data) as running:
        _, said = running.stop()

    assert "demo" not in said


@pytest.mark.parametrize("lost", ["postgres", "postgres/cluster"])
def test_after_postgresql_s_data_is_lost_the_system_begins_anew(kept_data: Path, lost: str) -> None:
    shutil.rmtree(kept_data / lost)

    with system(kept_data) as running:
        resources = running.holdfast("resources", "list")
        running.stop()

    assert "studio-a" in resources.stdout


def test_given_stores_are_used_instead_of_embedded_ones(
    data_folder: Path, postgres_server: PostgresServer, valkey_url: str
) -> None:
    variables = {
        "HOLDFAST_POSTGRES_URL": postgres_server.url("postgres"),
        "HOLDFAST_REDIS_URL": valkey_url,
        "HOLDFAST_THROWAWAY_DATA": "1",
    }

    try:
        with system(data_folder, variables=variables) as running:
            resources = running.holdfast("resources", "list")
            _, said = running.stop()
            with psycopg.connect(postgres_server.url("catalog")) as connection:
                tables = connection.execute("SELECT count(*) FROM pg_tables").fetchone()
    finally:
        with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS catalog WITH (FORCE)")
            connection.execute("DROP DATABASE IF EXISTS availability WITH (FORCE)")

    assert "studio-a" in resources.stdout
    assert tables is not None
    assert not (data_folder / "postgres").exists()
    assert not (data_folder / "valkey").exists()
    assert said.endswith("] stopped\n")


def test_variables_of_libpq_are_not_for_an_embedded_server(data_folder: Path) -> None:
    elsewhere = {
        "PGHOSTADDR": "203.0.113.1",
        "PGOPTIONS": "-c nonsense=1",
        "PGPORT": "7",
        "PGSERVICE": "production",
        "PGTARGETSESSIONATTRS": "standby",
    }

    with system(data_folder, variables=elsewhere) as running:
        resources = running.holdfast("resources", "list")
        running.stop()

    assert "studio-a" in resources.stdout


def test_the_clock_starts_where_it_is_told_and_goes_on_from_there(data_folder: Path) -> None:
    start = {"HOLDFAST_CLOCK_START": "2027-03-01T08:00:00Z"}

    with system(data_folder, variables=start) as running:
        first_day = running.ready[2].split()[4]
        running.stop()
    offset = json.loads((data_folder / "launcher.json").read_text())["clock_offset_seconds"]
    with system(data_folder, variables=start) as running:
        slots = running.holdfast("slots", "studio-a", "2027-03-01", *_HOUR)
        running.stop()
    with system(data_folder) as running:
        _, said = running.stop()

    assert first_day == "2027-03-02"
    assert json.loads((data_folder / "launcher.json").read_text())["clock_offset_seconds"] == offset
    shown = datetime.now(UTC).timestamp() + offset
    assert abs(shown - datetime(2027, 3, 1, 8, tzinfo=UTC).timestamp()) < 300
    assert slots.returncode == 0, slots.stderr
    assert "the system's clock began at 2027-03-01T08:00:00Z with this data" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")
def test_an_ordinary_user_can_run_it(data_folder: Path) -> None:
    python = ordinary_user.python()
    os.chown(data_folder, ordinary_user.UID, ordinary_user.UID)

    with system(data_folder / "data", command=(*python, "-m", "services")) as running:
        serving = [is_serving(running.targets[name]) for name in SERVICES]
        code, _ = running.stop()
        owners = {path.stat().st_uid for path in (data_folder / "data").rglob("*")}

    assert serving == [True, True, True]
    assert code == 0
    assert owners == {ordinary_user.UID}
