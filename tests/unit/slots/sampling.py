"""Hypothesis strategies for the slot engine, drawn towards clock changes and midnights."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from shared.slots.rule import BookingRules, ClosedHours, DurationRange
from shared.slots.schedule import Schedule, Window
from shared.slots.zone import zone, zone_names

QUARTER = timedelta(minutes=15)
# Half-hour changes, odd offsets, both ends of the date line, changes at midnight and at 00:01,
# changes of a whole day, of two hours, backwards summer time, and zones without changes.
NAMED_ZONES = (
    *("UTC", "Europe/Paris", "Europe/Dublin", "America/New_York", "America/Santiago"),
    *("America/St_Johns", "America/Asuncion", "America/Havana", "America/Scoresbysund"),
    *("Australia/Lord_Howe", "Australia/Sydney", "Asia/Kathmandu", "Pacific/Chatham"),
    *("Pacific/Apia", "Pacific/Kiritimati", "Pacific/Kwajalein", "Etc/GMT+12", "Africa/Cairo"),
    *("Antarctica/Troll", "Antarctica/Casey", "Africa/Casablanca", "Asia/Beirut", "Asia/Gaza"),
)


@dataclass(frozen=True)
class Question:
    """The arguments of one query."""

    schedule: Schedule
    rules: BookingRules
    day: date
    duration: timedelta
    viewer: ZoneInfo


@lru_cache(maxsize=4096)
def changes(zone_name: str, year: int) -> tuple[date, ...]:
    """The UTC dates of a year within which the zone's offset changes."""
    place = zone(zone_name)
    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(367)]
    offsets = [day.astimezone(place).utcoffset() for day in days]
    return tuple(
        day.date()
        for day, before, after in zip(days, offsets, offsets[1:], strict=False)
        if before != after
    )


def zone_strategy() -> st.SearchStrategy[str]:
    return st.sampled_from(NAMED_ZONES) | st.sampled_from(sorted(zone_names()))


@st.composite
def dates(draw: st.DrawFn, zone_name: str) -> date:
    year = draw(st.integers(1970, 2060))
    near = changes(zone_name, year)
    if draw(st.integers(0, 9)) and near:
        return draw(st.sampled_from(near)) + timedelta(days=draw(st.integers(-2, 2)))
    return date(year, 1, 10) + timedelta(days=draw(st.integers(0, 364)))


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, ...]:
    shape = draw(st.integers(0, 5))
    if shape == 0:
        return (Window(0, 1440),)
    edges = sorted(draw(st.sets(st.integers(0, 96), min_size=2, max_size=6)))
    if shape == 1:
        edges = sorted({0, *edges, 96})
    # Neighbouring edges as windows touch; every other pair leaves gaps.
    pairs = list(pairwise(edges))
    return tuple(Window(a * 15, b * 15) for a, b in (pairs if shape == 2 else pairs[::2]))


@st.composite
def schedules(draw: st.DrawFn, zone_name: str, day: date) -> Schedule:
    weekly: dict[int, tuple[Window, ...]]
    if draw(st.booleans()):
        weekly = dict.fromkeys(range(1, 8), draw(windows()))
    else:
        weekly = draw(st.dictionaries(st.integers(1, 7), windows(), min_size=4))
    near = st.integers(-3, 3).map(lambda n: day + timedelta(days=n))
    overrides = draw(st.dictionaries(near, st.just(()) | windows(), max_size=2))
    return Schedule(zone(zone_name), weekly, overrides)


@st.composite
def rules(draw: st.DrawFn) -> BookingRules:
    short = st.integers(1, 600).map(lambda n: timedelta(minutes=n))
    length = st.one_of(
        st.integers(1, 24).map(lambda n: n * QUARTER),
        short,
        st.integers(1, 3 * 96).map(lambda n: n * QUARTER),
        st.integers(1, 86_400_000).map(lambda n: timedelta(milliseconds=n)),
    )
    buffer = st.just(timedelta()) | short
    horizon = st.none() | st.integers(0, 6000).map(lambda n: timedelta(minutes=n))
    interval = st.none() | st.sampled_from([1, 2, 3, 4, 6, 8]).map(QUARTER.__mul__)
    flexible: DurationRange | None = None
    durations: tuple[timedelta, ...] = ()
    if draw(st.integers(0, 3)):
        durations = tuple(sorted(draw(st.sets(length, min_size=1, max_size=3))))
    else:
        minimum, step = draw(length), draw(length)
        flexible = DurationRange(minimum, minimum + draw(st.integers(0, 3)) * step, step)
    return BookingRules(
        durations=durations,
        flexible=flexible,
        interval=draw(interval),
        buffer_before=draw(buffer),
        buffer_after=draw(buffer),
        minimum_notice=draw(buffer),
        horizon=draw(horizon),
        closed_hours=draw(st.sampled_from(ClosedHours)),
    )


@st.composite
def questions(draw: st.DrawFn) -> Question:
    name = draw(zone_strategy())
    day = draw(dates(name))
    ruled = draw(rules())
    if ruled.flexible:
        flexible = ruled.flexible
        duration = flexible.minimum + draw(st.integers(0, 3)) * flexible.step
        duration = min(duration, flexible.maximum)
    else:
        duration = draw(st.sampled_from(ruled.durations))
    viewer = draw(st.just(name) | zone_strategy())
    return Question(draw(schedules(name, day)), ruled, day, duration, zone(viewer))


@st.composite
def clocks(draw: st.DrawFn, day: date) -> datetime:
    """An instant near a date, now and then exactly on a quarter hour."""
    moment = datetime.combine(day, time(), UTC)
    if draw(st.booleans()):
        return moment + draw(st.integers(-96, 96)) * QUARTER
    return moment + timedelta(seconds=draw(st.integers(-300_000, 90_000)), microseconds=1)


def inventories(first: int, stop: int) -> st.SearchStrategy[dict[int, int]]:
    """Bitmaps of some of the UTC days first <= day < stop: mostly thin, sometimes anything."""
    bit = st.integers(0, 95).map(lambda n: 1 << n)
    thin = st.lists(bit, max_size=5).map(lambda bits: sum(set(bits)))
    anything = st.integers(0, 2**96 - 1)
    return st.dictionaries(st.integers(first, stop - 1), thin | anything, max_size=6)
