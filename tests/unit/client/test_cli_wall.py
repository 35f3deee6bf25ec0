from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.client.cli.wall import WallTimeSkipped, resolve
from shared.slots.zone import zone


@pytest.mark.parametrize(
    ("name", "wall", "instant"),
    [
        ("Europe/Berlin", "2027-03-09T10:00", "2027-03-09T09:00Z"),
        ("Asia/Kathmandu", "2027-03-09T10:00", "2027-03-09T04:15Z"),
        ("Pacific/Kiritimati", "2027-03-09T10:00", "2027-03-08T20:00Z"),
        ("Europe/Berlin", "2027-03-28T03:00", "2027-03-28T01:00Z"),
        ("Europe/Berlin", "2027-03-28T01:45", "2027-03-28T00:45Z"),
    ],
)
def test_a_wall_time_is_an_instant_of_its_zone(name: str, wall: str, instant: str) -> None:
    found = resolve(datetime.fromisoformat(wall), zone(name))

    assert found == (datetime.fromisoformat(instant), None)


def test_an_instant_is_itself_whatever_the_zone() -> None:
    found = resolve(datetime.fromisoformat("2027-03-28T02:30+01:00"), zone("Europe/Berlin"))

    assert found == (datetime(2027, 3, 28, 1, 30, tzinfo=UTC), None)


@pytest.mark.parametrize(
    ("name", "wall", "earlier", "later"),
    [
        ("Europe/Berlin", "2027-10-31T02:30", "2027-10-31T00:30Z", "2027-10-31T01:30Z"),
        ("America/New_York", "2027-11-07T01:00", "2027-11-07T05:00Z", "2027-11-07T06:00Z"),
        ("Australia/Lord_Howe", "2027-04-04T01:30", "2027-04-03T14:30Z", "2027-04-03T15:00Z"),
    ],
)
def test_a_wall_time_that_happens_twice_means_the_earlier_one(
    name: str, wall: str, earlier: str, later: str
) -> None:
    found = resolve(datetime.fromisoformat(wall), zone(name))

    assert found == (datetime.fromisoformat(earlier), datetime.fromisoformat(later))


@pytest.mark.parametrize(
    ("name", "wall", "words"),
    [
        ("Europe/Berlin", "2027-03-28T02:30", "from 02:00 to 03:00"),
        ("Europe/Berlin", "2027-03-28T02:00", "from 02:00 to 03:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "from 02:00 to 02:30"),
        (
            "Pacific/Apia",
            "2011-12-30T12:00",
            "from 2011-12-30 00:00 to 2011-12-31 00:00",
        ),
    ],
)
def test_a_wall_time_that_no_clock_shows_is_said(name: str, wall: str, words: str) -> None:
    with pytest.raises(WallTimeSkipped, match=f"does not exist in {name}: the clocks go {words}"):
        resolve(datetime.fromisoformat(wall), zone(name))
