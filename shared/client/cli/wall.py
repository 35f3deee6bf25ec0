"""Wall-clock times of a zone as instants; each oddity of a clock change is said, not guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo


class WallTimeSkipped(Exception):
    """The clocks were put forward over this wall time: nobody's clock ever shows it."""

    def __init__(self, wall: datetime, zone: ZoneInfo, before: datetime, after: datetime) -> None:
        reading = "%H:%M" if before.date() == after.date() else "%Y-%m-%d %H:%M"
        super().__init__(
            f"{wall:%Y-%m-%dT%H:%M} does not exist in {zone.key}: the clocks go from"
            f" {before:{reading}} to {after:{reading}}"
        )
        self.wall = wall
        self.after = after


class Moment(NamedTuple):
    """An instant, and whether its wall time has a second meaning."""

    instant: datetime  # in UTC
    later: datetime | None  # the other instant, when the wall time happens twice


def resolve(moment: datetime, zone: ZoneInfo) -> Moment:
    """Returns the instant that is meant: of a wall time that happens twice, the earlier one.

    Args:
        moment: Naive for a wall time in ``zone``; aware ones name their instant themselves.
        zone: Whose clocks a naive moment speaks of.

    Raises:
        WallTimeSkipped: No clock of the zone ever shows it.
        OverflowError: Beyond what a datetime can say.
    """
    if moment.tzinfo is not None:
        return Moment(moment.astimezone(UTC), None)
    earlier, later = (moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if earlier.astimezone(zone).replace(tzinfo=None) == moment:
        return Moment(earlier, None if later == earlier else later)
    raise WallTimeSkipped(moment, zone, *_jump(later, earlier, zone))


def _jump(first: datetime, last: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The wall times just before and just after the clocks change between two instants."""
    offset = first.astimezone(zone).utcoffset()
    minutes = range(1, int((last - first) / timedelta(minutes=1)) + 1)
    for minute in minutes:
        after = (first + timedelta(minutes=minute)).astimezone(zone)
        if after.utcoffset() != offset:
            # The reading the old offset would have gone on to: "02:00", not "01:59".
            before = after - (after.utcoffset() or timedelta()) + (offset or timedelta())
            return before, after
    return first.astimezone(zone), last.astimezone(zone)
