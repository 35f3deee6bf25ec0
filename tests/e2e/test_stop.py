"""However it ends, it ends soon and leaves nothing behind."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.running import descendants, launched, system, wait_until_ready

_EVERYTHING = ("bin/postgres", "valkey-server", *(f"services.{n}" for n in ("catalog", "presence")))
# The environment is there; whether it is up to date is not the point. Make splits names at
# spaces, so it gets a relative one.
_PROJECT = Path(__file__).parents[2]
_VENV = Path(os.path.relpath(sys.prefix, _PROJECT))
_MAKE = (
    *("sh", "-c"),
    f'cd {shlex.quote(str(_PROJECT))} && exec make VENV={_VENV} -o {_VENV}/.run run ARGS="$*"',
    "make",
)
_SECOND_THOUGHT_SECONDS = 0.5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_request_to_stop_is_followed_and_leaves_nothing(
    kept_data: Path, number: signal.Signals
) -> None:
    with system(kept_data) as running:
        assert all(running.child(program) for program in _EVERYTHING)

        code, said = running.stop(number)

        assert code == 0
        assert said.splitlines()[-1].endswith("stopped")
        assert running.left() == []


def test_a_request_to_stop_during_the_start_is_followed(data_folder: Path) -> None:
    with launched(data_folder / "data") as running:
        stderr = running.process.stderr
        assert stderr is not None
        while "starting catalog" not in stderr.readline():
            pass
        running.pids = descendants(running.process.pid)

        code, _ = running.stop()

        assert code == 0
        assert running.left() == []


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_stopping_make_stops_the_system(kept_data: Path) -> None:
    with launched(kept_data, command=_MAKE) as running:
        wait_until_ready(running)
        running.process.send_signal(signal.SIGTERM)
        running.end()

        assert running.left() == []


def test_killing_the_launcher_leaves_nothing(kept_data: Path) -> None:
    with system(kept_data) as running:
        running.process.kill()

        assert running.left() == []


def test_the_data_of_a_killed_launcher_starts_again_at_once(kept_data: Path) -> None:
    ports = ("--catalog-port", "0", "--availability-port", "0", "--presence-port")

    with system(kept_data, *ports, "0") as running:
        port = running.targets["presence"].rpartition(":")[2]
        running.process.kill()
        running.process.wait()
    with system(kept_data, *ports, port) as running:
        code, _ = running.stop()

    assert code == 0


def test_a_second_interrupt_kills_at_once(kept_data: Path) -> None:
    with system(kept_data) as running:
        os.kill(running.child("services.catalog"), signal.SIGSTOP)  # it will not drain
        stderr = running.process.stderr
        assert stderr is not None
        running.process.send_signal(signal.SIGINT)
        while "stopping" not in stderr.readline():
            pass
        began = time.monotonic()
        while running.process.poll() is None and time.monotonic() < began + 3:
            time.sleep(_SECOND_THOUGHT_SECONDS + 0.1)
            running.process.send_signal(signal.SIGINT)

        assert running.process.wait(1) == 1
        assert running.left() == []


def test_a_service_that_does_not_drain_holds_up_nothing(kept_data: Path) -> None:
    with system(kept_data) as running:
        os.kill(running.child("services.availability"), signal.SIGSTOP)

        code, _ = running.stop()

        assert code == 0
        assert running.left() == []


@pytest.mark.parametrize(
    ("program", "name", "log"),
    [
        ("services.availability", "availability", "availability.log"),
        ("bin/postgres", "PostgreSQL", "postgres.log"),
        ("valkey-server", "Valkey", "valkey.log"),
    ],
)
def test_a_child_that_dies_is_named_and_ends_the_rest(
    kept_data: Path, program: str, name: str, log: str
) -> None:
    with system(kept_data) as running:
        os.kill(running.child(program), signal.SIGKILL)

        said = running.end()

        assert running.process.returncode == 1
        assert f"holdfast: {name} was ended by SIGKILL; the end of {kept_data}/logs/{log}:" in said
        assert "Traceback" not in said
        assert running.left() == []


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_closing_the_terminal_stops_the_system_below_make(kept_data: Path) -> None:
    terminal, slave = pty.openpty()
    command = ("setsid", "--ctty", "--wait", *_MAKE)

    with launched(kept_data, command=command, stdin=slave, stderr=slave) as running:
        wait_until_ready(running)
        os.close(slave)

        os.close(terminal)

        assert running.left() == []
