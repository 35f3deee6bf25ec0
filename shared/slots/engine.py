"""The questions the services ask: slots of a day, openness of a month, and is this start allowed.

All three read the same offered starts, so a start is listed, counted and accepted alike.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.slots.admission import check
from shared.slots.bitmap import quanta
from shared.slots.opening import open_bitmaps, open_intervals
from shared.slots.plan import Plan, plan_dates, plan_day
from shared.slots.rule import BookingRules
from shared.slots.schedule import Schedule
from shared.slots.slot import Slot

__all__ = [
    "FreeStarts",
    "Slot",
    "check",
    "day_slots",
    "days_needed",
    "month",
    "offered_starts",
    "open_bitmaps",
    "open_intervals",
    "planned",
]


class FreeStarts(NamedTuple):
    """The starts of a local date that can be booked, as bits of a plan.

    Many resources share a plan, and few the same free starts: what is made of each start is best
    made once a plan.
    """

    plan: Plan
    bits: int

    def slots(self) -> list[Slot]:
        """Returns them ascending."""
        plan = self.plan
        base, origin, end = plan.base, plan.base + plan.before, plan.base + plan.occupied
        return [Slot(origin + index, base + index, end + index) for index in quanta(self.bits)]


def offered_starts(
    schedule: Schedule,
    rules: BookingRules,
    day: date,
    duration: timedelta,
    viewer_zone: ZoneInfo | None = None,
) -> Sequence[int]:
    """Returns the starts of a local date, ascending, before inventory, notice and horizon.

    The date is the viewer's, by default the schedule's; it selects among the same starts.

    Raises:
        DurationNotOffered: The rules do not offer this length.
        DateOutOfRange: The date is outside the supported calendar.
    """
    found = plan_day(schedule, rules, day, duration, viewer_zone)
    origin = found.base + found.before
    return [origin + index for index in quanta(found.candidates)]


def planned(
    schedule: Schedule,
    rules: BookingRules,
    first: date,
    last: date,
    duration: timedelta,
    viewer_zone: ZoneInfo | None = None,
) -> Plan:
    """Returns what a question over local dates is answered by, whatever the inventory.

    Args:
        schedule: The opening hours.
        rules: The event type's rules.
        first: A date of the viewer's zone, by default of the schedule's.
        last: The last one, inclusive.
        duration: One of the offered lengths.
        viewer_zone: Whose dates these are.

    Raises:
        DurationNotOffered: The rules do not offer this length.
        DateOutOfRange: A date is outside the supported calendar.
        ValueError: ``last`` is before ``first``, or there are more than 93 dates.
    """
    if first == last:
        return plan_day(schedule, rules, first, duration, viewer_zone)
    return plan_dates(schedule, rules, first, last, duration, viewer_zone)


def day_slots(
    schedule: Schedule,
    rules: BookingRules,
    day: date,
    duration: timedelta,
    now: datetime,
    busy: Mapping[int, int],
    viewer_zone: ZoneInfo | None = None,
) -> list[Slot]:
    """Returns the slots of a local date that can be booked now, ascending.

    Args:
        schedule: The opening hours.
        rules: The event type's rules.
        day: A date of the viewer's zone, by default of the schedule's.
        duration: One of the offered lengths.
        now: The clock's reading.
        busy: Taken quanta by UTC day number, for ``days_needed``; a missing day is free.
        viewer_zone: Whose date ``day`` is.

    Raises:
        DurationNotOffered: The rules do not offer this length.
        DateOutOfRange: The date is outside the supported calendar.
    """
    found = plan_day(schedule, rules, day, duration, viewer_zone)
    return FreeStarts(found, found.free(busy, now)).slots()


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
    """Tells for each local date, first to last inclusive, whether ``day_slots`` has a slot.

    Raises:
        DurationNotOffered: The rules do not offer this length.
        DateOutOfRange: A date is outside the supported calendar.
        ValueError: ``last`` is before ``first``, or there are more than 93 dates.
    """
    return plan_dates(schedule, rules, first, last, duration, viewer_zone).has_free(busy, now)


def days_needed(
    schedule: Schedule,
    rules: BookingRules,
    first: date,
    last: date,
    duration: timedelta,
    viewer_zone: ZoneInfo | None = None,
) -> range:
    """Returns the UTC day numbers whose bitmaps ``day_slots`` or ``month`` read; may be empty.

    Raises:
        DurationNotOffered: The rules do not offer this length.
        DateOutOfRange: A date is outside the supported calendar.
        ValueError: ``last`` is before ``first``, or there are more than 93 dates.
    """
    return planned(schedule, rules, first, last, duration, viewer_zone).days
