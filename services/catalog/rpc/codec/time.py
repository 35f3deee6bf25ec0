"""Times on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.timeofday_pb2 import TimeOfDay

from holdfast.common.v1 import time_pb2
from services.catalog.domain.record import Record
from services.catalog.domain.schedule import TimeWindow
from services.catalog.rpc.codec.check import CatalogCheck

_MINUTES_PER_HOUR = 60


def history(record: Record[Any]) -> Mapping[str, Any]:
    """Writes what the server sets in every record; no delete_time while there is none."""
    fields: dict[str, Any] = {
        "create_time": instant(record.create_time),
        "update_time": instant(record.update_time),
        "etag": record.etag,
    }
    if record.delete_time is not None:
        fields["delete_time"] = instant(record.delete_time)
    return fields


def instant(value: datetime) -> Timestamp:
    """Writes an instant."""
    stamp = Timestamp()
    stamp.FromDatetime(value)
    return stamp


def length(value: timedelta | None) -> Duration | None:
    """Writes a length; absent for None."""
    if value is None:
        return None
    duration = Duration()
    duration.FromTimedelta(value)
    return duration


def civil_date(value: date) -> Any:
    """Writes a date."""
    return Date(year=value.year, month=value.month, day=value.day)


def interval(start: datetime, end: datetime) -> time_pb2.Interval:
    """Writes a half-open range of instants."""
    return time_pb2.Interval(start_time=instant(start), end_time=instant(end))


def window(value: TimeWindow) -> time_pb2.TimeWindow:
    """Writes a window of wall-clock time; its end may be 24:00."""
    return time_pb2.TimeWindow(
        start=_time_of_day(value.start_minute), end=_time_of_day(value.end_minute)
    )


def read_window(check: CatalogCheck, message: time_pb2.TimeWindow, path: str) -> TimeWindow:
    """Reads a window; whether it is one, and fits beside others, is the domain's question."""
    for name in ("start", "end"):
        if not message.HasField(name):
            check.fail(f"{path}.{name}", "is required")
    return TimeWindow(
        check.minute(f"{path}.start", message.start), check.minute(f"{path}.end", message.end)
    )


def _time_of_day(minute: int) -> Any:
    hours, minutes = divmod(minute, _MINUTES_PER_HOUR)
    return TimeOfDay(hours=hours, minutes=minutes)
