"""The questions the services ask: starts of a day, dates with room, and is this start allowed.

All three read the same offered starts, so a start is listed, counted and accepted alike.
"""

from datetime import date, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.slots.admission import check
from shared.slots.bitmap import quanta
from shared.slots.plan import Plan, plan_dates, plan_day
from shared.slots.rule import BookingRules
from shared.slots.schedule import Schedule
from shared.slots.slot import Slot

__all__ = [
    "FreeStarts",
    "check",
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
