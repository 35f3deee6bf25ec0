from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import pytest

from holdfast.presence.v1.holder_pb2 import CountHoldersResponse
from shared.client.cli.holding import _lines, _spans, in_the_way, standing, touching, utc_dates, who
from shared.client.cli.live_record import picture_record
from shared.client.cli.parse import parse_session
from shared.client.days_fold import DayKey, DayState
from shared.client.failure import HoldfastError
from tests.unit.client.cli_picture import BERLIN, DAY, NOW, at, hold, picture, slot

_SOON = NOW + timedelta(seconds=4)


@pytest.mark.parametrize(
    ("holders", "holds", "words"),
    [
        (0, 0, "Nobody holds time of it right now."),
        (1, 1, "1 person holds time of it right now."),
        (1, 3, "1 person holds time of it right now (3 holds)."),
        (1200, 1300, "1,200 people hold time of it right now (1,300 holds)."),
    ],
)
def test_how_many_hold_is_said_in_a_sentence(holders: int, holds: int, words: str) -> None:
    assert who(CountHoldersResponse(holders=holders, holds=holds)) == words


def test_only_a_hold_that_is_not_renewed_has_an_end() -> None:
    assert standing(hold(12), NOW) == "renewed"
    assert standing(hold(12, expires_at=_SOON), NOW) == "may end in 4 s"


def test_a_refusal_names_who_holds_and_when_it_may_be_free() -> None:
    renewed, ending = hold(12, units=2), hold(13, holder="b7", expires_at=_SOON)

    assert _lines([renewed, ending], BERLIN.zone, NOW) == [
        "by 3f9a1c: Tue 9 March 2027, 13:00 to 14:00, 2 units, renewed",
        "by b7: Tue 9 March 2027, 14:00 to 15:00, may end in 4 s",
        "it is free as soon as they leave, and some 10 s after they are gone",
    ]
    assert _lines([ending], BERLIN.zone, NOW)[-1].endswith("may end in 4 s")
    assert _lines([], BERLIN.zone, NOW) == ["nobody holds it any more: run it again"]
    assert _lines([renewed] * 9, BERLIN.zone, NOW)[5] == "and 4 more holds"


def test_ones_own_holds_are_not_in_the_way_nor_those_that_came_after_in_a_pool() -> None:
    early, mine, late = (
        replace(hold(12, holder=name), acquired_at=NOW + timedelta(seconds=number))
        for number, name in enumerate(("early", "me", "late"))
    )
    spans = [early.span]

    def found(own: str, *, is_pool: bool) -> list[str]:
        holds = in_the_way([early, mine, late], spans, own, is_pool=is_pool)
        return [each.holder_id for each in holds]

    assert found("me", is_pool=True) == ["early"]
    assert found("me", is_pool=False) == ["early", "late"]
    assert found("", is_pool=True) == ["early", "me", "late"]


def test_the_quarter_hours_of_a_refusal_are_read_as_far_as_they_can_be() -> None:
    def spans(metadata: dict[str, str]) -> int:
        error = HoldfastError(
            grpc.StatusCode.FAILED_PRECONDITION, "SLOT_HELD", "held", metadata=metadata
        )
        return len(list(_spans(error)))

    assert spans({"quanta.2027-03-09": "94,95", "quanta.2027-03-10": "0"}) == 3
    assert spans({"resource_id": "studio-a"}) == 0
    assert spans({"quanta.2027-03-09": "noon"}) == 0


def test_holds_and_dates_of_a_range() -> None:
    assert touching([hold(12), hold(13)], at(11), at(13)) == [hold(12)]
    midnight = datetime(2027, 3, 10, tzinfo=UTC)
    assert utc_dates(at(12), midnight) == [DAY]
    assert utc_dates(at(12), midnight + timedelta(minutes=15)) == [DAY, date(2027, 3, 10)]


@pytest.mark.parametrize("text", ["", "short", "a" * 21, "a" * 129, "a" * 22 + "!", "ä" * 30])
def test_what_is_no_session_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="22 to 128"):
        parse_session(text)


def test_a_session_is_taken_as_it_is() -> None:
    assert parse_session("the-session_of-1-person") == "the-session_of-1-person"


def test_a_picture_tells_scripts_what_it_tells_people() -> None:
    taken = (*(0,) * 48, 2, *(0,) * 47)
    shown = picture(slot(8), holds=[hold(12, units=2)], own="me")
    days = {DayKey("studio-a", DAY): DayState(0, 7, taken)}

    found: Any = picture_record(
        BERLIN._replace(units=2), replace(shown, days=days, capacity=3), NOW
    )

    assert (found["units"], found["holder_id"], found["capacity"]) == (2, "me", 3)
    assert found["holds"][0] == {
        "holder_id": "3f9a1c77", "hold_id": "",
        "start_time": "2027-03-09T12:00:00Z", "end_time": "2027-03-09T13:00:00Z",
        "units": 2, "acquire_time": None, "overdue": False, "expire_time": None,
    }  # fmt: skip
    (told,) = found["days"]
    assert (told["version"], told["units_taken"][48]) == (7, 2)
