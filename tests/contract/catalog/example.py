"""A request of every kind, in an order in which each succeeds."""

from __future__ import annotations

from typing import Any

from holdfast.catalog.v1.event_type_pb2 import FlexibleDuration
from tests.contract.catalog.caller import (
    date,
    hourly,
    minutes,
    override,
    room,
    weekday,
    weekly,
    window,
)

_STUDIO = {"resource_id": "studio-a"}
_HOUR = {"event_type_id": "one-hour"}
_HOURS = {"schedule_id": "business-hours"}
_DATES = {"first_date": date(2027, 3, 1), "last_date": date(2027, 3, 31)}
_WEEK = [weekday(day, 540, 720) for day in range(1, 6)] + [weekday(1, 780, 1020)]
_FLEXIBLE = FlexibleDuration(minimum=minutes(30), maximum=minutes(120), step=minutes(30))

EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("CreateSchedule", {"schedule": weekly("", windows=_WEEK)}),
    ("CreateSchedule", {"schedule": weekly("business-hours", is_default=True)}),
    ("GetSchedule", _HOURS),
    ("GetDefaultSchedule", {}),
    ("ListSchedules", {"page_size": 2}),
    (
        "UpdateSchedule",
        {
            "schedule": weekly("business-hours", name="New", windows=_WEEK),
            "update_mask": {"paths": ["*"]},
        },
    ),
    ("SetDateOverride", {**_HOURS, "date_override": override(2027, 3, 8, window(0, 1440))}),
    ("ListDateOverrides", {**_HOURS, **_DATES}),
    ("DeleteDateOverride", {**_HOURS, "date": date(2027, 3, 8)}),
    ("CreateResource", {"resource": room("", **_HOURS)}),
    ("CreateResource", {"resource": room("studio-a", metadata={"a": "1", "b": "2"})}),
    ("GetResource", _STUDIO),
    ("ListResources", {"page_size": 2, "active": True, "text": "studio"}),
    (
        "UpdateResource",
        {"resource": room("studio-a", name="New"), "update_mask": {"paths": ["name", "metadata"]}},
    ),
    (
        "CreateEventType",
        {"event_type": hourly("", title="Day", horizon=minutes(1440), locations=["Here"])},
    ),
    ("CreateEventType", {"event_type": hourly("", title="Free", flexible_duration=_FLEXIBLE)}),
    ("CreateEventType", {"event_type": hourly("one-hour")}),
    ("GetEventType", _HOUR),
    ("GetEventTypeBySlug", {"slug": "one-hour"}),
    ("ListEventTypes", {"page_size": 2, "text": "hour"}),
    (
        "UpdateEventType",
        {
            "event_type": hourly("one-hour", title="New", buffer_after=minutes(15)),
            "update_mask": {"paths": ["title", "buffer_after", "duration_options"]},
        },
    ),
    ("Link", {**_STUDIO, **_HOUR}),
    ("Unlink", {**_STUDIO, **_HOUR}),
    ("SetResources", {**_HOUR, "resource_ids": ["studio-a"]}),
    ("SetEventTypes", {**_STUDIO, "event_type_ids": ["one-hour"]}),
    ("ListEventTypesForResource", _STUDIO),
    ("ListResourcesForEventType", _HOUR),
    ("GetOffering", {**_STUDIO, **_HOUR}),
    ("GetEffectiveHours", {**_HOURS, **_DATES}),
    ("GetEffectiveHours", {**_STUDIO, **_HOUR, **_DATES}),
    ("WatchCatalog", {}),
    ("DeleteResource", _STUDIO),
    ("UndeleteResource", _STUDIO),
    ("DeleteEventType", _HOUR),
    ("UndeleteEventType", _HOUR),
    (
        "UpdateSchedule",
        {
            "schedule": weekly("business-hours", is_default=False),
            "update_mask": {"paths": ["is_default"]},
        },
    ),
    ("CreateSchedule", {"schedule": weekly("studio-hours")}),
    ("DeleteSchedule", {"schedule_id": "studio-hours"}),
]
