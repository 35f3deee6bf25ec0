"""Turns the contracts' value types into Python's, and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.timeofday_pb2 import TimeOfDay

_MINUTES_PER_HOUR = 60


def to_timestamp(instant: datetime) -> Timestamp:
    """Returns the timestamp of an aware datetime."""
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp


def from_timestamp(stamp: Timestamp) -> datetime:
    """Returns an aware datetime in UTC."""
    return stamp.ToDatetime(tzinfo=UTC)


def to_duration(length: timedelta) -> Duration:
    """Returns the duration of a length."""
    duration = Duration()
    duration.FromTimedelta(length)
    return duration


def to_date(day: date) -> Date:
    """Returns the civil date."""
    return Date(year=day.year, month=day.month, day=day.day)


def from_date(day: Date) -> date:
    """Returns the civil date.

    Raises:
        ValueError: A partial date.
    """
    return date(day.year, day.month, day.day)


def to_time_of_day(minute: int) -> TimeOfDay:
    """Returns the wall-clock time of a minute of the day, 0 to 1440."""
    return TimeOfDay(hours=minute // _MINUTES_PER_HOUR, minutes=minute % _MINUTES_PER_HOUR)


def from_time_of_day(time: TimeOfDay) -> int:
    """Returns the minute of the day, 0 to 1440."""
    return int(time.hours * _MINUTES_PER_HOUR + time.minutes)
