from __future__ import annotations

from datetime import timedelta

import click
import pytest

from holdfast.catalog.v1.event_type_pb2 import EventType
from holdfast.catalog.v1.resource_pb2 import RESOURCE_TYPE_ROOM, Resource
from holdfast.catalog.v1.schedule_pb2 import Schedule
from shared.client.cli import event_type_field, resource, schedule
from shared.client.cli.field import fill, require_changes
from shared.client.cli.parse import parse_hours
from shared.slots.zone import zone


def test_only_what_was_given_is_set_and_named() -> None:
    message = Resource(resource_id="x")
    given = {"name": "X", "kind": "room", "time_zone": None, "labels": (), "active": None}

    mask = fill(message, resource._FIELDS, given)

    assert list(mask.paths) == ["name", "type"]
    assert message == Resource(resource_id="x", name="X", type=RESOURCE_TYPE_ROOM)


def test_a_flag_switched_off_is_a_change() -> None:
    message = Resource()

    mask = fill(message, resource._FIELDS, {"active": False, "standalone": False})

    assert list(mask.paths) == ["standalone", "active"]
    assert message.HasField("active")
    assert message.HasField("standalone")


def test_a_cleared_field_is_named_and_left_empty() -> None:
    message = EventType()

    mask = fill(message, event_type_field.FIELDS, {"clear": ("horizon", "schedule")})

    assert list(mask.paths) == ["schedule_id", "horizon"]
    assert message == EventType()


def test_a_field_cannot_be_set_and_cleared() -> None:
    given = {"horizon": timedelta(days=1), "clear": ("horizon",)}

    with pytest.raises(click.UsageError, match="exclude each other"):
        fill(EventType(), event_type_field.FIELDS, given)


def test_lengths_take_the_place_of_a_range_and_the_other_way_round() -> None:
    options, flexible = EventType(), EventType()

    options_mask = fill(
        options, event_type_field.FIELDS, {"durations": (timedelta(hours=1), timedelta(hours=2))}
    )
    flexible_mask = fill(flexible, event_type_field.FIELDS, {"flexible": (timedelta(hours=1),) * 3})

    assert list(options_mask.paths) == ["duration_options", "flexible_duration"]
    assert [option.seconds for option in options.duration_options] == [3600, 7200]
    assert list(flexible_mask.paths) == ["duration_options", "flexible_duration"]
    assert flexible.flexible_duration.step.seconds == 3600


def test_hours_of_several_options_are_put_together() -> None:
    message = Schedule()
    given = {
        "time_zone": zone("Asia/Tokyo"),
        "hours": (parse_hours("mon 09:00-17:00"), parse_hours("tue 10:00-24:00")),
    }

    fill(message, schedule._FIELDS, given)

    assert message.time_zone == "Asia/Tokyo"
    assert [(w.day, w.window.start.hours, w.window.end.hours) for w in message.windows] == [
        (1, 9, 17),
        (2, 10, 24),
    ]


def test_an_update_of_nothing_is_refused() -> None:
    with pytest.raises(click.UsageError, match="nothing to change"):
        require_changes(fill(Resource(), resource._FIELDS, {}))
