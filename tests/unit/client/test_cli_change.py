from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.client.cli.change import Became, changes, stamp
from shared.client.cli.live_record import picture_record
from shared.client.cli.output import Output
from shared.client.cli.watching import Lines, Objects, Staleness
from shared.client.day_merge import SlotState
from shared.client.day_view import DayPicture
from shared.slots.bitmap import mask
from shared.slots.zone import zone
from tests.unit.client.cli_picture import BERLIN, DAY, HOUR, NOW, hold, picture, slot

_RESERVED = SlotState.RESERVED
_SOON = NOW + timedelta(seconds=3)


def _found(before: DayPicture | None, after: DayPicture) -> list[tuple[int, Became]]:
    return [(change.slot.start.hour, change.became) for change in changes(before, after)]


def test_at_first_every_start_is_told_by_time() -> None:
    assert _found(None, picture(slot(8), slot(9, _RESERVED))) == [
        (8, Became.AVAILABLE),
        (9, Became.RESERVED),
    ]


@pytest.mark.parametrize(
    ("before", "after", "became"),
    [
        (picture(slot(8)), picture(slot(8, _RESERVED)), Became.RESERVED),
        (picture(slot(8, _RESERVED)), picture(slot(8)), Became.AVAILABLE),
        (picture(slot(8)), picture(busy={DAY: mask(35, 36)}), Became.BOOKED),
        (picture(slot(8, _RESERVED)), picture(busy={DAY: mask(51, 52)}), Became.BOOKED),
        (picture(slot(8)), picture(busy={DAY: mask(31, 32) | mask(52, 53)}), Became.GONE),
        (picture(), picture(slot(8)), Became.FREE),
        (picture(), picture(slot(8, _RESERVED)), Became.RESERVED),
        (picture(slot(8, _RESERVED)), picture(slot(8, _RESERVED, until=_SOON)), Became.RESERVED),
        (picture(slot(8, _RESERVED, until=_SOON)), picture(slot(8, _RESERVED)), Became.RESERVED),
    ],
    ids=[
        "held", "left", "booked", "booked at its end", "booked beside it", "cancelled",
        "cancelled while held", "overdue", "renewed after all",
    ],
)  # fmt: skip
def test_what_a_start_becomes_has_a_word(
    before: DayPicture, after: DayPicture, became: Became
) -> None:
    assert _found(before, after) == [(8, became)]


def test_what_stays_is_not_told() -> None:
    before = picture(slot(8), slot(9, _RESERVED))
    after = picture(slot(8), slot(9, _RESERVED), holds=[hold(10)])

    assert _found(before, after) == []


def test_when_a_start_may_be_free_is_said_where_it_is_known() -> None:
    (change,) = changes(None, picture(slot(8, _RESERVED, until=_SOON)))

    assert change.words == "reserved, may be free at 2026-11-26T12:00:03.000Z"


def test_stamps_are_always_as_long() -> None:
    moment = datetime(2026, 11, 26, 12, 0, 0, 7_999, tzinfo=UTC)

    assert stamp(moment) == "2026-11-26T12:00:00.007Z"
    assert stamp(NOW) == "2026-11-26T12:00:00.000Z"


def test_a_picture_is_an_object() -> None:
    shown = picture(
        slot(8, _RESERVED, until=_SOON),
        holds=[hold(12, expires_at=_SOON), hold(14, holder="other")],
        busy={DAY: mask(80, 82)},
        is_stale=True,
    )

    found: dict[str, Any] = json.loads(json.dumps(picture_record(BERLIN, shown, NOW)))

    assert found["time"] == "2026-11-26T12:00:00.000Z"
    assert (found["resource_id"], found["event_type_id"]) == ("studio-a", "session-5h")
    assert (found["date"], found["duration_minutes"]) == ("2027-03-09", 300)
    assert (found["time_zone"], found["is_stale"]) == ("Europe/Berlin", True)
    assert found["slots"] == [
        {
            "start_time": "2027-03-09T08:00:00Z",
            "end_time": "2027-03-09T13:00:00Z",
            "occupancy_start_time": "2027-03-09T08:00:00Z",
            "occupancy_end_time": "2027-03-09T13:00:00Z",
            "units_free": 1,
            "state": "reserved",
            "held_until": "2026-11-26T12:00:03Z",
        }
    ]
    assert [each["holder_id"] for each in found["holds"]] == ["3f9a1c77", "other"]
    assert [each["expire_time"] for each in found["holds"]] == ["2026-11-26T12:00:03Z", None]
    assert [each["overdue"] for each in found["holds"]] == [True, False]
    assert found["days"][1]["date"] == "2027-03-09"
    assert found["days"][1]["busy_bits"] == "0" * 80 + "11" + "0" * 14


def test_objects_are_one_a_line() -> None:
    stdout = io.StringIO()
    objects = Objects(Output("json", stdout), BERLIN)

    objects.take(picture(slot(8)))
    objects.take(picture(slot(8, _RESERVED)))

    lines = [json.loads(line) for line in stdout.getvalue().splitlines()]
    assert [line["slots"][0]["state"] for line in lines] == ["available", "reserved"]


def _written(stdout: io.StringIO) -> list[str]:
    """The lines without the moments at which they were written."""
    return [line.split("  ", 1)[1] for line in stdout.getvalue().splitlines()]


def test_a_pipe_gets_a_line_for_each_change_and_no_cursor_code() -> None:
    stdout = io.StringIO()
    lines = Lines(Output("table", stdout), BERLIN)

    lines.take(picture(slot(8), slot(9)))
    lines.take(picture(slot(8), slot(9, _RESERVED)))
    lines.take(picture(slot(8), slot(9, _RESERVED), holds=[hold(10)]))

    assert _written(stdout) == [
        "2027-03-09 09:00+0100  2027-03-09 14:00+0100  available",
        "2027-03-09 10:00+0100  2027-03-09 15:00+0100  available",
        "2027-03-09 10:00+0100  2027-03-09 15:00+0100  reserved",
    ]
    assert "\x1b" not in stdout.getvalue()


def test_a_pipe_is_told_that_there_is_nothing_yet() -> None:
    stdout = io.StringIO()

    Lines(Output("table", stdout), BERLIN).take(picture())

    assert _written(stdout) == ["no free start"]


class _Clock:
    reading = 100.0

    def __call__(self) -> float:
        return self.reading


def test_what_is_out_of_date_for_a_moment_is_not_worth_a_word() -> None:
    clock = _Clock()
    staleness = Staleness(clock)

    assert not staleness.note(is_stale=True)
    clock.reading += 0.9
    assert not staleness.lasted()
    assert staleness.wait_seconds() == pytest.approx(0.1)
    assert not staleness.note(is_stale=False)
    assert staleness.wait_seconds() is None


def test_what_stays_out_of_date_is_told_once_and_so_is_its_end() -> None:
    clock = _Clock()
    stdout = io.StringIO()
    lines = Lines(Output("table", stdout), BERLIN, clock)
    lines.take(picture(slot(8)))

    lines.take(picture(slot(8), is_stale=True))
    clock.reading += 1
    lines.tick()
    lines.tick()
    lines.take(picture(slot(8), is_stale=True, holds=[hold(22)]))
    lines.take(picture(slot(8)))

    assert _written(stdout)[1:] == ["reconnecting", "live again"]


def test_an_hours_starts_are_shown_by_the_zones_clock() -> None:
    stdout = io.StringIO()
    tokyo = BERLIN._replace(zone=zone("Asia/Tokyo"))

    Lines(Output("table", stdout), tokyo).take(picture(slot(8, length=HOUR)))

    assert _written(stdout) == ["2027-03-09 17:00+0900  2027-03-09 18:00+0900  available"]
