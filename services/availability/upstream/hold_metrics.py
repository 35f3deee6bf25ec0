"""What Prometheus reads of holds in the way of bookings."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase


class HoldMetrics:
    """holdfast_hold_checks_total and holdfast_hold_settlements_total, each by outcome.

    Checks: ``answered``; ``timeout``, ``paused``, ``unavailable`` and ``refused`` (by presence, an
    answer that should not be) let the booking go on, and so does ``off``. Whether a pool has too
    few units is asked again before a booking is refused, and counts again. Settlements:
    ``settled``; ``late`` and ``dropped`` left holds to their own end.
    """

    def __init__(self) -> None:
        checks = Counter(
            "holdfast_hold_checks",
            "Bookings checked against holds, by outcome.",
            ["outcome"],
            registry=None,
        )
        settlements = Counter(
            "holdfast_hold_settlements",
            "Bookings and blocks whose holds were to end, by outcome.",
            ["outcome"],
            registry=None,
        )
        self.collectors: Sequence[MetricWrapperBase] = (checks, settlements)
        self.answered = checks.labels("answered")
        self.timeout = checks.labels("timeout")
        self.paused = checks.labels("paused")
        self.unavailable = checks.labels("unavailable")
        self.refused = checks.labels("refused")
        self.off = checks.labels("off")
        self.settled = settlements.labels("settled")
        self.late = settlements.labels("late")
        self.dropped = settlements.labels("dropped")
