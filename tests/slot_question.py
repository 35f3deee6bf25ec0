"""What plans answer, asked as tests like to: of a day, of a month, before inventory or after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.slots.bitmap import quanta
from shared.slots.engine import FreeStarts, planned
from shared.slots.plan import Plan
from shared.slots.rule import BookingRules
from shared.slots.schedule import Schedule
from shared.slots.slot import Slot


def offered_starts(
    schedule: Schedule,
    rules: BookingRules,
    day: date,
    duration: timedelta,
    viewer_zone: ZoneInfo | None = None,
) -> Sequence[int]:
    """The starts of a local date, ascending, before inventory, notice and horizon."""
    found = planned(schedule, rules, day, day, duration, viewer_zone)
    origin = found.base + found.before
    return [origin + index for index in quanta(found.candidates)]


def day_slots(
    schedule: Schedule,
    rules: BookingRules,
    day: date,
    duration: timedelta,
    now: datetime,
    busy: Mapping[int, int],
    viewer_zone: ZoneInfo | None = None,
) -> list[Slot]:
    """The slots of a local date that can be booked now, ascending.

    ``busy`` has the taken quanta by UTC day number; a missing day is free.
    """
    found = planned(schedule, rules, day, day, duration, viewer_zone)
    return FreeStarts(found, found.free(_of_days(found, busy), now)).slots()


def month(
    schedule: Schedule,
    rules: BookingRules,
    first: date,
    last: date,
    duration: timedelta,
    now: datetime,
    busy: Mapping[int, int],
    viewer_zone: ZoneInfo | None = None,
) -> list[bool]:
    """Whether ``day_slots`` has a slot, for each local date, first to last inclusive."""
    found = planned(schedule, rules, first, last, duration, viewer_zone)
    return found.has_free(_of_days(found, busy), now)


def days_needed(
    schedule: Schedule,
    rules: BookingRules,
    first: date,
    last: date,
    duration: timedelta,
    viewer_zone: ZoneInfo | None = None,
) -> range:
    """The UTC day numbers whose bitmaps ``day_slots`` or ``month`` read; may be empty."""
    return planned(schedule, rules, first, last, duration, viewer_zone).days


def _of_days(plan: Plan, busy: Mapping[int, int]) -> list[int]:
    return [busy.get(day, 0) for day in plan.days]
