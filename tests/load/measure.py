"""The arithmetic of the figures: spreads, ratios of interleaved pairs, percentiles."""

from __future__ import annotations

import math
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

FirstT = TypeVar("FirstT")
SecondT = TypeVar("SecondT")


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several measurements, with the least and the greatest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value.

        Raises:
            ValueError: There is none, or one of them is no number.
        """
        if not values or not all(math.isfinite(value) for value in values):
            raise ValueError("a spread needs numbers")
        return cls(statistics.median(values), min(values), max(values))

    def text(self, form: str = ".2f") -> str:
        """As ``0.41 (0.38-0.44)``."""
        return f"{self.median:{form}} ({self.low:{form}}-{self.high:{form}})"

    def scaled(self, factor: float) -> Spread:
        """The same in another unit; ``factor`` is more than 0."""
        return Spread(self.median * factor, self.low * factor, self.high * factor)


def ratios(pairs: Sequence[tuple[float, float]]) -> Spread:
    """The spread of first / second: each ratio within its pair, and then the median.

    Raises:
        ValueError: There is no pair, or one of them has a second that is not more than 0.
    """
    if any(second <= 0 for _, second in pairs):
        raise ValueError("a ratio needs something to compare with")
    return Spread.of([first / second for first, second in pairs])


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that at least so many percent of the values do not exceed.

    Raises:
        ValueError: There is no value.
    """
    if not values:
        raise ValueError("a percentile needs values")
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(rank, 1) - 1]


async def interleaved(
    pairs: int,
    first: Callable[[], Awaitable[FirstT]],
    second: Callable[[], Awaitable[SecondT]],
    progress: Callable[[int], None],
) -> list[tuple[FirstT, SecondT]]:
    """Measures both in turns, A B, B A, A B, ...: what drifts meets both alike.

    Args:
        pairs: How many.
        first: Measures A once.
        second: Measures B once.
        progress: Told before each pair how many are done.
    """
    found: list[tuple[FirstT, SecondT]] = []
    for done in range(pairs):
        progress(done)
        if done % 2:
            b = await second()
            a = await first()
        else:
            a = await first()
            b = await second()
        found.append((a, b))
    return found
