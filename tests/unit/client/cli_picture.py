"""Pictures of a live day, made up for tests of how they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from shared.client.cli.live_day import Subject
from shared.client.day_merge import SlotState, ViewSlot
from shared.client.day_view import DayPicture
from shared.client.days_fold import DayKey, DayState
from shared.client.live_hold import HoldName, LiveHold
from shared.slots.quantum import covering
from shared.slots.zone import zone

HOUR = timedelta(hours=1)
DAY = date(2027, 3, 9)
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
BERLIN = Subject("studio-a", "session-5h", DAY, 5 * HOUR, zone("Europe/Berlin"))


def at(hour: float, day: date = DAY) -> datetime:
    """Returns an instant of the day in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + hour * HOUR


def slot(
    hour: float,
    state: SlotState = SlotState.AVAILABLE,
    *,
    length: timedelta = 5 * HOUR,
    until: datetime | None = None,
) -> ViewSlot:
    """A start, without buffers."""
    start, end = at(hour), at(hour) + length
    return ViewSlot(start, end, start, end, 1, state, until)


def hold(
    hour: float,
    hours: float = 1,
    *,
    holder: str = "3f9a1c77",
    units: int = 1,
    expires_at: datetime | None = None,
) -> LiveHold:
    """A hold; overdue when its end is given."""
    start, end = at(hour), at(hour + hours)
    return LiveHold(
        "studio-a",
        HoldName(holder, ""),
        covering(start, end),
        start,
        end,
        expires_at or NOW,
        expires_at is not None,
        units,
    )


def picture(
    *slots: ViewSlot,
    holds: Sequence[LiveHold] = (),
    busy: Mapping[date, int] | None = None,
    own: str = "",
    is_stale: bool = False,
) -> DayPicture:
    """What there is to see; every day near by is known."""
    near = {DAY + timedelta(days=number): 0 for number in (-1, 0, 1)} | dict(busy or {})
    days = {DayKey("studio-a", each): DayState(bits, 1) for each, bits in near.items()}
    return DayPicture(slots, tuple(holds), days, "Europe/Berlin", own, is_stale)
