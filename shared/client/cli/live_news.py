"""What happened on a live day from one picture to the next, in a few words each. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from shared.client.cli.holding import holder
from shared.client.day_view import DayPicture
from shared.client.days_fold import UNTOUCHED
from shared.client.live_hold import HoldName, LiveHold
from shared.slots.bitmap import FULL, runs
from shared.slots.quantum import QUANTA_PER_DAY, day_number, instant

_YOU: Final = "you"


def news(before: DayPicture, after: DayPicture, zone: ZoneInfo) -> Iterator[str]:
    """Yields what was held, let go, booked and freed."""
    known = {hold.name: hold for hold in before.holds}
    found = {hold.name: hold for hold in after.holds}
    yield from _booked(before, after, zone)
    yield from _gone(known, found, after, zone)
    for name, hold in found.items():
        old = known.get(name)
        who = _YOU if hold.holder_id == after.holder_id else holder(hold.holder_id)
        if old is None:
            yield f"{who} took {_time(hold.start, hold.end, zone)}{_units(hold)}"
        elif old.span != hold.span:
            yield f"{who} moved to {_time(hold.start, hold.end, zone)}"
        elif hold.is_overdue and not old.is_overdue:
            yield f"{who} is not heard of any more"
        elif old.is_overdue and not hold.is_overdue:
            yield f"{who} is back"


def _gone(
    known: dict[HoldName, LiveHold],
    found: dict[HoldName, LiveHold],
    after: DayPicture,
    zone: ZoneInfo,
) -> Iterator[str]:
    for name, hold in known.items():
        if name in found or _is_taken(hold, after):
            continue  # what is booked is told as such
        who = _YOU if hold.holder_id == after.holder_id else holder(hold.holder_id)
        verb = "ran out of" if hold.is_overdue else "left"
        yield f"{who} {verb} {_time(hold.start, hold.end, zone)}"


def _booked(before: DayPicture, after: DayPicture, zone: ZoneInfo) -> Iterator[str]:
    for key, new in sorted(after.days.items()):
        old = before.days.get(key, UNTOUCHED)
        base = day_number(key.date) * QUANTA_PER_DAY
        for first, stop in runs(new.busy & ~old.busy & FULL):
            yield f"{_time(instant(base + first), instant(base + stop), zone)} is booked"
        for first, stop in runs(old.busy & ~new.busy & FULL):
            yield f"{_time(instant(base + first), instant(base + stop), zone)} is free again"


def _is_taken(hold: LiveHold, picture: DayPicture) -> bool:
    busy = {day_number(key.date): state.busy for key, state in picture.days.items()}
    return any(busy.get(number, 0) & mask for number, mask in hold.span.masks())


def _units(hold: LiveHold) -> str:
    return f", {hold.units} units" if hold.units > 1 else ""


def _time(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    return f"{start.astimezone(zone):%H:%M}-{end.astimezone(zone):%H:%M}"
