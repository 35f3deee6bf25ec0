"""Values for store tests."""

from __future__ import annotations

import hashlib
import uuid
from datetime import timedelta
from typing import Any

from services.catalog.app.port import RequestKey
from services.catalog.domain.event_type import ClosedHoursPolicy, EventType
from services.catalog.domain.resource import HoldPolicy, Resource, ResourceType
from services.catalog.domain.schedule import Schedule, TimeWindow, WeeklyWindow


def a_resource(resource_id: str = "studio-a", **changes: Any) -> Resource:
    fields: dict[str, Any] = {
        "name": "Studio A",
        "type": ResourceType.ROOM,
        "description": "",
        "time_zone": "Europe/Berlin",
        "pool": False,
        "standalone": True,
        "hold_policy": HoldPolicy.EXCLUSIVE,
        "metadata": {},
        "active": True,
        "schedule_id": "",
    }
    return Resource(resource_id=resource_id, **(fields | changes))


def a_schedule(schedule_id: str = "hours", **changes: Any) -> Schedule:
    fields: dict[str, Any] = {
        "name": "Business Hours",
        "time_zone": "Europe/Berlin",
        "windows": (WeeklyWindow(1, TimeWindow(540, 1020)),),
        "is_default": False,
    }
    return Schedule(schedule_id=schedule_id, **(fields | changes))


def an_event_type(event_type_id: str = "one-hour", **changes: Any) -> EventType:
    fields: dict[str, Any] = {
        "slug": event_type_id,
        "title": "One hour",
        "description": "",
        "duration_options": (timedelta(hours=1),),
        "flexible_duration": None,
        "slot_interval": None,
        "schedule_id": "",
        "buffer_before": timedelta(),
        "buffer_after": timedelta(),
        "minimum_notice": timedelta(),
        "horizon": None,
        "closed_hours_policy": ClosedHoursPolicy.OPEN_THROUGHOUT,
        "locations": (),
        "time_zone_lock": "",
        "requires_confirmation": False,
        "active": True,
    }
    return EventType(event_type_id=event_type_id, **(fields | changes))


def a_request(content: str = "") -> RequestKey:
    return RequestKey(
        method="CreateResource",
        request_id=str(uuid.uuid4()),
        content=hashlib.sha256(content.encode()).digest(),
    )
