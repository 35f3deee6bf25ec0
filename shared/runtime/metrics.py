"""Counts and times of calls, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class CallMetrics:
    """holdfast_calls_total and holdfast_call_seconds, by method and code."""

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
        # Looking a child up by labels costs more than counting: each is looked up once.
        self._counters: dict[tuple[str, str], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    def ended(self, method: str, code: str, seconds: float) -> None:
        """Counts one call."""
        counter = self._counters.get((method, code))
        if counter is None:
            counter = self._counters[method, code] = self._calls.labels(method, code)
        counter.inc()
        timer = self._timers.get(method)
        if timer is None:
            timer = self._timers[method] = self._seconds.labels(method)
        timer.observe(seconds)
