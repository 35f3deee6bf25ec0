"""A whole system below the test, started and stopped as a person would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HOLDFAST = Path(sys.executable).with_name("holdfast")
SERVICES = ("catalog", "availability", "presence")
READY = re.compile(
    r"ready: catalog=(127\.0\.0\.1:\d+) availability=(127\.0\.0\.1:\d+) presence=(127\.0\.0\.1:\d+)"
)
ANY_PORTS = tuple(part for name in SERVICES for part in (f"--{name}-port", "0"))
_LINES_OF_AN_ANSWER = 4  # that it is ready, and three commands worth trying
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0  # the promise


@dataclass
class Running:
    """A system that said that it is ready, or ended before."""

    process: subprocess.Popen[str]
    data: Path
    ready: list[str] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)

    @property
    def targets(self) -> dict[str, str]:
        found = READY.fullmatch(self.ready[0])
        assert found, self.ready
        return dict(zip(SERVICES, found.groups(), strict=True))

    def holdfast(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the command line against this system."""
        return subprocess.run(
            [HOLDFAST, *arguments],
            env=environment({"HOLDFAST_DATA": str(self.data)}),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def child(self, program: str) -> int:
        """Returns the pid of the child whose command line has the program in it."""
        (found,) = [pid for pid in self.pids if program in _command(pid)]
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Asks it to stop; returns its exit code and what it said on stderr."""
        began = time.monotonic()
        self.process.send_signal(number)
        said = self.end()
        assert time.monotonic() - began < _STOP_SECONDS
        return self.process.returncode, said

    def end(self) -> str:
        """Waits for its end; returns what it said on stderr."""
        return self.process.communicate(timeout=_STOP_SECONDS)[1]

    def left(self) -> list[str]:
        """Returns which of its processes are still there after a moment."""
        deadline = time.monotonic() + _STOP_SECONDS
        while (left := [pid for pid in self.pids if is_running(pid)]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.01)
        return [_command(pid) for pid in left]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Returns this process's environment without any HOLDFAST_ variable, and with these."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HOLDFAST_")}
    return {**kept, **variables}


@contextmanager
def launched(
    data: Path,
    *arguments: str,
    command: Sequence[str | Path] = (sys.executable, "-m", "services"),
    variables: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[Running]:
    """Starts it; it is killed at the end unless it has ended by then."""
    process = subprocess.Popen(
        [*command, "--data", data, *(arguments or ANY_PORTS)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(variables or {}),
        **{"stderr": subprocess.PIPE, **options},
    )
    running = Running(process, data)
    try:
        yield running
    finally:
        with process:
            process.kill()
        assert running.left() == []


@contextmanager
def system(
    data: Path, *arguments: str, variables: Mapping[str, str] | None = None, **options: Any
) -> Iterator[Running]:
    """A system that is ready."""
    with launched(data, *arguments, variables=variables, **options) as running:
        wait_until_ready(running)
        yield running


def wait_until_ready(running: Running) -> None:
    """Reads the ready line and the commands after it."""
    stdout = running.process.stdout
    assert stdout is not None
    while len(running.ready) < _LINES_OF_AN_ANSWER:
        line = stdout.readline()
        if not line:
            raise AssertionError(running.process.communicate()[1])
        running.ready.append(line.rstrip("\n"))
    running.pids = descendants(running.process.pid)


def refused(
    data: Path, *arguments: str, variables: Mapping[str, str] | None = None, **options: Any
) -> str:
    """Starts a system that must refuse to; returns what it said."""
    with launched(data, *arguments, variables=variables, **options) as running:
        stdout, said = running.process.communicate(timeout=_START_SECONDS)
    assert stdout == ""
    assert running.process.returncode != 0
    assert "Traceback" not in said
    return said


def descendants(pid: int) -> list[int]:
    """Returns every process below one."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            below.setdefault(_status(int(entry.name))[1], []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = below.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def is_running(pid: int) -> bool:
    """Says whether a process is there and not merely waiting to be buried."""
    return _status(pid)[0] not in "ZX"


def _status(pid: int) -> tuple[str, int]:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "X", -1
    return fields[0], int(fields[1])


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
