"""The system's clock: one offset for every service, the same on every start."""

from __future__ import annotations

from datetime import UTC, datetime

from services.launcher.failure import ClockRefused
from services.launcher.kept import Kept
from services.launcher.options import Options

# The services' own instants end sooner than Python's, and bookings lie ahead of the clock.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def settle_clock(options: Options, kept: Kept | None, now: datetime) -> Kept:
    """Returns what to keep: the clock of the first start, whatever the day of this one.

    Args:
        options: They may ask for a start.
        kept: What earlier starts kept; None on the first.
        now: The machine's time.

    Raises:
        ClockRefused: The start is malformed, is not the one that the data began with, or a
            listener is not on loopback.
    """
    asked = options.clock_start
    if kept is None:
        kept = Kept(asked, _offset_seconds(asked, now)) if asked else Kept()
    elif asked not in (None, kept.clock_start):
        began = f"with HOLDFAST_CLOCK_START={kept.clock_start}" if kept.clock_start else "without"
        raise ClockRefused(
            f"the data in {options.data} began {began}, not with HOLDFAST_CLOCK_START={asked}:"
            " unset it to go on, or give it a folder of its own with --data"
        )
    if kept.clock_start is not None:
        _refuse_exposed_listeners(options)
    return kept


def _offset_seconds(start: str, now: datetime) -> float:
    try:
        instant = datetime.fromisoformat(start)
    except ValueError as error:
        raise ClockRefused(_malformed(start)) from error
    if instant.tzinfo is None or not _EARLIEST <= instant < _LATEST:
        raise ClockRefused(_malformed(start))
    return (instant - now).total_seconds()


def _malformed(start: str) -> str:
    return (
        f"HOLDFAST_CLOCK_START={start} is not an instant: write it like 2027-03-01T08:00:00Z,"
        f" zone included, from {_EARLIEST.year} on and before {_LATEST.year}"
    )


def _refuse_exposed_listeners(options: Options) -> None:
    for listener in (*options.listeners.values(), *options.metrics.values()):
        if not listener.is_loopback:
            raise ClockRefused(
                f"a moved clock is for this machine only, and {listener.address} is not loopback:"
                " unset HOLDFAST_CLOCK_START or listen on 127.0.0.1"
            )
