"""The time left for the current call, passed on to the next hop."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

_ends_at: ContextVar[float | None] = ContextVar("holdfast_call_ends_at", default=None)


def begin(seconds: float) -> None:
    """Marks the current call as over ``seconds`` from now."""
    begin_until(asyncio.get_running_loop().time() + seconds)


def begin_until(ends_at: float) -> None:
    """Marks the current call as over at a time by the loop's clock; the server kit calls it."""
    _ends_at.set(ends_at)


def time_remaining(budget: float) -> float:
    """Seconds a step of the current call may take: ``budget``, or less when less is left.

    Never negative; outside a call the whole budget. Python's gRPC passes no deadline on:
    every upstream call says ``timeout=time_remaining(...)``.
    """
    ends_at = _ends_at.get()
    if ends_at is None:
        return budget
    return max(0.0, min(budget, ends_at - asyncio.get_running_loop().time()))
