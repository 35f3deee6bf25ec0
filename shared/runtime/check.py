"""Decodes and checks the fields of a request, collecting every violation."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from google.protobuf.message import Message

from shared.runtime.failure import InvalidFields, Violation

FIRST_DATE = dt.date(1970, 1, 2)
LAST_DATE = dt.date(9998, 12, 30)
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SECOND = int(datetime(1970, 1, 2, tzinfo=UTC).timestamp())
_LAST_SECOND = int(datetime(9998, 12, 31, tzinfo=UTC).timestamp())
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
_NANOS_PER_SECOND = 1_000_000_000
_NANOS_PER_MICRO = 1_000
_MINUTES_PER_HOUR = 60
_MINUTES_PER_DAY = 1440
_GRID_MINUTES = 15
_MAX_DURATION_SECONDS = 315_576_000_000


class FieldCheck:
    """Checks fields one by one; ``done`` raises once with all that failed.

    A method that fails records the violation and returns a placeholder of its type, so
    that the fields after it are judged too. Nothing may be used before ``done``.
    """

    __slots__ = ("_violations",)

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def fail(self, field: str, description: str) -> None:
        """Records that ``field`` is wrong."""
        self._violations.append(Violation(field, description))

    def done(self) -> None:
        """Ends the check.

        Raises:
            InvalidFields: Something failed.
        """
        if self._violations:
            raise InvalidFields(self._violations)

    def identifier(self, field: str, value: str) -> str:
        """A required id: [A-Za-z0-9][A-Za-z0-9_.-]{0,127}."""
        if not value:
            self.fail(field, "is required")
        elif not _IDENTIFIER.match(value):
            self.fail(
                field, "must be 1 to 128 of A-Z a-z 0-9 _ . - and begin with one of A-Z a-z 0-9"
            )
        return value

    def optional_identifier(self, field: str, value: str) -> str:
        """An id, or empty."""
        return self.identifier(field, value) if value else ""

    def identifiers(
        self, field: str, values: Iterable[str], *, maximum: int, minimum: int = 0
    ) -> tuple[str, ...]:
        """Distinct ids, ``minimum`` to ``maximum`` of them, in the order given."""
        found = tuple(values)
        if not minimum <= len(found) <= maximum:
            self.fail(field, f"must have {minimum} to {maximum} entries")
            return ()
        for index, value in enumerate(found):
            self.identifier(f"{field}[{index}]", value)
        if len(set(found)) != len(found):
            self.fail(field, "must not name anything twice")
        return found

    def request_id(self, value: str) -> str:
        """A required UUID, in its canonical spelling."""
        if not _UUID.match(value):
            self.fail("request_id", "must be a UUID such as 0190b5c4-7d2e-7cc3-98c4-dc0c0c07398f")
        return value.lower()

    def text(
        self, field: str, value: str, *, maximum: int, minimum: int = 0, multiline: bool = False
    ) -> str:
        """Printable text of ``minimum`` to ``maximum`` characters.

        Control characters are refused (they forge headers and log lines), but for line
        breaks and tabs in ``multiline`` text; so is text that is only white space where
        some is required.
        """
        if not minimum <= len(value) <= maximum or (minimum and not value.strip()):
            self.fail(field, f"must have {minimum} to {maximum} characters")
        elif not value.isascii() or not value.isprintable():
            allowed = "\n\r\t" if multiline else ""
            for character in value:
                if character not in allowed and unicodedata.category(character) in _REFUSED:
                    self.fail(field, "must not contain control characters")
                    break
        return value

    def instant(self, field: str, message: Message, name: str) -> dt.datetime:
        """A required Timestamp, aware and in UTC, 1970-01-02 to 9998-12-30."""
        found = self.optional_instant(field, message, name)
        if found is None:
            self.fail(field, "is required")
            return _EPOCH
        return found

    def optional_instant(self, field: str, message: Message, name: str) -> dt.datetime | None:
        """A Timestamp, or nothing.

        Parts below a microsecond count as one: they are never rounded onto the grid.
        """
        if not message.HasField(name):
            return None
        stamp: Any = getattr(message, name)
        seconds, nanos = stamp.seconds, stamp.nanos
        if not _FIRST_SECOND <= seconds < _LAST_SECOND or not 0 <= nanos < _NANOS_PER_SECOND:
            self.fail(field, f"must lie between {FIRST_DATE} and {LAST_DATE}")
            return _EPOCH
        micros = -(-nanos // _NANOS_PER_MICRO)
        return _EPOCH + timedelta(seconds=seconds, microseconds=micros)

    def length(
        self,
        field: str,
        message: Message,
        name: str,
        *,
        minimum: timedelta,
        maximum: timedelta,
        default: timedelta | None = None,
    ) -> timedelta:
        """A Duration from ``minimum`` to ``maximum``; required unless it has a default."""
        if message.HasField(name):
            return self.duration(field, getattr(message, name), minimum=minimum, maximum=maximum)
        if default is None:
            self.fail(field, "is required")
            return minimum
        return default

    def optional_length(
        self, field: str, message: Message, name: str, *, minimum: timedelta, maximum: timedelta
    ) -> timedelta | None:
        """A Duration from ``minimum`` to ``maximum``, or nothing."""
        if not message.HasField(name):
            return None
        return self.duration(field, getattr(message, name), minimum=minimum, maximum=maximum)

    def duration(
        self, field: str, value: Any, *, minimum: timedelta, maximum: timedelta
    ) -> timedelta:
        """The Duration ``value``, from ``minimum`` to ``maximum``."""
        found = _length(value.seconds, value.nanos)
        if found is None:
            self.fail(field, "is not a valid duration")
            return minimum
        if not minimum <= found <= maximum:
            self.fail(field, f"must be from {minimum} to {maximum}")
            return minimum
        return found

    def date(self, field: str, message: Message, name: str) -> dt.date:
        """A required full civil date, 1970-01-02 to 9998-12-30."""
        if message.HasField(name):
            return self.civil_date(field, getattr(message, name))
        self.fail(field, "is required")
        return FIRST_DATE

    def optional_date(self, field: str, message: Message, name: str) -> dt.date | None:
        """A full civil date, or nothing."""
        if not message.HasField(name):
            return None
        return self.civil_date(field, getattr(message, name))

    def civil_date(self, field: str, value: Any) -> dt.date:
        """The Date ``value`` as a full civil date, 1970-01-02 to 9998-12-30."""
        found = _date(value.year, value.month, value.day)
        if found is None:
            self.fail(field, "is not a date of the calendar")
            return FIRST_DATE
        if not FIRST_DATE <= found <= LAST_DATE:
            self.fail(field, f"must lie between {FIRST_DATE} and {LAST_DATE}")
            return FIRST_DATE
        return found

    def civil_dates(
        self, field: str, values: Iterable[Any], *, maximum: int
    ) -> tuple[dt.date, ...]:
        """Distinct full civil dates, 1 to ``maximum`` of them, in the order given."""
        found = tuple(values)
        if not 1 <= len(found) <= maximum:
            self.fail(field, f"must have 1 to {maximum} entries")
            return ()
        dates = tuple(self.civil_date(f"{field}[{i}]", value) for i, value in enumerate(found))
        if len(set(dates)) != len(dates):
            self.fail(field, "must not name anything twice")
        return dates

    def minute(self, field: str, value: Any) -> int:
        """A time of day as minutes from 00:00, 0 to 1440, on the quarter hour."""
        minutes: int = value.hours * _MINUTES_PER_HOUR + value.minutes
        if (
            not 0 <= value.minutes < _MINUTES_PER_HOUR
            or not 0 <= minutes <= _MINUTES_PER_DAY
            or value.hours < 0
        ):
            self.fail(field, "must be a time from 00:00 to 24:00")
            return 0
        if minutes % _GRID_MINUTES or value.seconds or value.nanos:
            self.fail(field, "must be a quarter hour")
            return 0
        return minutes

    def page_size(self, value: int) -> int:
        """Rows a page: 1 to 1,000; 0 is the default."""
        if not 0 <= value <= MAX_PAGE_SIZE:
            self.fail("page_size", f"must be from 0 to {MAX_PAGE_SIZE}")
            return DEFAULT_PAGE_SIZE
        return value or DEFAULT_PAGE_SIZE

    def enum(self, field: str, value: int, names: Any, *, required: bool) -> int:
        """A known value of an enum; zero only where it is not required."""
        if value not in names.values() or (required and value == 0):
            known = ", ".join(name for name, number in names.items() if number)
            self.fail(field, f"must be one of {known}")
        return value


@lru_cache(maxsize=4096)
def _date(year: int, month: int, day: int) -> dt.date | None:
    """Returns a date; None where the calendar has none."""
    try:
        return dt.date(year, month, day)
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=1024)
def _length(seconds: int, nanos: int) -> timedelta | None:
    """Returns a Duration, parts below a microsecond as one; None where it is none.

    Few lengths are asked for, and again and again.
    """
    if (
        abs(seconds) > _MAX_DURATION_SECONDS
        or abs(nanos) >= _NANOS_PER_SECOND
        or seconds * nanos < 0
    ):
        return None
    return timedelta(seconds=seconds, microseconds=-(-nanos // _NANOS_PER_MICRO))


_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})
