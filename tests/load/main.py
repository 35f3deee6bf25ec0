"""Measures one figure after the other, and stops whatever was started."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final, NoReturn

import psycopg

from shared.embedded.binary import postgres_binary, valkey_binary
from shared.embedded.errors import EmbeddedServerError
from tests.load import (
    booking,
    day_slots,
    finding,
    holding,
    merging,
    month,
    past,
    starting,
    versus,
    watching,
)
from tests.load.bench import Bench
from tests.load.http2 import CallFailed
from tests.load.options import Options, parse
from tests.load.process import NotStarted, version_of
from tests.load.progress import Progress
from tests.load.report import Figure, Report, Unmeasured, machine, milliseconds

# Anything else is a mistake of the bench itself, and ends it with its traceback.
_UNMEASURABLE: Final = (CallFailed, NotStarted, EmbeddedServerError, OSError, psycopg.Error)
_INTERRUPTED: Final = 130
_SYNCS: Final = 50
_MEASURES: Final[dict[str, tuple[str, Callable[[Bench], Figure]]]] = {
    "F1": (day_slots.TITLE, day_slots.measure),
    "F2": (booking.TITLE, booking.measure),
    "F3": (versus.TITLE, versus.measure),
    "F4": (past.TITLE, past.measure),
    "F5": (month.TITLE, month.measure),
    "F6": (holding.TITLE, holding.measure),
    "F7": (watching.TITLE, watching.measure),
    "F8": (finding.TITLE, finding.measure),
    "F9": (merging.TITLE, merging.measure),
    "F10": (starting.TITLE, starting.measure),
}


def main(arguments: Sequence[str]) -> int:
    """Runs the bench.

    Returns:
        The exit code: 0 when everything could be measured, 1 when something could not, 130
        after Ctrl-C.
    """
    options = parse(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    progress = Progress()
    report = Report(as_json=options.as_json)
    try:
        with _folder(options.folder) as folder:
            report.header({**machine(), **_stores(folder)})
            _measure(options, folder, progress, report)
    except OSError as error:
        progress.step(f"the bench cannot run: {error}")
        return 1
    except KeyboardInterrupt:
        progress.clear()
        progress.step("interrupted; everything that was started is stopped")
        return _INTERRUPTED
    report.end()
    return 0 if report.is_complete else 1


def _measure(options: Options, folder: Path, progress: Progress, report: Report) -> None:
    bench = Bench(options, folder, progress)
    try:
        for name in options.only:
            title, measure = _MEASURES[name]
            try:
                result: Figure | Unmeasured = measure(bench)
            except _UNMEASURABLE as error:
                result = Unmeasured(name, title, str(error) or type(error).__name__)
            progress.clear()
            report.add(result)
    finally:
        progress.step("stopping what was started")
        bench.close()


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="holdfast-bench-", dir=given))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stores(folder: Path) -> dict[str, str]:
    return {
        "PostgreSQL": version_of(postgres_binary("postgres")),
        "Valkey": version_of(valkey_binary()),
        "fsync": f"{milliseconds(_sync_seconds(folder))} (median of {_SYNCS}, where its data is)",
    }


def _sync_seconds(folder: Path) -> float:
    """What one fsync costs: no durable booking is faster."""
    seconds = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(8192))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - began)
    return median(seconds)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
