"""Turns a live day into the JSON that scripts may rely on: one object for each picture. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.client.cli.change import stamp
from shared.client.cli.live_day import Subject
from shared.client.cli.record import Json
from shared.client.cli.text import iso
from shared.client.day_merge import ViewSlot
from shared.client.day_view import DayPicture
from shared.client.live_hold import LiveHold
from shared.slots.bitmap import to_bits


def picture_record(subject: Subject, picture: DayPicture, now: datetime) -> dict[str, Json]:
    """Returns a picture as a map, named as the contracts name things."""
    return {
        "time": stamp(now),
        "resource_id": subject.resource_id,
        "event_type_id": subject.event_type_id,
        "date": subject.date.isoformat(),
        "units": subject.units,
        "duration_minutes": subject.duration // timedelta(minutes=1),
        "time_zone": picture.time_zone,
        "is_stale": picture.is_stale,
        "offer": picture.offer.state.value.lower(),
        "holder_id": picture.holder_id,
        "capacity": picture.capacity,
        "slots": [_slot(slot) for slot in picture.slots],
        "holds": [_hold(hold) for hold in picture.holds],
        "days": [
            {
                "date": key.date.isoformat(),
                "version": state.version,
                "busy_bits": to_bits(state.busy),
                "units_taken": list(state.units_taken),
            }
            for key, state in sorted(picture.days.items())
        ],
    }


def _slot(slot: ViewSlot) -> dict[str, Json]:
    return {
        "start_time": iso(slot.start),
        "end_time": iso(slot.end),
        "occupancy_start_time": iso(slot.occupancy_start),
        "occupancy_end_time": iso(slot.occupancy_end),
        "units_free": slot.units_free,
        "state": slot.state.value.lower(),
        "held_until": iso(slot.held_until) if slot.held_until else None,
    }


def _hold(hold: LiveHold) -> dict[str, Json]:
    return {
        "holder_id": hold.holder_id,
        "hold_id": hold.name.hold_id,
        "start_time": iso(hold.start),
        "end_time": iso(hold.end),
        "units": hold.units,
        "acquire_time": iso(hold.acquired_at) if hold.acquired_at else None,
        "overdue": hold.is_overdue,
        # A hold that is renewed has no end that a watcher could know.
        "expire_time": iso(hold.expires_at) if hold.is_overdue else None,
    }
