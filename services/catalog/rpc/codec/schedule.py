"""Schedules, their overrides and their hours on the wire."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

from google.type.dayofweek_pb2 import DayOfWeek

from holdfast.catalog.v1 import schedule_pb2 as pb
from services.catalog.app.port import DateRange, Page
from services.catalog.domain.offering import EffectiveHours
from services.catalog.domain.record import Record
from services.catalog.domain.schedule import (
    MAX_WINDOWS_A_DAY,
    DateOverride,
    Schedule,
    WeeklyWindow,
    date_violations,
    week_violations,
)
from services.catalog.domain.zone import zone_violations
from services.catalog.rpc.codec import time
from services.catalog.rpc.codec.check import (
    CatalogCheck,
    Field,
    all_fields,
    required,
)
from services.catalog.rpc.codec.page import dates_after, page_of
from services.catalog.rpc.codec.row import Update, deletion_of, key_of, update_of

_MAX_DATES: Final = 93
_DAYS_A_WEEK: Final = 7


def create(request: pb.CreateScheduleRequest) -> Schedule:
    """Decodes what to create.

    Raises:
        InvalidFields: Something is missing, malformed or out of range.
    """
    check = CatalogCheck()
    check.header(request)
    required(check, request, "schedule")
    message = request.schedule
    schedule_id = check.optional_identifier("schedule.schedule_id", message.schedule_id)
    fields = all_fields(check, message, "schedule", _FIELDS)
    check.done()
    return Schedule(schedule_id=schedule_id, **fields)


def check_header(request: pb.GetDefaultScheduleRequest) -> None:
    """Checks whose default is meant.

    Raises:
        InvalidFields: As ``create``.
    """
    check = CatalogCheck()
    check.header(request)
    check.done()


def key(request: pb.GetScheduleRequest) -> str:
    """Decodes which schedule is meant.

    Raises:
        InvalidFields: As ``create``.
    """
    return key_of(request, "schedule")


def page(request: pb.ListSchedulesRequest) -> Page:
    """Decodes a list.

    Raises:
        InvalidFields: As ``create``.
        InvalidPageToken: The token is none of this list's.
    """
    check = CatalogCheck()
    check.header(request)
    return page_of(check, request)


def update(request: pb.UpdateScheduleRequest) -> Update:
    """Decodes a change.

    Raises:
        InvalidFields: As ``create``; also for a mask that names nothing, or what is fixed.
    """
    return update_of(request, "schedule", _FIELDS)


def delete(request: pb.DeleteScheduleRequest) -> tuple[str, str]:
    """Decodes which schedule is meant, and as of which etag.

    Raises:
        InvalidFields: As ``create``.
    """
    return deletion_of(request, "schedule")


def set_override(request: pb.SetDateOverrideRequest) -> tuple[str, DateOverride]:
    """Decodes the hours of one date.

    Raises:
        InvalidFields: As ``create``.
    """
    check = CatalogCheck()
    check.header(request)
    schedule_id = check.identifier("schedule_id", request.schedule_id)
    required(check, request, "date_override")
    message = request.date_override
    path = "date_override"
    windows = tuple(
        time.read_window(check, window, f"{path}.windows[{index}]")
        for index, window in enumerate(message.windows[: MAX_WINDOWS_A_DAY + 1])
    )
    if check.is_clean(f"{path}.windows"):
        check.rules(date_violations(f"{path}.windows", windows, unavailable=message.unavailable))
    override = DateOverride(
        date=check.date(f"{path}.date", message, "date"),
        unavailable=message.unavailable,
        windows=tuple(sorted(windows)),
        note=check.text(f"{path}.note", message.note, maximum=200),
    )
    check.done()
    return schedule_id, override


def override_page(
    request: pb.ListDateOverridesRequest,
) -> tuple[str, DateRange, dt.date | None, int]:
    """Decodes a list of overrides: whose, which dates, after which, and at most how many.

    Raises:
        InvalidFields: As ``create``.
        InvalidPageToken: The token is none of this list's.
    """
    check = CatalogCheck()
    check.header(request)
    schedule_id = check.identifier("schedule_id", request.schedule_id)
    dates = DateRange(
        first=check.optional_date("first_date", request, "first_date") or dt.date.min,
        last=check.optional_date("last_date", request, "last_date") or dt.date.max,
    )
    if dates.last < dates.first and check.is_clean("first_date"):
        check.fail("last_date", "must not be before first_date")
    return schedule_id, dates, *dates_after(check, request)


def delete_override(request: pb.DeleteDateOverrideRequest) -> tuple[str, dt.date]:
    """Decodes which override is meant.

    Raises:
        InvalidFields: As ``create``.
    """
    check = CatalogCheck()
    check.header(request)
    schedule_id = check.identifier("schedule_id", request.schedule_id)
    day = check.date("date", request, "date")
    check.done()
    return schedule_id, day


def hours(request: pb.GetEffectiveHoursRequest) -> tuple[dt.date, dt.date]:
    """Checks which hours are meant, and decodes the dates.

    Raises:
        InvalidFields: As ``create``.
    """
    check = CatalogCheck()
    check.header(request)
    for field in ("schedule_id", "resource_id", "event_type_id"):
        check.optional_identifier(field, getattr(request, field))
    if bool(request.schedule_id) == bool(request.resource_id):
        check.fail("schedule_id", "must be set, or resource_id must be; exactly one of the two")
    if request.event_type_id and not request.resource_id:
        check.fail("event_type_id", "is for hours of a resource only")
    first = check.date("first_date", request, "first_date")
    last = check.date("last_date", request, "last_date")
    if not 0 <= (last - first).days < _MAX_DATES and check.is_clean("first_date"):
        check.fail("last_date", f"must be first_date or one of the {_MAX_DATES - 1} dates after")
    check.done()
    return first, last


def encode(organization_id: str, record: Record[Schedule]) -> pb.Schedule:
    """Writes a schedule."""
    schedule = record.value
    return pb.Schedule(
        schedule_id=schedule.schedule_id,
        name=schedule.name,
        time_zone=schedule.time_zone,
        windows=[
            pb.WeeklyWindow(day=DayOfWeek.Name(entry.day), window=time.window(entry.window))
            for entry in schedule.windows
        ],
        is_default=schedule.is_default,
        organization_id=organization_id,
        **time.history(record),
    )


def encode_override(override: DateOverride) -> pb.DateOverride:
    """Writes an override."""
    return pb.DateOverride(
        date=time.civil_date(override.date),
        unavailable=override.unavailable,
        windows=[time.window(window) for window in override.windows],
        note=override.note,
    )


def encode_hours(hours: EffectiveHours) -> pb.GetEffectiveHoursResponse:
    """Writes opening hours."""
    return pb.GetEffectiveHoursResponse(
        time_zone=hours.time_zone, open=[time.interval(*interval) for interval in hours.open]
    )


def _time_zone(check: CatalogCheck, message: pb.Schedule, path: str) -> str:
    check.rules(zone_violations(path, message.time_zone))
    return message.time_zone


def _windows(check: CatalogCheck, message: pb.Schedule, path: str) -> tuple[WeeklyWindow, ...]:
    if len(message.windows) > _DAYS_A_WEEK * MAX_WINDOWS_A_DAY:
        check.fail(path, f"must have at most {MAX_WINDOWS_A_DAY} windows a weekday")
        return ()
    windows = [
        _weekly_window(check, window, f"{path}[{index}]")
        for index, window in enumerate(message.windows)
    ]
    if check.is_clean(path):
        check.rules(week_violations(path, windows))
    return tuple(sorted(windows))


def _weekly_window(check: CatalogCheck, message: pb.WeeklyWindow, path: str) -> WeeklyWindow:
    day = check.enum(f"{path}.day", message.day, DayOfWeek, required=True)
    if not message.HasField("window"):
        check.fail(f"{path}.window", "is required")
    return WeeklyWindow(day, time.read_window(check, message.window, f"{path}.window"))


# DayOfWeek counts as ISO does: Monday is 1, Sunday is 7.
_FIELDS: Final[Mapping[str, Field[pb.Schedule]]] = {
    "name": lambda check, message, path: check.text(path, message.name, minimum=1, maximum=200),
    "time_zone": _time_zone,
    "windows": _windows,
    "is_default": lambda _, message, __: message.is_default,
}
