from __future__ import annotations

import io
from datetime import date, datetime, timedelta

import pytest

from holdfast.availability.v1.availability_pb2 import (
    DateAvailability,
    Day,
    GetMonthAvailabilityResponse,
)
from holdfast.availability.v1.booking_pb2 import Booker, Booking, BookingItem
from shared.client.cli import day, month, slots, upcoming
from shared.client.cli.offer import Offer
from shared.client.cli.output import Output
from shared.client.cli.slots import Start, flow, range_label
from shared.client.value import to_date, to_timestamp
from shared.slots.zone import zone


class _Utf8(io.StringIO):
    encoding = "utf-8"


def test_a_month_begins_on_its_weekday_and_has_all_its_days() -> None:
    weeks = list(month.weeks(date(2027, 5, 1)))

    assert weeks[0] == [None] * 5 + [date(2027, 5, 1), date(2027, 5, 2)]
    assert [each for week in weeks for each in week if each] == [
        date(2027, 5, number) for number in range(1, 32)
    ]


def test_the_calendar_marks_the_free_days() -> None:
    answer = GetMonthAvailabilityResponse(
        time_zone="Europe/Berlin",
        dates=[
            DateAvailability(date=to_date(date(2027, 2, number)), available=number in {1, 28})
            for number in range(1, 29)
        ],
    )
    stdout = _Utf8()

    offer = Offer("session-1h", timedelta(hours=1))
    month._draw(Output("table", stdout), "studio-a", date(2027, 2, 1), offer, answer)

    assert stdout.getvalue().splitlines() == [
        "              February 2027",
        " Mon   Tue   Wed   Thu   Fri   Sat   Sun",
        "  1 ●   2 ·   3 ·   4 ·   5 ·   6 ·   7 ·",
        "  8 ·   9 ·  10 ·  11 ·  12 ·  13 ·  14 ·",
        " 15 ·  16 ·  17 ·  18 ·  19 ·  20 ·  21 ·",
        " 22 ·  23 ·  24 ·  25 ·  26 ·  27 ·  28 ●",
        "",
        " ● 1 h is free   · none",
        " studio-a under session-1h, days of Europe/Berlin",
    ]


def test_a_day_is_drawn_quarter_by_quarter() -> None:
    bits = "0" * 36 + "1" * 4 + "0" * 55 + "1"
    busy = int(bits, 2).to_bytes(12, "big")
    found = Day(resource_id="studio-a", date=to_date(date(2027, 3, 9)), busy=busy, version=3)
    stdout = _Utf8()

    day.draw_day(Output("table", stdout), found)

    assert stdout.getvalue().splitlines() == [
        "studio-a, Tue 9 March 2027, UTC   5 quarter hours of 96 taken, version 3",
        "",
        " 00   01   02   03   04   05   06   07   08   09   10   11",
        "│····│····│····│····│····│····│····│····│····│████│····│····│",
        "",
        " 12   13   14   15   16   17   18   19   20   21   22   23",
        "│····│····│····│····│····│····│····│····│····│····│····│···█│",
        "",
        " █ taken   · free   each a quarter hour",
        " taken: 09:00-10:00, 23:45-24:00",
    ]


def test_a_pools_day_shows_what_is_taken_in_part() -> None:
    units = [0] * 36 + [1, 1, 3, 3] + [0] * 56
    busy = int("0" * 38 + "11" + "0" * 56, 2).to_bytes(12, "big")
    found = Day(
        resource_id="mic", date=to_date(date(2027, 3, 9)), busy=busy, version=3, units_taken=units
    )
    stdout = _Utf8()

    day.draw_day(Output("table", stdout), found)

    lines = stdout.getvalue().splitlines()
    assert lines[3] == "│····│····│····│····│····│····│····│····│····│▒▒██│····│····│"
    assert lines[-4:] == [
        " █ taken   ▒ taken in part   · free   each a quarter hour",
        " taken: 09:30-10:00",
        " 3 units taken: 09:30-10:00",
        " 1 unit taken: 09:00-09:30",
    ]
    assert day.day_record(found)["units_taken"] == units


def _start(zone_name: str, start: str, length: timedelta) -> Start:
    begin = datetime.fromisoformat(start)
    end = begin + length
    place = zone(zone_name)
    return Start(
        begin.astimezone(place),
        end.astimezone(place),
        begin.astimezone(place),
        end.astimezone(place),
    )


@pytest.mark.parametrize(
    ("start", "hours", "label"),
    [
        ("2027-03-09T09:00Z", 1, "10:00-11:00"),
        ("2027-03-09T22:30Z", 1, "23:30 to Wed 10, 00:30"),
        ("2027-03-09T08:00Z", 48, "09:00 to Thu 11, 09:00"),
        ("2027-03-30T08:00Z", 168, "10:00 to Tue 6 April, 10:00"),
        ("2027-03-28T00:00Z", 2, "01:00+0100-04:00+0200"),
    ],
    ids=["within a day", "over midnight", "over days", "over months", "over a clock change"],
)
def test_a_start_is_written_with_its_end(start: str, hours: int, label: str) -> None:
    found = range_label(_start("Europe/Berlin", start, timedelta(hours=hours)))

    assert found == label


def test_starts_flow_to_the_width_of_the_terminal() -> None:
    cells = [f"{hour:02d}:00-{hour + 1:02d}:00" for hour in range(8, 15)]

    assert flow(cells, 80) == ["   ".join(cells[:5]), "   ".join(cells[5:])]
    assert flow(cells, 5) == cells
    assert all(len(line) <= 39 for line in flow(cells, 39))


def test_a_start_in_a_pipe_says_its_offset() -> None:
    start = _start("Europe/Berlin", "2027-03-09T09:00Z", timedelta(hours=1))

    assert [column.cell(start) for column in slots._COLUMNS] == [
        "2027-03-09 10:00+0100",
        "2027-03-09 11:00+0100",
        "2027-03-09 10:00+0100",
        "2027-03-09 11:00+0100",
        "1",
    ]


_BERLIN = zone("Europe/Berlin")


def _booking(number: int) -> Booking:
    start = datetime.fromisoformat("2027-03-09T09:00Z") + timedelta(hours=number)
    return Booking(
        items=[BookingItem(resource_id="studio-a")],
        booker=Booker(booker_id=f"band-{number}", name="Ada" if number else ""),
        start_time=to_timestamp(start),
        end_time=to_timestamp(start + timedelta(hours=1)),
    )


def test_what_lies_ahead_is_said_before_a_deletion() -> None:
    assert upcoming.describe([], _BERLIN) == ["It has no upcoming booking."]
    assert upcoming.describe([_booking(0)], _BERLIN) == [
        "It has 1 upcoming booking:",
        "  Tue 9 March 2027, 10:00 to 11:00 (Europe/Berlin)  studio-a  band-0",
    ]


def test_a_long_list_of_what_lies_ahead_is_cut_and_counted() -> None:
    found = upcoming.describe([_booking(number) for number in range(25)], _BERLIN)

    assert found[0] == "It has 25 upcoming bookings:"
    assert len(found) == 12
    assert found[-1] == "  and 15 more"
