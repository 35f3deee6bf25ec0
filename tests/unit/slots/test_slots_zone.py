"""Zone data out of the package, and the edges of the calendar."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from shared.slots.engine import check
from shared.slots.opening import open_bitmaps, open_intervals
from shared.slots.quantum import FIRST_DATE, LAST_DATE, DateOutOfRange, day_number, instant
from shared.slots.rule import MAX_BOOKING, BookingRules
from shared.slots.schedule import Schedule, Window
from shared.slots.zone import UnknownZone, tzdata_version, zone, zone_names
from tests.slot_question import day_slots, days_needed, month, offered_starts

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ROUND_THE_CLOCK = dict.fromkeys(range(1, 8), (Window(0, 1440),))
HOURLY = BookingRules(durations=(HOUR,), interval=HOUR)
WIDEST = BookingRules(
    durations=(MAX_BOOKING,), interval=HOUR, buffer_before=MAX_BOOKING, buffer_after=MAX_BOOKING
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EDGES = [date.min, FIRST_DATE - DAY, LAST_DATE + DAY, date.max]


def test_every_name_of_the_package_is_a_zone() -> None:
    assert len(zone_names()) > 500
    for name in zone_names():
        assert zone(name).key == name


def test_the_same_name_is_the_same_zone() -> None:
    assert zone("Europe/Paris") is zone("Europe/Paris")
    assert zone("Europe/Paris") is not ZoneInfo("Europe/Paris")


def test_the_version_is_that_of_the_iana_release() -> None:
    version = tzdata_version()

    assert version[:4].isdigit()
    assert version[4:].isalpha()


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "UTC ", "utc", "Mars/Olympus", "Europe", "Europe/", "/etc/passwd", "zone.tab"),
        *("../zones", "Europe/../UTC", "Europe\\Paris", "UTC\0", "\0", "\ud800", "UTC\r\n"),
        *("__init__.py", "Europe/__init__.py", "x" * 10_000),
    ],
)
def test_a_name_that_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(UnknownZone) as refusal:
        zone(name)

    assert refusal.value.name == name
    assert len(str(refusal.value)) < 500


def test_the_hosts_zone_files_are_not_read(tmp_path: Path) -> None:
    """On a host whose Paris keeps Tokyo's time, Paris is still Paris here."""
    host = tmp_path / "Europe"
    host.mkdir()
    tokyo = files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    (host / "Paris").write_bytes(tokyo)
    program = (
        "from datetime import datetime; from zoneinfo import ZoneInfo\n"
        "from shared.slots.zone import zone\n"
        "for paris in (ZoneInfo('Europe/Paris'), zone('Europe/Paris')):\n"
        "    print(datetime(2026, 7, 1, tzinfo=paris).utcoffset())"
    )

    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONTZPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert run.stdout.split() == ["9:00:00", "2:00:00"]


@pytest.mark.parametrize("day", EDGES, ids=str)
def test_a_date_outside_the_calendar_is_refused_by_every_question(day: date) -> None:
    schedule = Schedule(zone("Pacific/Kiritimati"), ROUND_THE_CLOCK)
    viewer = zone("Etc/GMT+12")

    with pytest.raises(DateOutOfRange) as refusal:
        offered_starts(schedule, HOURLY, day, HOUR)
    assert refusal.value.value == day
    with pytest.raises(DateOutOfRange):
        day_slots(schedule, HOURLY, day, HOUR, NOW, {}, viewer)
    with pytest.raises(DateOutOfRange):
        month(schedule, HOURLY, day, day, HOUR, NOW, {})
    with pytest.raises(DateOutOfRange):
        days_needed(schedule, HOURLY, day, day, HOUR)
    with pytest.raises(DateOutOfRange):
        open_intervals(schedule, day, day)
    with pytest.raises(DateOutOfRange):
        open_bitmaps(schedule, day_number(day), day_number(day))


@pytest.mark.parametrize("name", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
@pytest.mark.parametrize("day", [FIRST_DATE, LAST_DATE], ids=str)
def test_the_first_and_the_last_date_are_answered(name: str, day: date) -> None:
    schedule = Schedule(zone(name), ROUND_THE_CLOCK)

    slots = day_slots(schedule, WIDEST, day, MAX_BOOKING, datetime.min.replace(tzinfo=UTC), {})

    if name == "Pacific/Kiritimati" and day == FIRST_DATE:
        assert slots == []  # ten hours and forty minutes behind UTC then, off the grid
        return
    assert len(slots) == 24
    assert slots[0].occupancy.stop - slots[0].occupancy.first == 3 * 31 * 96
    assert slots[0].start.astimezone(schedule.zone).date() == day
    assert month(schedule, WIDEST, day, day, MAX_BOOKING, slots[0].start, {}) == [True]
    assert open_intervals(schedule, day, day)[0][1] - slots[0].start == DAY
    assert check(schedule, WIDEST, slots[-1].start, MAX_BOOKING, slots[0].start)


@pytest.mark.parametrize("name", ["UTC", "Pacific/Auckland", "Etc/GMT+12"])
def test_viewers_of_the_edges_see_what_check_accepts(name: str) -> None:
    schedule = Schedule(zone("UTC"), ROUND_THE_CLOCK)

    for day in (FIRST_DATE, LAST_DATE):
        for start in offered_starts(schedule, HOURLY, day, HOUR, zone(name)):
            assert check(schedule, HOURLY, instant(start), HOUR, instant(start))


@pytest.mark.parametrize(
    "start",
    [
        datetime.min.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime(1969, 12, 30, tzinfo=UTC),
        datetime(9999, 1, 2, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 45, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 45, tzinfo=timezone(timedelta(hours=-12))),
    ],
    ids=str,
)
def test_a_start_outside_every_calendar_is_refused(start: datetime) -> None:
    for name in ("UTC", "Pacific/Kiritimati", "Etc/GMT+12"):
        schedule = Schedule(zone(name), ROUND_THE_CLOCK)
        with pytest.raises(DateOutOfRange) as refusal:
            check(schedule, HOURLY, start, HOUR, NOW)
        assert refusal.value.value == start


def test_the_calendar_ends_with_the_local_date() -> None:
    schedule = Schedule(zone("Etc/GMT+12"), ROUND_THE_CLOCK)
    first = datetime(1970, 1, 1, 12, tzinfo=UTC)
    last = datetime(9999, 1, 1, 11, tzinfo=UTC)

    assert check(schedule, HOURLY, first, HOUR, first)
    assert check(schedule, HOURLY, last, HOUR, first)
    for beyond in (first - HOUR, last + HOUR):
        with pytest.raises(DateOutOfRange):
            check(schedule, HOURLY, beyond, HOUR, first)


@pytest.mark.parametrize(
    "now",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
    ],
    ids=["year 1", "year 9999"],
)
def test_any_clock_reading_is_answered(now: datetime) -> None:
    schedule = Schedule(zone("UTC"), ROUND_THE_CLOCK)
    rules = BookingRules(durations=(HOUR,), minimum_notice=DAY, horizon=timedelta.max)

    found = day_slots(schedule, rules, date(2026, 1, 1), HOUR, now, {})

    assert len(found) == (24 if now.year == 1 else 0)


def test_a_month_has_at_least_one_and_at_most_93_dates_in_order() -> None:
    schedule = Schedule(zone("UTC"), ROUND_THE_CLOCK)
    first = date(2026, 1, 1)

    assert month(schedule, HOURLY, first, first + 92 * DAY, HOUR, NOW, {}) == [True] * 93
    with pytest.raises(ValueError, match="93"):
        month(schedule, HOURLY, first, first + 93 * DAY, HOUR, NOW, {})
    with pytest.raises(ValueError, match="93"):
        month(schedule, HOURLY, first, first - DAY, HOUR, NOW, {})
    with pytest.raises(ValueError, match="93"):
        days_needed(schedule, HOURLY, first, first - DAY, HOUR)
