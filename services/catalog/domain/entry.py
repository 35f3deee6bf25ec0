"""The entries that a catalog consists of, by name: what a watch tells one by one."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from services.catalog.domain.event_type import EventType
from services.catalog.domain.failure import Kind
from services.catalog.domain.record import Record
from services.catalog.domain.resource import Resource
from services.catalog.domain.schedule import DateOverride, Schedule


class EntryName(NamedTuple):
    """Which entry.

    Attributes:
        kind: What it is.
        key: Its id; of a date override the schedule's, of a link the event type's.
        second: Of a date override the date, of a link the resource's id; else empty.
    """

    kind: Kind
    key: str
    second: str = ""


Entry: TypeAlias = Record[Resource] | Record[EventType] | Record[Schedule] | DateOverride | None
"""What there is by a name; None for a link, which is its name and nothing more."""
