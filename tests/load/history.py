"""Bookings put into availability's tables by COPY, just as its transactions would leave them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

import psycopg

_QUANTA_PER_DAY: Final = 96
_QUANTUM_SECONDS: Final = 900
_ALL: Final = (1 << _QUANTA_PER_DAY) - 1
_CONFIRMED, _CANCELLED = 1, 2
_KINDS: Final = "created", "cancelled"  # by revision
_TELL_EVERY: Final = 5_000
_TABLES: Final = ("bookings", "booking_items", "booking_history", "outbox")
_COPY: Final = {
    "bookings": "copy bookings (organization_id, booking_id, state, revision, event_type_id,"
    " event_type_title, start_time, end_time, booker_id, booker_name, booker_email, location,"
    " time_zone, cancel_reason, created_at, updated_at, token_hash, token_version) from stdin",
    "booking_items": "copy booking_items (organization_id, booking_id, ordinal, resource_id,"
    " units, first_quantum, stop_quantum, start_time) from stdin",
    "booking_history": "copy booking_history (organization_id, booking_id, revision, event, state,"
    " actor, reason, created_at, start_time, end_time) from stdin",
    "outbox": "copy outbox (organization_id, feed, ordinal, kind, booking_id, revision, payload,"
    " created_at) from stdin",
    "days": "copy days (organization_id, resource_id, day, busy, version) from stdin",
}


class Entry(NamedTuple):
    """A booking of one resource, in quarter hours counted from 1970.

    Attributes:
        resource_id: What it takes.
        first: Its first quarter hour.
        stop: The first one after it, of the same UTC day.
        is_cancelled: It was made and cancelled: it takes nothing.
    """

    resource_id: str
    first: int
    stop: int
    is_cancelled: bool = False


class Loaded(NamedTuple):
    """What was put in."""

    bookings: int
    occupying: int
    days: int


def load(
    url: str, organization_id: str, entries: Iterable[Entry], told: Callable[[int], None]
) -> Loaded:
    """Puts an organization's bookings in, oldest first; it must have none.

    Args:
        url: The database.
        organization_id: Whose bookings.
        entries: Those that are not cancelled never overlap on one resource.
        told: Called now and then with the number of bookings done.
    """
    writing = _Writing(organization_id)
    with ExitStack() as stack:
        copies = {}
        for table in _TABLES:
            connection = stack.enter_context(psycopg.connect(url))
            cursor = stack.enter_context(connection.cursor())
            copies[table] = stack.enter_context(cursor.copy(_COPY[table]))
        count = 0
        for count, entry in enumerate(entries, 1):
            for table, line in writing.lines(count, entry):
                copies[table].write(line)
            if count % _TELL_EVERY == 0:
                told(count)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        with cursor.copy(_COPY["days"]) as copy:
            for line in writing.days():
                copy.write(line)
        cursor.execute(
            "insert into feeds (organization_id, number) values (%s, %s)",
            (organization_id, writing.feed),
        )
    told(count)
    return Loaded(count, writing.occupying, writing.day_count)


def settle(url: str) -> None:
    """Leaves the tables as a database that has been up for a while has them."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("vacuum (analyze)")
        connection.execute("checkpoint")


class _Writing:
    """Makes the rows, and keeps the days as they become."""

    def __init__(self, organization_id: str) -> None:
        self._org = organization_id
        self._days: dict[tuple[str, int], tuple[int, int]] = {}
        # Events that are older than the retention would be purged while the bench runs: all are
        # as of now, and the outbox is as long as it can get.
        self._now = datetime.now(UTC).isoformat(" ")
        self.feed = 0
        self.occupying = 0

    @property
    def day_count(self) -> int:
        """Days that have a row."""
        return len(self._days)

    def lines(self, number: int, entry: Entry) -> Iterable[tuple[str, str]]:
        """The rows of one booking."""
        resource_id, first, stop, is_cancelled = entry
        org = self._org
        start, end = _text(first), _text(stop)
        made = _text(first - 7 * _QUANTA_PER_DAY)
        booking = _booking_id(first - 7 * _QUANTA_PER_DAY, number)
        state, revision = (_CANCELLED, 1) if is_cancelled else (_CONFIRMED, 0)
        person = number % 5_000
        row = f"{org}\t{booking}\t{state}\t{revision}\tsession\tSession\t{start}\t{end}"
        who = f"person-{person}\tPerson {person}\tperson-{person}@example.com\t\tEurope/Berlin"
        token = f"\\\\x{number:064x}\t1"
        yield "bookings", f"{row}\t{who}\t\t{made}\t{made}\t{token}\n"
        yield (
            "booking_items",
            f"{org}\t{booking}\t1\t{resource_id}\t1\t{first}\t{stop}\t{start}\n",
        )
        when = f"{made}\t{start}\t{end}"
        event = f"{org}\t{booking}\t0\tcreated\t{_CONFIRMED}\tperson-{person}\t"
        yield "booking_history", f"{event}\t{when}\n"
        bits = ((1 << (stop - first)) - 1) << (_QUANTA_PER_DAY - 1 - (stop - 1) % _QUANTA_PER_DAY)
        key = resource_id, first // _QUANTA_PER_DAY
        busy = self._days.get(key, (0, 0))[0] | bits
        yield self._event(booking, 0, key, busy)
        if is_cancelled:
            event = f"{org}\t{booking}\t1\tcancelled\t{_CANCELLED}\tperson-{person}\t"
            yield "booking_history", f"{event}\t{when}\n"
            yield self._event(booking, 1, key, busy & ~bits & _ALL)
        else:
            self.occupying += 1

    def days(self) -> Iterable[str]:
        """The rows of all days."""
        for (resource_id, day), (busy, version) in sorted(self._days.items()):
            yield f"{self._org}\t{resource_id}\t{_date(day)}\t{busy:096b}\t{version}\n"

    def _event(
        self, booking: str, revision: int, key: tuple[str, int], busy: int
    ) -> tuple[str, str]:
        self.feed += 1
        self._days[key] = busy, self.feed
        resource_id, day = key
        what = f"{_KINDS[revision]}\t{booking}\t{revision}"
        payload = f'{{"days": [["{resource_id}", "{_date(day)}", "{busy:096b}"]]}}'
        return "outbox", f"{self._org}\t{self.feed}\t0\t{what}\t{payload}\t{self._now}\n"


@lru_cache(maxsize=100_000)
def _text(quantum: int) -> str:
    return datetime.fromtimestamp(quantum * _QUANTUM_SECONDS, UTC).isoformat(" ")


@lru_cache(maxsize=100_000)
def _date(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()


def _booking_id(quantum: int, number: int) -> str:
    """A UUIDv7 of the moment the booking was made."""
    moment = f"{quantum * _QUANTUM_SECONDS * 1000 + number % 900_000:012x}"
    return f"{moment[:8]}-{moment[8:]}-7{number % 4096:03x}-8000-{number:012x}"
