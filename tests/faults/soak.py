"""Takes the full dose of each promise of correctness, and says of each whether it is met."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from tests.faults import proof
from tests.faults.checker import report as violations_text
from tests.faults.proof import Proof
from tests.faults.watch import soak as watch
from tests.integration.availability.database import migrated_database
from tests.load.progress import Bar, Progress
from tests.load.report import Figure, Part, Report, machine, verdict
from tests.stores import running_postgres

_TESTS_SECONDS = 4 * 3_600
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Soak:
    """What a soak needs: a database, a folder, and how much of everything is enough."""

    url: str
    folder: Path
    seed: int
    dose: float
    progress: Progress

    def full(self, figure: int) -> int:
        """A figure of the list of promises, or as much of it as was asked for."""
        return max(1, round(figure * self.dose))


async def _mixed(soak: Soak) -> Figure:
    """C1, C2 and C3 of mixed operations with faults, and the rush for one slot."""
    seeds, wanted = soak.full(10), soak.full(100_000)
    each = -(-wanted // seeds)
    total = Proof()
    async with proof.scenes(soak.url) as another:
        for number in range(seeds):
            bar = soak.progress.bar(f"C1 seed {soak.seed + number}", each)
            found = await proof.mixed(
                another(),
                seed=soak.seed + number,
                operations=each,
                faulty=True,
                progress=partial(_drawn, bar, each),
            )
            _tell(soak, f"C1 seed {soak.seed + number}", found)
            _add(total, found)
        soak.progress.step("C1 many creates of one slot")
        rush = await proof.rush(another(), soak.full(1_000))
        _tell(soak, "C1 rush", rush)
    rivals = rush.outcomes["SLOT_UNAVAILABLE"]
    fair = (rush.outcomes["OK"], rivals) == (1, soak.full(1_000) - 1)
    return Figure(
        "C1",
        "a quantum is never booked twice",
        [
            Part(
                f"{len(total.violations)} violations in {total.operations:,} calls,"
                f" {seeds} seeds, {total.faults} faults",
                "0 in >= 100,000 operations, 10 seeds",
                not total.violations and total.operations >= wanted,
            ),
            Part(
                f"{rush.outcomes['OK']} OK and {rivals} SLOT_UNAVAILABLE of one slot",
                "1 and 999",
                fair and rush.is_clean,
            ),
            Part(
                f"C2 {total.differences + rush.differences} days differ",
                "0",
                not total.differences + rush.differences,
            ),
        ],
        remarks=[_words(total.outcomes)],
    )


async def _races(soak: Soak) -> Figure:
    async with proof.scenes(soak.url) as another:
        soak.progress.step("C3 cancelling twice, and while it is moved")
        found = await proof.cancel_against_move(another(), soak.full(2_000), soak.seed)
    _tell(soak, "C3", found)
    return Figure(
        "C3",
        "release frees exactly its own quanta",
        [
            Part(
                f"{len(found.violations)} violations and {found.differences} days that differ in"
                f" {found.operations:,} calls",
                "0",
                found.is_clean,
            )
        ],
        remarks=[_words(found.outcomes)],
    )


async def _killed(soak: Soak) -> Figure:
    times = soak.full(20)
    bar = soak.progress.bar("C4 kills", times)
    found = await proof.killed(soak.folder / "killed", times=times, seed=soak.seed, progress=bar.at)
    _tell(soak, "C4", found)
    return Figure(
        "C4",
        "an acknowledged booking survives",
        [
            Part(
                f"{len(found.violations)} violations in {found.operations:,} calls over"
                f" {found.faults} kill -9 of a durable database",
                "0 over >= 20",
                found.is_clean and found.faults >= times,
            )
        ],
        remarks=[_words(found.outcomes)],
    )


async def _retried(soak: Soak) -> Figure:
    requests, cuts = soak.full(1_000), soak.full(500)
    async with proof.scenes(soak.url) as another:
        soak.progress.step("C5 five copies of each request")
        copied = await proof.copied(another(), requests)
        _tell(soak, "C5 copies", copied)
        bar = soak.progress.bar("C5 replies cut", cuts)
        cut = await proof.cut(another(), cuts=cuts, seed=soak.seed, progress=bar.at)
        _tell(soak, "C5 cut", cut)
    return Figure(
        "C5",
        "retrying is always safe",
        [
            Part(
                f"{copied.bookings:,} bookings of {requests:,} requests x 5 copies",
                f"{requests:,}",
                copied.bookings == requests and copied.is_clean,
            ),
            Part(
                f"{len(cut.violations)} violations with {cut.faults} replies cut after the commit",
                "0 with 500",
                cut.is_clean and cut.faults >= cuts,
            ),
        ],
        remarks=[_words(cut.outcomes)],
    )


async def _bundled(soak: Soak) -> Figure:
    seconds = soak.full(60)
    bar = soak.progress.bar("C6 seconds", seconds)
    async with proof.scenes(soak.url) as another:
        found = await proof.bundles(
            another(), seconds=seconds, clients=32, seed=soak.seed, progress=bar.at
        )
    _tell(soak, "C6", found)
    return Figure(
        "C6",
        "no deadlocks of our making",
        [
            Part(
                f"{found.deadlocks} in {seconds} s of bundles, {found.operations:,} calls",
                "0 in 60 s",
                found.deadlocks == 0 and found.is_clean,
            )
        ],
        remarks=[_words(found.outcomes)],
    )


async def _told(soak: Soak) -> Figure:
    return await _tested(
        soak,
        "C9",
        "every event is told, and none invented",
        "10,000 events, the server killed every 2 s",
        ["tests/faults/test_events.py"],
    )


async def _zones(soak: Soak) -> Figure:
    return await _tested(
        soak, "C10", "clocks and zones", "every zone x 10 years", ["tests/unit/slots"]
    )


async def _walked(soak: Soak) -> Figure:
    return await _tested(
        soak,
        "C1-3",
        "the engine does what a sequential model does",
        "200 random walks of 50 steps",
        ["tests/contract/availability/test_engine_model.py"],
    )


async def _remembered(soak: Soak) -> Figure:
    """F4 with ten times the past that the bench loads."""
    past = max(soak.full(10_000_000), 1_000)
    soak.progress.step(f"F4 with {past:,} past bookings")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.load", "--only", "F4", "-o", "json"),
        *("--past-bookings", str(past)),
        stdout=subprocess.PIPE,
    )
    output = await _said(process)
    found = json.loads(output)["figures"][0]
    parts = [
        Part(part["found"], part["target"], part["verdict"] == verdict(True))
        for part in found.get("parts", ())
    ]
    return Figure(
        "F4", found["title"], parts, remarks=found.get("remarks") or [found.get("why", "")]
    )


async def _tested(soak: Soak, name: str, title: str, target: str, tests: Sequence[str]) -> Figure:
    soak.progress.step(f"{name} {' '.join(tests)} in full dose")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-n", "2", "--timeout", str(_TESTS_SECONDS)),
        *tests,
        env=os.environ | {"HOLDFAST_TEST_DOSE": "full"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = await _said(process)
    text = output.decode(errors="replace")
    if process.returncode:
        soak.progress.step(text[-4_000:])
    passed = int((re.findall(r"(\d+) passed", text) or ["0"])[-1])
    return Figure(
        name,
        title,
        [Part(f"{passed} tests passed", target, process.returncode == 0 and passed > 0)],
    )


async def _said(process: asyncio.subprocess.Process) -> bytes:
    """What it prints until it ends; it ends with whoever waits for it."""
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    return output


_SOAKS: dict[str, Callable[[Soak], Coroutine[Any, Any, Figure]]] = {
    "C1": _mixed,
    "C3": _races,
    "C4": _killed,
    "C5": _retried,
    "C6": _bundled,
    "C7": watch.held,
    "C8": watch.watched,
    "C9": _told,
    "C10": _zones,
    "model": _walked,
    "F4": _remembered,
    "slow": watch.unread,
    "storm": watch.storm,
    "redis": watch.slow_store,
}


def main(arguments: Sequence[str]) -> int:
    """Runs the soak.

    Returns:
        The exit code: 0 when every promise is met, 1 when one is not, 130 after Ctrl-C.
    """
    options = _parsed(arguments)
    # In the background, too, where the shell has the first one ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    progress = Progress(sys.stderr)
    report = Report(as_json=False, out=sys.stdout)
    report.header(machine() | {"seed": str(options.seed), "dose": f"{options.dose:g}"})
    try:
        with (
            _silence(),
            _folder() as folder,
            running_postgres(folder / "postgres") as server,
        ):
            are_met = []
            for name in options.only:
                with migrated_database(server) as url:
                    soak = Soak(url, folder, options.seed, options.dose, progress)
                    figure = uvloop.run(_SOAKS[name](soak))
                progress.clear()
                report.add(figure)
                are_met.append(figure.is_met)
    except KeyboardInterrupt:
        progress.clear()
        progress.step("interrupted; everything that was started is stopped")
        return _INTERRUPTED
    report.end()
    return 0 if all(are_met) else 1


def _interrupt(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make soak",
        usage='make soak [ARGS="..."]',
        description="Proves the promises of correctness at their full figures, on real servers."
        " docs/checker.md says what is checked.",
        epilog="Exit code: 0 when all are met, 1 when one is not.",
    )
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=list(_SOAKS),
        metavar="C1,C4",
        help=f"prove these only (of {', '.join(_SOAKS)})",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the random clients")
    parser.add_argument(
        "--dose", type=float, default=1.0, metavar="X", help="this much of each full figure"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.only) - _SOAKS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return options


@contextmanager
def _silence() -> Iterator[None]:
    # Services say much about what is done to them on purpose.
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="holdfast-soak-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _drawn(bar: Bar, total: int, left: int) -> None:
    bar.at(total - max(left, 0))


def _add(total: Proof, found: Proof) -> None:
    total.operations += found.operations
    total.violations += found.violations
    total.differences += found.differences
    total.outcomes += found.outcomes
    total.faults += found.faults


def _tell(soak: Soak, name: str, found: Proof) -> None:
    rate = found.operations / found.seconds if found.seconds else 0
    soak.progress.step(f"{name}: {found.operations:,} calls, {rate:,.0f}/s, {found.faults} faults")
    if found.violations:
        soak.progress.step(violations_text(found.violations))


def _words(outcomes: Counter[str]) -> str:
    return ", ".join(f"{word} {count:,}" for word, count in outcomes.most_common())
