"""F10: how long ``make run`` takes, installed, until everything serves."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from services.launcher.options import SERVICES
from shared.embedded.process import ChildProcess
from tests.load.bench import Bench
from tests.load.measure import Spread
from tests.load.process import ROOT, NotStarted, own_environment, wait_for_line
from tests.load.report import Figure, Part

TITLE: Final = "make run to ready"
_FIRST_TARGET: Final = 5.0
_AGAIN_TARGET: Final = 2.0
_STARTS: Final = 5  # of each kind
_READY: Final = "ready: "
_STOP_PATIENCE: Final = timedelta(seconds=15)


def measure(bench: Bench) -> Figure:
    """Measures it while nothing else runs: a start without data, then one on what that left.

    Raises:
        NotStarted: A system did not get ready, or did not stop.
    """
    bench.stop_system()
    first: list[float] = []
    again: list[float] = []
    for number in range(_STARTS):
        bench.progress.step(f"F10: starts {number + 1} of {_STARTS}, first and again")
        data = bench.folder / f"run-{number}"
        first.append(_seconds_to_ready(data))
        again.append(_seconds_to_ready(data))
        shutil.rmtree(data)
    return Figure(
        "F10",
        TITLE,
        [_part("the first time", first, _FIRST_TARGET), _part("again", again, _AGAIN_TARGET)],
        remarks=[f"{_STARTS} starts of each kind, each on data of its own"],
        data={"first_seconds": first, "again_seconds": again},
    )


def _part(what: str, seconds: Sequence[float], target: float) -> Part:
    found = Spread.of(seconds)
    return Part(f"{what} {found.text()} s", f"<= {target:g} s", found.median <= target)


def _seconds_to_ready(data: Path) -> float:
    program = shutil.which("make")
    if program is None:
        raise NotStarted("there is no make")
    ports = [part for name in SERVICES for part in (f"--{name}-port", "0")]
    arguments = shlex.join(["--data", str(data), *ports])
    began = time.perf_counter()
    process = ChildProcess(
        [program, "--silent", "run", f"ARGS={arguments}"],
        log=data.with_name(f"{data.name}.log"),
        environment=_environment(),
        working_folder=ROOT,
        death_signal=signal.SIGTERM,
    )
    try:
        wait_for_line("make run", process, _READY)
        return time.perf_counter() - began
    finally:
        _stop(process)


def _environment() -> dict[str, str]:
    """Without what the make that runs the bench tells the makes below it."""
    found = own_environment({})
    return {name: value for name, value in found.items() if not name.startswith(("MAKE", "MFLAGS"))}


def _stop(process: ChildProcess) -> None:
    """Tells make and what it runs, as a terminal's Ctrl-C would.

    Raises:
        NotStarted: They do not stop.
    """
    if process.exit_code() is None:
        os.killpg(process.pid, signal.SIGINT)
        if process.wait(_STOP_PATIENCE) is None:
            process.stop(signal.SIGKILL, _STOP_PATIENCE)
            raise NotStarted("make run did not stop")
