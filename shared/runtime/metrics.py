"""Counts and times of calls, for Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

# Upper bounds in seconds, inclusive.
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BOUNDS: Final = (*map(str, _BUCKETS), "+Inf")


class CallMetrics(Collector):
    """What Prometheus reads of calls.

    holdfast_calls_total by method and code, holdfast_call_seconds of unary calls by method, and
    holdfast_open_streams by method. Counted in plain numbers, by one event loop: the library's
    counters lock, and are read once in a while only.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._open_streams = Gauge(
            "holdfast_open_streams",
            "Streams that are open, by method.",
            ["method"],
            registry=registry,
        )
        self._calls: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._timers: dict[str, _Timer] = {}
        registry.register(self)

    def ended(self, method: str, code: str, seconds: float) -> None:
        """Counts one unary call."""
        self._calls[method, code] += 1
        timer = self._timers.get(method)
        if timer is None:
            timer = self._timers[method] = _Timer()
        timer.seconds += seconds
        timer.calls[bisect_left(_BUCKETS, seconds)] += 1

    def stream_began(self, method: str) -> None:
        """Counts a stream as open."""
        self._open_streams.labels(method).inc()

    def stream_ended(self, method: str, code: str) -> None:
        """Counts a stream as ended."""
        self._open_streams.labels(method).dec()
        self._calls[method, code] += 1

    def collect(self) -> Iterator[Metric]:
        """Tells the counts, from whichever thread."""
        calls = CounterMetricFamily(
            "holdfast_calls", "Calls ended, by method and code.", labels=["method", "code"]
        )
        for (method, code), count in list(self._calls.items()):
            calls.add_metric([method, code], count)
        yield calls
        seconds = HistogramMetricFamily(
            "holdfast_call_seconds",
            "Time from the handler's start to its end.",
            labels=["method"],
        )
        for method, timer in list(self._timers.items()):
            buckets = list(zip(_BOUNDS, accumulate(timer.calls), strict=True))
            seconds.add_metric([method], buckets, timer.seconds)
        yield seconds


class _Timer:
    """Calls of one method, by the bucket of their time."""

    __slots__ = ("calls", "seconds")

    def __init__(self) -> None:
        self.calls = [0] * len(_BOUNDS)
        self.seconds = 0.0
