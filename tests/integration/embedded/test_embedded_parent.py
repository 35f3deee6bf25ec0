"""What becomes of the servers with their parent, and as whom they run."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from shared.embedded.folder import remove_socket_folder
from shared.embedded.process import ChildProcess
from tests import ordinary_user

_SERVE = Path(__file__).with_name("serve.py")
_CLONE_NEWUSER = 0x10000000
_is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")


@contextmanager
def serving(
    command: Sequence[str | Path], **options: Any
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Both servers below a parent of their own, which ends with the block."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stderr is not None
        line = parent.stdout.readline()
        assert line, parent.stderr.read()
        servers = json.loads(line)
        yield parent, servers
        parent.stdin.close()
        parent.wait(20)
    # A killed parent could not.
    remove_socket_folder(Path(servers["postgres"].partition("host=")[2]))
    remove_socket_folder(Path(urlsplit(servers["valkey"]).path).parent)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # whoever adopted it may be slow to bury it


def wait_until_gone(*pids: int) -> None:
    deadline = time.monotonic() + 10
    while [pid for pid in pids if is_running(pid)]:
        assert time.monotonic() < deadline, f"still there: {pids}"
        time.sleep(0.01)


def test_killing_the_parent_leaves_no_server(data_folder: Path) -> None:
    with serving([sys.executable, _SERVE, data_folder]) as (parent, servers):
        parent.send_signal(signal.SIGKILL)

        wait_until_gone(servers["postgres_pid"], servers["valkey_pid"])


def test_the_data_of_a_killed_parent_can_be_used_at_once(data_folder: Path) -> None:
    with serving([sys.executable, _SERVE, data_folder]) as (parent, servers):
        with psycopg.connect(servers["postgres"], autocommit=True) as connection:
            connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)

    with (
        serving([sys.executable, _SERVE, data_folder]) as (_, servers),
        psycopg.connect(servers["postgres"]) as connection,
    ):
        row = connection.execute("SELECT text FROM note").fetchone()

    assert row == ("kept",)


@_is_root
def test_root_changes_no_permission_outside_and_keeps_its_files(data_folder: Path) -> None:
    closed = data_folder / "closed"
    closed.mkdir(mode=0o700)

    with serving([sys.executable, _SERVE, closed / "data"]) as (_, servers):
        owner_of_server = Path(f"/proc/{servers['postgres_pid']}").stat().st_uid
        owner_of_data = (closed / "data/postgres/cluster/base").stat().st_uid

    assert (owner_of_server, owner_of_data) == (0, 0)
    assert closed.stat().st_mode & 0o777 == 0o700


@_is_root
def test_root_without_namespaces_runs_it_as_an_ordinary_user(data_folder: Path) -> None:
    closed = data_folder / "closed"
    closed.mkdir(mode=0o700)
    wrapper = [sys.executable, "-c", _WITHOUT_NAMESPACES]

    with _namespaces_denied([*wrapper, sys.executable, _SERVE, closed / "data"]) as servers:
        owner_of_server = Path(f"/proc/{servers['postgres_pid']}").stat().st_uid
        with psycopg.connect(servers["postgres"]) as connection:
            row = connection.execute("SELECT current_setting('fsync')").fetchone()

    assert owner_of_server != 0
    assert row == ("on",)
    assert (closed.stat().st_uid, closed.stat().st_mode & 0o777) == (0, 0o700)


@_is_root
def test_an_ordinary_user_without_a_name_runs_both(data_folder: Path) -> None:
    python = ordinary_user.python()
    os.chown(data_folder, ordinary_user.UID, ordinary_user.UID)

    with (
        serving([*python, _SERVE, data_folder]) as (_, servers),
        psycopg.connect(servers["postgres"]) as connection,
    ):
        row = connection.execute("SELECT 1").fetchone()
        owner = (data_folder / "postgres/cluster").stat().st_uid

    assert row == (1,)
    assert owner == ordinary_user.UID


def test_a_thread_cannot_start_a_server_that_would_end_with_it(data_folder: Path) -> None:
    caught: list[BaseException] = []

    def start() -> None:
        try:
            ChildProcess(["/bin/true"], log=data_folder / "log", environment={})
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert "main thread" in str(caught[0])


# Waits in a user namespace of its own until its users are mapped, denies itself further
# namespaces there and becomes the program.
_WITHOUT_NAMESPACES = f"""
import ctypes, os, sys
assert ctypes.CDLL(None).unshare({_CLONE_NEWUSER}) == 0
print(os.getpid(), flush=True)
os.read(0, 1)
open("/proc/sys/user/max_user_namespaces", "w").write("0")
os.setuid(0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def _namespaces_denied(command: Sequence[str | Path]) -> Iterator[dict[str, Any]]:
    if ctypes.CDLL(None).unshare(0) != 0 or not Path("/proc/sys/user").is_dir():
        pytest.skip("user namespaces cannot be limited here")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stderr is not None
        pid = parent.stdout.readline().decode().strip()
        assert pid, parent.stderr.read()
        Path(f"/proc/{pid}/uid_map").write_text("0 0 65536")
        Path(f"/proc/{pid}/gid_map").write_text("0 0 65536")
        parent.stdin.write(b".")
        line = parent.stdout.readline()
        assert line, parent.stderr.read()
        yield json.loads(line)
        parent.stdin.close()
        parent.wait(20)
