"""Reads what an event type allows out of the catalog's words.

Equal content gives the same object, whatever else of the event type changed: the slot engine
keeps what it computed by rules, and finds identical ones fastest.
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from holdfast.catalog.v1 import event_type_pb2
from shared.slots.rule import BookingRules, ClosedHours, DurationRange

_KEPT: Final = 4_096
_FIELDS: Final = (
    "flexible_duration",
    "slot_interval",
    "buffer_before",
    "buffer_after",
    "minimum_notice",
    "horizon",
)


def read_rules(event_type: event_type_pb2.EventType) -> BookingRules:
    """Returns the rules of an event type.

    Raises:
        InvalidRule: A value is out of range; the catalog lets none through.
    """
    content = event_type_pb2.EventType(closed_hours_policy=event_type.closed_hours_policy)
    content.duration_options.extend(event_type.duration_options)
    for name in _FIELDS:
        if event_type.HasField(name):
            getattr(content, name).CopyFrom(getattr(event_type, name))
    return _rules(content.SerializeToString(deterministic=True))


@lru_cache(maxsize=_KEPT)
def _rules(content: bytes) -> BookingRules:
    event_type = event_type_pb2.EventType.FromString(content)
    flexible = event_type.flexible_duration
    at_ends = event_type_pb2.CLOSED_HOURS_POLICY_OPEN_AT_ENDS
    return BookingRules(
        durations=tuple(sorted(map(_length, event_type.duration_options))),
        flexible=DurationRange(
            _length(flexible.minimum), _length(flexible.maximum), _length(flexible.step)
        )
        if event_type.HasField("flexible_duration")
        else None,
        interval=_length(event_type.slot_interval) or None,
        buffer_before=_length(event_type.buffer_before),
        buffer_after=_length(event_type.buffer_after),
        minimum_notice=_length(event_type.minimum_notice),
        horizon=_length(event_type.horizon) if event_type.HasField("horizon") else None,
        closed_hours=ClosedHours.OPEN_AT_ENDS
        if event_type.closed_hours_policy == at_ends
        else ClosedHours.OPEN_THROUGHOUT,
    )


def _length(duration: Any) -> timedelta:
    return timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1_000)
