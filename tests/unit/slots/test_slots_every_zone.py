"""Every zone over ten years: opening hours and dates lose no quantum and double none."""

import os
import random
from collections import Counter
from datetime import date, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from shared.slots.civil import place, quanta_of_date, stretches
from shared.slots.opening import open_bitmaps
from shared.slots.quantum import day_number
from shared.slots.schedule import Schedule, Window
from shared.slots.zone import zone, zone_names
from tests.unit.slots.sampling import changes

FULL_DOSE = os.environ.get("HOLDFAST_TEST_DOSE") == "full"
YEARS = range(2020, 2030)
ZONES = sorted(zone_names())
# Links share the bytes of the zone they point to.
DISTINCT_ZONES = sorted(
    {
        files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes(): name
        for name in reversed(ZONES)
    }.values()
)
DAY = timedelta(days=1)
# By ISO weekday, minutes: over midnight, around the usual hours of clock changes, touching,
# a single quarter hour, around the clock; closed on Fridays.
HOURS = {
    1: ((0, 120), (1380, 1440)),
    2: ((0, 60), (75, 90), (90, 105), (540, 1020)),
    3: ((0, 1440),),
    4: ((15, 30), (165, 1425)),
    6: ((0, 135), (180, 1440)),
    7: ((0, 105), (120, 150), (165, 180), (1425, 1440)),
}


def weekly() -> dict[int, tuple[Window, ...]]:
    return {weekday: tuple(Window(*pair) for pair in pairs) for weekday, pairs in HOURS.items()}


def sampled_days(name: str, year: int) -> list[date]:
    """All days of a year, or those around clock changes and two at random."""
    if FULL_DOSE:
        return [date(year, 1, 1) + DAY * n for n in range(365 + (year % 4 == 0))]
    picked = [date(year, 1, 1) + DAY * random.randrange(365) for _ in range(2)]
    around = [change + DAY * n for change in changes(name, year) for n in (-1, 0, 1)]
    return sorted({*picked, *around})


@lru_cache(maxsize=16)
def readings(place: ZoneInfo, day: int) -> list[datetime]:
    """The wall clock at each quarter hour of a UTC day."""
    seconds = range(day * 86_400, (day + 1) * 86_400, 900)
    return [datetime.fromtimestamp(second, place) for second in seconds]


def reads_open(reading: datetime) -> bool:
    minute = reading.hour * 60 + reading.minute
    return any(first <= minute < stop for first, stop in HOURS.get(reading.isoweekday(), ()))


@pytest.mark.parametrize("year", YEARS)
def test_a_quantum_is_open_exactly_when_the_wall_clock_reads_so(year: int) -> None:
    for name in ZONES:
        schedule = Schedule(zone(name), weekly())
        for day in map(day_number, sampled_days(name, year)):
            expected = sum(
                1 << index
                for index, reading in enumerate(readings(schedule.zone, day))
                if reads_open(reading)
            )
            assert open_bitmaps(schedule, day, day) == {day: expected}, (name, day)


@pytest.mark.parametrize("year", YEARS)
def test_each_quantum_belongs_to_the_one_date_the_wall_clock_shows(year: int) -> None:
    for name in DISTINCT_ZONES:
        place = zone(name)
        for day in map(day_number, sampled_days(name, year)):
            dates = [day_number(reading.date()) for reading in readings(place, day)]
            for number in range(day - 2, day + 3):
                expected = sum(1 << index for index, shown in enumerate(dates) if shown == number)
                # Bit 0 of what is found is the first quantum of the UTC day before ``number``.
                found = quanta_of_date(place, number) << 96 * (number - (day - 2))
                assert found >> 3 * 96 & (2**96 - 1) == expected, (name, day, number)


@pytest.mark.parametrize("year", YEARS)
def test_each_reading_of_the_wall_clock_is_placed_once_at_its_first_occurrence(year: int) -> None:
    everything = 2**96 - 1
    for name in DISTINCT_ZONES:
        for day in map(day_number, sampled_days(name, year)):
            first_seen: dict[datetime, int] = {}
            for offset in range(3):
                for index, reading in enumerate(readings(zone(name), day - 1 + offset)):
                    first_seen.setdefault(reading.replace(tzinfo=None), offset * 96 + index)
            expected = sum(
                1 << index
                for reading, index in first_seen.items()
                if day_number(reading.date()) == day and not reading.minute % 15
            )

            assert place(zone(name), day, everything) == expected, (name, day)


def test_no_zone_changes_its_clock_twice_within_a_week() -> None:
    """What lets the engine compare the offsets of two midnights only."""
    first, stop = day_number(date(1970, 1, 1)) * 96, day_number(date(2100, 1, 1)) * 96
    step = 24 if FULL_DOSE else 96
    for name in DISTINCT_ZONES[:: 1 if FULL_DOSE else 17]:
        offsets = [
            datetime.fromtimestamp(quantum * 900, zone(name)).utcoffset()
            for quantum in range(first, stop, step)
        ]
        found = [index for index, pair in enumerate(pairwise(offsets)) if pair[0] != pair[1]]
        known = [part.first for part in stretches(zone(name), first, stop)][1:]
        assert [(quantum - 1 - first) // step for quantum in known] == found, name
        gaps = [later - sooner for sooner, later in pairwise(known)]
        assert min(gaps, default=7 * 96) >= 6 * 96, name


def test_offsets_are_quarter_hours_from_1980_on() -> None:
    first, stop = day_number(date(1980, 1, 1)) * 96, day_number(date(2040, 1, 1)) * 96
    rests = Counter(
        part.rest for name in DISTINCT_ZONES[::5] for part in stretches(zone(name), first, stop)
    )

    assert set(rests) == {0}
