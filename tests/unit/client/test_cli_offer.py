from __future__ import annotations

from datetime import timedelta

import click
import pytest

from holdfast.catalog.v1.event_type_pb2 import EventType, FlexibleDuration
from shared.client import selection
from shared.client.cli import offer
from shared.client.cli.parse import parse_length
from shared.client.value import to_duration

_HOUR = timedelta(hours=1)


def _options(name: str, *lengths: str, active: bool = True) -> EventType:
    return EventType(
        event_type_id=name,
        active=active,
        duration_options=[to_duration(parse_length(each)) for each in lengths],
    )


def _flexible(name: str, minimum: str, maximum: str, step: str) -> EventType:
    lengths = FlexibleDuration(
        minimum=to_duration(parse_length(minimum)),
        maximum=to_duration(parse_length(maximum)),
        step=to_duration(parse_length(step)),
    )
    return EventType(event_type_id=name, active=True, flexible_duration=lengths)


def _ids(event_types: list[EventType]) -> list[str]:
    return [event_type.event_type_id for event_type in event_types]


def test_the_event_type_with_the_fewest_lengths_comes_first() -> None:
    found = offer.candidates(
        [_options("many", "1h", "2h"), _options("one", "1h"), _flexible("any", "1h", "9h", "1h")],
        _HOUR,
    )

    assert _ids(found) == ["one", "many", "any"]


def test_among_equals_the_first_id_comes_first() -> None:
    found = offer.candidates([_options("b", "1h"), _options("a", "1h")], _HOUR)

    assert _ids(found) == ["a", "b"]


def test_inactive_ones_and_other_lengths_are_no_candidates() -> None:
    found = offer.candidates(
        [_options("off", "1h", active=False), _options("long", "2h"), _options("on", "1h")], _HOUR
    )

    assert _ids(found) == ["on"]


@pytest.mark.parametrize(
    ("length", "is_offered"),
    [("30m", True), ("75m", True), ("2h", True), ("15m", False), ("40m", False), ("135m", False)],
)
def test_a_range_offers_its_steps(length: str, is_offered: bool) -> None:  # noqa: FBT001  # a table
    event_type = _flexible("any", "30m", "2h", "15m")

    assert selection.offers(event_type, parse_length(length)) is is_offered


def test_a_range_has_as_many_lengths_as_steps() -> None:
    assert offer.count_lengths(_flexible("any", "30m", "2h", "30m")) == 4


def test_the_only_length_needs_not_be_said() -> None:
    assert offer.only_length([_options("a", "1h"), _options("b", "1h")]) == _HOUR


@pytest.mark.parametrize(
    "event_types",
    [
        [_options("a", "1h", "2h")],
        [_options("a", "1h"), _options("b", "2h")],
        [_flexible("a", "1h", "2h", "1h")],
    ],
    ids=["options", "event types", "range"],
)
def test_of_several_lengths_the_menu_is_shown(event_types: list[EventType]) -> None:
    with pytest.raises(click.UsageError, match=r"--duration is needed; on offer: 1.*\(a\)"):
        offer.only_length(event_types)


def test_lengths_on_offer_are_written_in_words() -> None:
    assert offer.lengths_on_offer(_options("a", "1h", "2h")) == "1 or 2 h"
    assert offer.lengths_on_offer(_flexible("a", "30m", "2h", "15m")) == "30 min to 2 h by 15 min"
