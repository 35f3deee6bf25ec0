from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from shared.client.cli import quarter
from shared.client.cli.live_day import LIVE, Glyphs, Health, News, Subject, colour, draw
from shared.client.cli.live_news import news as news_of
from shared.client.cli.live_start import Size, countdown, starts
from shared.client.cli.output import Output
from shared.client.cli.quarter import Cell, Hour, Quarter
from shared.client.cli.screen import Line
from shared.client.day_merge import SlotState
from shared.client.day_view import DayPicture
from shared.client.days_fold import DayKey, DayState
from shared.slots.bitmap import mask
from shared.slots.quantum import day_number
from shared.slots.zone import zone
from tests.unit.client.cli_picture import BERLIN, DAY, HOUR, NOW, at, hold, picture, slot

_SECOND = timedelta(seconds=1)
_TERMINAL = Size(80, 24)


class _Ascii(io.StringIO):
    encoding = "ascii"


class _Utf8(io.StringIO):
    encoding = "utf-8"


def _glyphs(stdout: io.StringIO | None = None) -> Glyphs:
    return Glyphs.of(Output("table", stdout or _Utf8()))


def _text(lines: list[Line]) -> list[str]:
    return ["".join(part.text for part in line).rstrip() for line in lines]


def _drawn(
    shown: DayPicture,
    size: Size = _TERMINAL,
    *,
    subject: Subject = BERLIN,
    now: datetime = NOW,
    health: Health = LIVE,
    glyphs: Glyphs | None = None,
    opened: frozenset[int] | None = None,
    news: Sequence[News] = (),
) -> list[str]:
    lines = draw(
        subject, shown, glyphs or _glyphs(), size,
        now=now, health=health, opened=opened, news=news,
    )  # fmt: skip
    return _text(lines)


def test_a_day_is_drawn_with_its_bookings_holds_and_starts_in_time_order() -> None:
    shown = picture(
        slot(7), slot(8, SlotState.RESERVED), slot(13),
        holds=[hold(12)], busy={DAY: mask(80, 82)},
    )  # fmt: skip

    assert _drawn(shown) == [
        "studio-a, Tue 9 March 2027   ● live",
        "5 h under session-5h, times of Europe/Berlin, 2 available, 1 reserved",
        "",
        " 00   01   02   03   04   05   06   07   08   09   10   11",
        "│····│····│····│····│····│····│····│····│····│····│····│····│",
        " 12   13   14   15   16   17   18   19   20   21   22   23",
        "│····│▒▒▒▒│····│····│····│····│····│····│····│██··│····│····│",
        " █ booked   ▒ held   · free",
        "",
        " 08:00-13:00  available",
        " 09:00-14:00  reserved",
        " 14:00-19:00  available",
        "",
        " ▒ held by 3f9a1c  13:00-14:00",
    ]


def test_an_overdue_hold_is_counted_down() -> None:
    until = NOW + 3 * _SECOND
    shown = picture(slot(8, SlotState.RESERVED, until=until), holds=[hold(12, expires_at=until)])

    lines = _drawn(shown)

    assert " 09:00-14:00  reserved   may be free in 3 s" in lines
    assert " ▒ held by 3f9a1c  13:00-14:00   ▰▰▰▱▱ may end in 3 s" in lines


@pytest.mark.parametrize(
    ("left", "words"),
    [(3.0, "in 3 s"), (2.2, "in 3 s"), (0.1, "in 1 s"), (0.0, "any moment"), (-5.0, "any moment")],
)
def test_a_countdown_never_promises_too_soon(left: float, words: str) -> None:
    assert countdown(NOW + left * _SECOND, NOW) == words


def test_own_holds_are_told_from_others() -> None:
    shown = picture(slot(7), holds=[hold(12, holder="me"), hold(12.5, holder="other")], own="me")

    lines = _drawn(shown)

    assert "│····│◆◆◆◆│▒▒··│" in lines[6]
    assert lines[7] == " █ booked   ▒ held   ◆ yours   · free"
    assert lines[-2:] == [" ◆ held by you  13:00-14:00", " ▒ held by other  13:30-14:30"]


def test_a_booking_is_drawn_over_a_hold() -> None:
    shown = picture(slot(7), holds=[hold(12)], busy={DAY: mask(48, 50)})

    assert "│····│██▒▒│····│" in _drawn(shown)[6]


def test_what_may_be_out_of_date_says_so() -> None:
    def first_line(health: Health) -> str:
        return _drawn(picture(slot(7)), health=health)[0]

    assert first_line(Health(is_broken=True)) == "studio-a, Tue 9 March 2027   ○ reconnecting…"
    assert first_line(Health(is_broken=True, stale_for=14)) == (
        "studio-a, Tue 9 March 2027   ○ stale for 14 s"
    )


def test_a_day_without_a_start_says_so() -> None:
    assert _drawn(picture())[-1] == " No free start."


def test_an_encoding_without_the_signs_gets_plain_ones() -> None:
    shown = picture(slot(7), holds=[hold(12)], busy={DAY: mask(80, 82)})

    lines = _drawn(shown, health=Health(is_broken=True), glyphs=_glyphs(_Ascii()))

    assert "".join(lines).isascii()
    assert lines[0].endswith("reconnecting...")
    assert lines[6] == "|....|++++|....|....|....|....|....|....|....|##..|....|....|"


@pytest.mark.parametrize("width", [200, 121, 80, 61, 60, 50])
@pytest.mark.parametrize("height", [60, 24, 14, 8])
@pytest.mark.parametrize("count", [0, 10, 40])
def test_nothing_is_wider_or_higher_than_the_terminal(width: int, height: int, count: int) -> None:
    until = NOW + 9 * _SECOND
    reserved = [
        slot(number / 4, SlotState.RESERVED, length=HOUR, until=until) for number in range(count)
    ]
    holds = [hold(hour, holder=f"holder-{hour}", expires_at=until) for hour in range(3)]

    lines = _drawn(picture(*reserved, holds=holds), Size(width, height))

    assert len(lines) < height
    assert max(map(len, lines)) <= width


def test_many_starts_stand_side_by_side_and_read_line_by_line() -> None:
    shown = picture(*(slot(7 + number / 2, length=HOUR) for number in range(27)))

    wide = _drawn(shown)
    narrow = _drawn(shown, Size(60, 24))

    assert wide[9] == " 08:00  available       08:30  available       09:00  available"
    assert len(wide) == 9 + 9
    assert narrow[11] == " 08:00 available     08:30 available     09:00 available"
    assert len(narrow) == 11 + 9


def test_starts_without_room_are_counted() -> None:
    slots = [slot(7 + number / 4, length=HOUR) for number in range(10)]

    lines = _text(starts(slots, BERLIN.zone, "…", Size(42, 3), NOW))

    assert lines == [
        " 08:00 available     08:15 available",
        " 08:30 available     08:45 available",
        " … 6 more starts",
    ]


def test_many_holds_are_counted_too() -> None:
    shown = picture(slot(7), holds=[hold(hour, holder=f"h{hour}") for hour in range(6, 12)])

    assert _drawn(shown)[-4:] == [
        " ▒ held by h6  07:00-08:00",
        " ▒ held by h7  08:00-09:00",
        " ▒ held by h8  09:00-10:00",
        " … 3 more holds",
    ]


def test_a_hold_of_another_date_says_which() -> None:
    shown = picture(slot(7), holds=[hold(24, 2)])

    assert _drawn(shown)[-1] == " ▒ held by 3f9a1c  Wed 10, 01:00-03:00"


def test_a_narrow_terminal_gets_more_rows_of_hours() -> None:
    lines = _drawn(picture(slot(7)), Size(60, 24))

    assert lines[3:9:2] == [
        " 00   01   02   03   04   05   06   07",
        " 08   09   10   11   12   13   14   15",
        " 16   17   18   19   20   21   22   23",
    ]


def _hours(day: date, name: str, *, busy: int = 0) -> list[Hour]:
    near = [day + timedelta(days=number) for number in (-1, 0, 1)]
    days = {DayKey("studio-a", each): DayState(busy if each == day else 0, 1) for each in near}
    shown = DayPicture((), (), days, name, "", is_stale=False)
    return quarter.hours(shown, "studio-a", day, zone(name))


def test_the_hour_that_clocks_skip_is_not_drawn() -> None:
    hours = _hours(date(2027, 3, 28), "Europe/Berlin")

    assert [hour.number for hour in hours] == [0, 1, *range(3, 24)]


def test_the_hour_that_clocks_repeat_is_drawn_twice_and_told_apart() -> None:
    # 02:00 summer time is 00:00 UTC; an hour later it is 02:00 again.
    hours = _hours(date(2027, 10, 31), "Europe/Berlin", busy=mask(4, 8))

    assert [hour.number for hour in hours] == [0, 1, 2, 2, *range(3, 24)]
    assert [set(hour.cells) for hour in hours[2:4]] == [
        {Cell(Quarter.FREE)}, {Cell(Quarter.BOOKED)},
    ]  # fmt: skip


def test_a_change_by_half_an_hour_makes_shorter_hours() -> None:
    hours = _hours(date(2027, 4, 4), "Australia/Lord_Howe")

    assert [(hour.number, len(hour.cells)) for hour in hours[:4]] == [
        (0, 4), (1, 4), (1, 2), (2, 4),
    ]  # fmt: skip
    assert sum(len(hour.cells) for hour in hours) == 98


def test_a_date_that_a_zone_skipped_has_no_quarter_hour() -> None:
    assert quarter.local_quanta(date(2011, 12, 30), zone("Pacific/Apia")) == []


@pytest.mark.parametrize("name", ["Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kathmandu", "UTC"])
def test_an_ordinary_date_has_all_its_quarter_hours(name: str) -> None:
    quanta = quarter.local_quanta(DAY, zone(name))

    assert len(quanta) == 96
    assert quanta == list(range(quanta[0], quanta[0] + 96))


def test_quarter_hours_that_nobody_told_of_stay_blank() -> None:
    shown = DayPicture((), (), {DayKey("studio-a", DAY): DayState(0, 1)}, "", "", is_stale=False)

    hours = quarter.hours(shown, "studio-a", DAY, BERLIN.zone)

    assert set(hours[0].cells) == {Cell(Quarter.UNKNOWN)}  # 23:00 to 24:00 of the day before
    assert {cell.state for hour in hours[1:] for cell in hour.cells} == {Quarter.FREE}


def test_starts_of_a_repeated_hour_are_told_apart() -> None:
    day = date(2027, 10, 31)
    twice = [slot(0)._replace(start=at(hour, day), end=at(hour + 1, day)) for hour in (0, 1)]

    lines = _text(starts(twice, BERLIN.zone, "…", Size(80, 1), NOW))

    assert lines == [" 02:00+0200  available       02:00+0100  available"]


def test_closed_hours_are_told_from_free_ones() -> None:
    midnight = day_number(DAY) * 96
    opened = frozenset(range(midnight + 32, midnight + 68))  # 08:00 to 17:00 in UTC

    lines = _drawn(picture(slot(8)), opened=opened)

    assert lines[4] == "│────│────│────│────│────│────│────│────│────│····│····│····│"
    assert lines[6] == "│····│····│····│····│····│····│────│────│────│────│────│────│"
    assert lines[7] == " █ booked   ▒ held   · free   ─ closed"


def test_a_pool_tells_its_units_and_what_is_booked_in_part() -> None:
    taken = (*(0,) * 48, 1, 1, *(0,) * 46)
    shown = picture(slot(7), holds=[hold(14, units=2)])
    days = {**shown.days, DayKey("studio-a", DAY): DayState(0, 3, taken)}
    shown = replace(shown, days=days, capacity=3)

    lines = _drawn(shown, subject=BERLIN._replace(units=2))

    assert lines[1] == "5 h under session-5h, 2 of 3 units, times of Europe/Berlin"
    assert "│▄▄··│····│▒▒▒▒│" in lines[6]
    assert lines[7] == " █ booked   ▄ booked in part   ▒ held   · free"
    assert lines[-1] == " ▒ held by 3f9a1c  15:00-16:00   2 units"


def test_a_holder_has_one_colour_in_the_grid_and_beside_its_name() -> None:
    until = NOW + 3 * _SECOND
    shown = picture(slot(7), holds=[hold(12), hold(14, holder="b7", expires_at=until)])

    lines = draw(BERLIN, shown, _glyphs(), _TERMINAL, now=NOW)

    cells = [part for part in lines[6] if part.text == "▒"]
    assert {part.style for part in cells} == {colour("3f9a1c77"), f"{colour('b7')} dim"}
    named = {part.text: part.style for line in lines[-2:] for part in line}
    assert (named["3f9a1c"], named["b7"]) == (colour("3f9a1c77"), colour("b7"))
    assert len({colour(f"holder-{number}") for number in range(50)}) > 4


def test_what_happened_stands_below_where_there_is_room() -> None:
    told = [News(NOW + n * _SECOND, f"event {n}") for n in range(5)]
    few, many = picture(slot(7)), picture(*(slot(n / 4, length=HOUR) for n in range(80)))

    assert _drawn(few, news=told)[-4:] == [
        "", " 13:00:02  event 2", " 13:00:03  event 3", " 13:00:04  event 4",
    ]  # fmt: skip
    assert not any("event" in line for line in _drawn(many, news=told))


def test_starts_stand_side_by_side_rather_than_that_nothing_is_told() -> None:
    hourly = picture(*(slot(7 + number, length=HOUR) for number in range(10)), holds=[hold(12)])
    told = [News(NOW, "3f9a1c left 13:00-14:00")]

    lines = _drawn(hourly, news=told)

    assert lines[-1].endswith("3f9a1c left 13:00-14:00")
    assert sum(line.count("available") for line in lines[2:]) == 10


def test_a_withdrawn_offer_says_why_in_place_of_its_starts() -> None:
    health = Health(withdrawn="session-5h was switched off: nothing can be booked")

    lines = _drawn(picture(), health=health)

    assert lines[2] == "session-5h was switched off: nothing can be booked"
    assert lines[1] == "5 h under session-5h, times of Europe/Berlin"
    assert lines[-1] == " Nothing can be booked."


def test_news_are_told_of_holds_and_bookings() -> None:
    until = NOW + 3 * _SECOND
    held = picture(slot(7), holds=[hold(12), hold(14, holder="me")], own="me")
    overdue = picture(
        slot(7), holds=[hold(12, expires_at=until), hold(15, holder="me", units=2)], own="me"
    )
    booked = picture(slot(7), busy={DAY: mask(48, 52)}, own="me")

    def told(before: DayPicture, after: DayPicture) -> list[str]:
        return list(news_of(before, after, BERLIN.zone))

    assert told(picture(own="me"), held) == ["3f9a1c took 13:00-14:00", "you took 15:00-16:00"]
    assert told(held, overdue) == ["3f9a1c is not heard of any more", "you moved to 16:00-17:00"]
    assert told(overdue, held)[0] == "3f9a1c is back"
    assert told(overdue, picture(own="me")) == [
        "3f9a1c ran out of 13:00-14:00", "you left 16:00-17:00",
    ]  # fmt: skip
    assert told(held, booked) == ["13:00-14:00 is booked", "you left 15:00-16:00"]
    assert told(booked, picture(own="me")) == ["13:00-14:00 is free again"]
    assert told(held, held) == []
