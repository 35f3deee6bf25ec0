"""The options that set an event type's fields."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from holdfast.catalog.v1 import event_type_pb2 as pb
from shared.client.cli import field, param
from shared.client.cli.field import Field
from shared.client.value import to_duration

_POLICIES: Final = {
    "open-throughout": pb.CLOSED_HOURS_POLICY_OPEN_THROUGHOUT,
    "open-at-ends": pb.CLOSED_HOURS_POLICY_OPEN_AT_ENDS,
}
_write_policy, _policy_choice = field.choice("closed_hours_policy", _POLICIES)


def _write_options(event_type: pb.EventType, values: Sequence[timedelta]) -> None:
    event_type.duration_options.extend(to_duration(value) for value in values)


def _write_range(event_type: pb.EventType, value: tuple[timedelta, timedelta, timedelta]) -> None:
    shortest, longest, step = (to_duration(each) for each in value)
    event_type.flexible_duration.CopyFrom(
        pb.FlexibleDuration(minimum=shortest, maximum=longest, step=step)
    )


def _length(option: str, path: str, text: str) -> Field:
    settings = {"type": param.LENGTH, "help": text}
    return Field((option,), (path,), field.length(path), settings, is_clearable=True)


# Options and range exclude each other: to set one is to empty the other.
_LENGTHS: Final = ("duration_options", "flexible_duration")

FIELDS: Final = (
    Field(("--title",), ("title",), field.plain("title"), {"help": "What people call it."}),
    Field(
        ("--duration", "durations"), _LENGTHS, _write_options,
        {
            "type": param.LENGTH, "multiple": True,
            "help": "A length on offer: 60, 90m, 5h, 2d; repeatable.",
        },
    ),
    Field(
        ("--flexible",), _LENGTHS, _write_range,
        {"type": param.LENGTH_RANGE, "help": "Any length of a range instead: 30m-4h/30m."},
    ),
    _length("--interval", "slot_interval",
            "From one start to the next.  [default: the shortest length]"),
    Field(
        ("--schedule",), ("schedule_id",), field.plain("schedule_id"),
        {"metavar": "ID", "help": "Its opening hours.  [default: the resource's]"},
        is_clearable=True,
    ),
    _length("--buffer-before", "buffer_before", "Kept free before each booking."),
    _length("--buffer-after", "buffer_after", "Kept free after each booking."),
    _length("--notice", "minimum_notice", "At least so long before its start."),
    _length("--horizon", "horizon", "At most so long before its start."),
    Field(
        ("--closed-hours",), ("closed_hours_policy",), _write_policy,
        {"type": _policy_choice, "help": "What must be open.  [default: open-throughout]"},
    ),
    Field(
        ("--requires-confirmation/--confirmed-at-once",), ("requires_confirmation",),
        field.plain("requires_confirmation"),
        {"help": "Whether bookings wait for holdfast confirm.  [default: they do not]"},
    ),
    Field(
        ("--location", "locations"), ("locations",), field.many("locations"),
        {"multiple": True, "help": "Where it may take place; repeatable."},
        is_clearable=True,
    ),
    Field(
        ("--time-zone-lock",), ("time_zone_lock",), field.zone_name("time_zone_lock"),
        {"type": param.ZONE, "help": "Always shown in this zone."}, is_clearable=True,
    ),
    Field(
        ("--description",), ("description",), field.plain("description"),
        {"help": "For people."}, is_clearable=True,
    ),
    Field(
        ("--slug",), ("slug",), field.plain("slug"),
        {"help": "Its name in addresses.  [default: made from the title]"},
    ),
    Field(
        ("--active/--inactive",), ("active",), field.plain("active"),
        {"help": "Whether it can be booked.  [default: it can]"},
    ),
)  # fmt: skip
