"""Processes of the bench: started as their own, watched for CPU, stopped whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from services.launcher.health import is_serving
from services.launcher.listener import Listener, answers
from shared.embedded.process import ChildProcess, Deadline, how_it_ended

ROOT: Final = Path(__file__).parents[2]
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_START_PATIENCE: Final = timedelta(seconds=60)
_STOP_PATIENCE: Final = timedelta(seconds=5)
# Of /proc/<pid>/stat after the name, counted from 0.
_PARENT, _USER_TICKS, _SYSTEM_TICKS = 1, 11, 12


class NotStarted(Exception):
    """A process of the bench did not get ready."""


def cpu_of_process(pid: int) -> float:
    """Seconds, user and system, of one process with all its threads."""
    fields = _stat(pid)
    return (int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) / _TICKS


def cpu_of_family(pid: int) -> float:
    """The same, of a process and its children: a PostgreSQL, say."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = _stat(int(entry.name))
            except OSError:
                continue  # it has ended
            if str(pid) in {entry.name, fields[_PARENT]}:
                ticks += int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    return ticks / _TICKS


def own_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without any HOLDFAST_ variable, and with these."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HOLDFAST_")}
    return {**kept, "no_grpc_proxy": "127.0.0.1,::1,localhost", **variables}


@contextmanager
def running(
    module: str, log: Path, variables: Mapping[str, str], *arguments: str
) -> Iterator[ChildProcess]:
    """Runs ``python -m module`` until the block ends; it is not ready yet."""
    process = ChildProcess(
        [sys.executable, "-m", module, *arguments],
        log=log,
        environment=own_environment(variables),
        working_folder=ROOT,
    )
    try:
        yield process
    finally:
        process.stop(signal.SIGTERM, _STOP_PATIENCE)


def wait_until_serving(name: str, process: ChildProcess, listener: Listener) -> None:
    """Waits until a server says that it serves.

    Raises:
        NotStarted: It ended, or took too long.
    """
    deadline = Deadline(_START_PATIENCE)
    while not (answers(listener) and is_serving(listener)):
        code = process.exit_code()
        if code is not None or not deadline.pause():
            fact = "is not ready" if code is None else how_it_ended(code)
            raise NotStarted(f"{name} {fact}: {process.last_lines(3)}")


def wait_for_line(name: str, process: ChildProcess, begin: str) -> str:
    """Waits until a process wrote a line that begins so; returns it.

    Raises:
        NotStarted: It ended, or took too long.
    """
    deadline = Deadline(_START_PATIENCE)
    while True:
        for line in process.log.read_text("utf-8", "replace").splitlines(keepends=True):
            if line.startswith(begin) and line.endswith("\n"):
                return line.rstrip("\n")
        code = process.exit_code()
        if code is not None or not deadline.pause():
            fact = "is not ready" if code is None else how_it_ended(code)
            raise NotStarted(f"{name} {fact}: {process.last_lines(3)}")


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()


def version_of(program: Path) -> str:
    """What a program says to ``--version``."""
    found = subprocess.run(  # the wheel's own binary
        [program, "--version"], capture_output=True, text=True, check=False, timeout=10
    )
    return found.stdout.strip()
