"""What the contract says, quarter hour by quarter hour, in datetimes: slow, and no bitmap."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.slots.rule import BookingRules, ClosedHours
from shared.slots.schedule import Schedule

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=200_000)
def wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """The naive reading of the zone's clock at an instant."""
    return moment.astimezone(zone).replace(tzinfo=None)


def instant_of(reading: datetime, zone: ZoneInfo) -> datetime | None:
    """The first instant at which the clock reads so; None when it never does."""
    moment = reading.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return moment if moment.astimezone(zone).replace(tzinfo=None) == reading else None


def windows(schedule: Schedule, day: date) -> list[tuple[datetime, datetime]]:
    """The windows of one civil date, touching ones made one."""
    given = schedule.weekly.get(day.isoweekday(), ())
    if day in schedule.overrides:
        given = schedule.overrides[day]
    midnight = datetime.combine(day, time())
    return merged(
        (
            midnight + timedelta(minutes=window.start_minute),
            midnight + timedelta(minutes=window.end_minute),
        )
        for window in given
    )


def merged(parts: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Ascending half-open intervals, touching ones made one."""
    found: list[tuple[datetime, datetime]] = []
    for begin, end in parts:
        if found and found[-1][1] == begin:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found


def is_open(schedule: Schedule, moment: datetime) -> bool:
    """Whether the quarter hour that begins at the instant reads as inside a window."""
    reading = wall(moment, schedule.zone)
    return any(begin <= reading < end for begin, end in windows(schedule, reading.date()))


def quarters(begin: datetime, end: datetime) -> Iterator[datetime]:
    """The instants begin, begin + 15 minutes and so on, before ``end``."""
    while begin < end:
        yield begin
        begin += QUARTER


def fits(schedule: Schedule, rules: BookingRules, start: datetime, duration: timedelta) -> bool:
    """Whether the booking fits the opening hours, by the event type's policy."""
    if rules.closed_hours is ClosedHours.OPEN_AT_ENDS:
        end = start + duration
        floor = EPOCH + (end - EPOCH) // QUARTER * QUARTER
        hours = [(at, at + QUARTER) for at in (floor - QUARTER, floor) if is_open(schedule, at)]
        return is_open(schedule, start) and any(begin <= end <= stop for begin, stop in hours)
    reading = wall(start, schedule.zone)
    dates = (reading.date() + DAY * n for n in range(-2, duration.days + 4))
    chain = merged(part for day in dates for part in windows(schedule, day))
    for begin, end in chain:
        if begin <= reading < end:
            return reading + duration <= end and all(
                begin <= wall(at, schedule.zone) < end for at in quarters(start, start + duration)
            )
    return False


def starts(
    schedule: Schedule, rules: BookingRules, day: date, duration: timedelta
) -> list[datetime]:
    """The offered starts of one of the schedule's civil dates."""
    smallest = rules.flexible.minimum if rules.flexible else min(rules.durations)
    step = rules.interval or -(-smallest // QUARTER) * QUARTER
    found = []
    for begin, end in windows(schedule, day):
        reading = begin
        while reading < end:
            start = instant_of(reading, schedule.zone)
            if start and not (start - EPOCH) % QUARTER and fits(schedule, rules, start, duration):
                found.append(start)
            reading += step
    return sorted(found)


def viewed_starts(
    schedule: Schedule, rules: BookingRules, day: date, duration: timedelta, viewer: ZoneInfo
) -> list[datetime]:
    """The offered starts that lie in a local date of the viewer."""
    return sorted(
        start
        for n in range(-3, 4)
        for start in starts(schedule, rules, day + DAY * n, duration)
        if wall(start, viewer).date() == day
    )


def occupied(rules: BookingRules, start: datetime, duration: timedelta) -> list[datetime]:
    """The quarter hours that a booking with its buffers touches."""
    begin, end = start - rules.buffer_before, start + duration + rules.buffer_after
    return list(quarters(EPOCH + (begin - EPOCH) // QUARTER * QUARTER, end))


def is_taken(busy: Mapping[int, int], moment: datetime) -> bool:
    """Whether the quarter hour is taken in bitmaps by UTC day."""
    day, rest = divmod(moment - EPOCH, DAY)
    return bool(busy.get(day, 0) & 2 ** (rest // QUARTER))


def bookable(
    rules: BookingRules,
    start: datetime,
    duration: timedelta,
    now: datetime,
    busy: Mapping[int, int],
) -> bool:
    """Whether an offered start is within notice and horizon, and free."""
    lead = start - now
    if lead < rules.minimum_notice or (rules.horizon is not None and lead > rules.horizon):
        return False
    return not any(is_taken(busy, at) for at in occupied(rules, start, duration))
