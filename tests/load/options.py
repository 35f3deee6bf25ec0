"""How the bench is called."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FIGURES: Final = ("F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10")
_LEAST_PAIRS: Final = 1
_HONEST_PAIRS: Final = 7


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured, and how long.

    Attributes:
        only: The figures to measure, in their order.
        pairs: Interleaved pairs of each ratio.
        seconds: That each half of a pair counts calls.
        concurrency: Calls under way at once.
        past_bookings: How many F4 loads.
        watchers: How many F7 opens.
        folder: Where the stores keep their data meanwhile; None for a temporary folder.
        as_json: Whether the results are one JSON document.
    """

    only: Sequence[str]
    pairs: int
    seconds: float
    concurrency: int
    past_bookings: int
    watchers: int
    folder: Path | None
    as_json: bool


def parse(arguments: Sequence[str]) -> Options:
    """Reads the command line.

    Raises:
        SystemExit: It makes no sense, or help was asked for.
    """
    parser = argparse.ArgumentParser(
        prog="make bench",
        usage='make bench [ARGS="..."]',
        description="Measures this Holdfast against its promises, each ratio against a bare"
        " grpc.aio server in interleaved pairs. docs/benchmark.md says how to read it.",
        epilog="Exit code: 0 when everything could be measured, met or not; 1 when something"
        " could not; 2 for arguments that make no sense.",
    )
    parser.add_argument(
        "--only",
        type=_figures,
        default=FIGURES,
        metavar="F1,F9",
        help=f"measure these only (of {', '.join(FIGURES)})",
    )
    parser.add_argument(
        "--pairs",
        type=_whole(_LEAST_PAIRS),
        default=_HONEST_PAIRS,
        metavar="N",
        help="pairs of each ratio (default %(default)s; fewer say little)",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=2.5,
        metavar="S",
        help="that each half of a pair is measured (default %(default)s)",
    )
    parser.add_argument(
        "--concurrency",
        type=_whole(1),
        default=64,
        metavar="N",
        help="calls under way at once (default %(default)s)",
    )
    parser.add_argument(
        "--past-bookings",
        type=_whole(1_000),
        default=1_000_000,
        metavar="N",
        help="that F4 loads (default %(default)s)",
    )
    parser.add_argument(
        "--watchers",
        type=_whole(1),
        default=1_000,
        metavar="N",
        help="of one day, in F7 (default %(default)s)",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="FOLDER",
        help="a folder on the disk to measure with (default: that of temporary files)",
    )
    parser.add_argument(
        "-o",
        "--output",
        choices=("text", "json"),
        default="text",
        help="how results are printed (default %(default)s)",
    )
    found = parser.parse_args(arguments)
    return Options(
        only=found.only,
        pairs=found.pairs,
        seconds=found.seconds,
        concurrency=found.concurrency,
        past_bookings=found.past_bookings,
        watchers=found.watchers,
        folder=found.folder,
        as_json=found.output == "json",
    )


def _figures(text: str) -> Sequence[str]:
    wanted = {name.strip().upper() for name in text.split(",") if name.strip()}
    if not wanted or (unknown := wanted - set(FIGURES)):
        what = ", ".join(sorted(unknown)) if wanted else "nothing"
        raise argparse.ArgumentTypeError(f"{what} is not one of {', '.join(FIGURES)}")
    return [name for name in FIGURES if name in wanted]


class _whole:  # noqa: N801  # used like a function
    def __init__(self, least: int) -> None:
        self._least = least

    def __call__(self, text: str) -> int:
        value = int(text)
        if value < self._least:
            raise argparse.ArgumentTypeError(f"must be at least {self._least}")
        return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 600:
        raise argparse.ArgumentTypeError("must be more than 0, at most 600")
    return value
