"""Counts and times of calls, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class CallMetrics:
    """What Prometheus reads of calls.

    holdfast_calls_total by method and code, holdfast_call_seconds of unary calls by method, and
    holdfast_open_streams by method.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "holdfast_calls",
            "Calls ended, by method and code.",
            ["method", "code"],
            registry=registry,
        )
        self._seconds = Histogram(
            "holdfast_call_seconds",
            "Time from the handler's start to its end.",
            ["method"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._open_streams = Gauge(
            "holdfast_open_streams",
            "Streams that are open, by method.",
            ["method"],
            registry=registry,
        )
        # Looking a child up by labels costs more than counting: each is looked up once.
        self._counters: dict[tuple[str, str], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    def ended(self, method: str, code: str, seconds: float) -> None:
        """Counts one unary call."""
        self._count(method, code)
        timer = self._timers.get(method)
        if timer is None:
            timer = self._timers[method] = self._seconds.labels(method)
        timer.observe(seconds)

    def stream_began(self, method: str) -> None:
        """Counts a stream as open."""
        self._open_streams.labels(method).inc()

    def stream_ended(self, method: str, code: str) -> None:
        """Counts a stream as ended."""
        self._open_streams.labels(method).dec()
        self._count(method, code)

    def _count(self, method: str, code: str) -> None:
        counter = self._counters.get((method, code))
        if counter is None:
            counter = self._counters[method, code] = self._calls.labels(method, code)
        counter.inc()
