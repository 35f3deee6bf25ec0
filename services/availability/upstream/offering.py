"""Reads the catalog's offerings into what the slot engine works with.

Equal content gives the same objects, whatever else of the offering changed: the engine keeps
what it computed by schedule and rules, and finds identical ones fastest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from holdfast.catalog.v1 import event_type_pb2, offering_pb2, resource_pb2, schedule_pb2
from services.availability.domain.offering import Offering, OfferingName, ResourceFacts
from shared.catalog.rule import read_rules
from shared.slots.rule import BookingRules
from shared.slots.schedule import Schedule, Window, default_schedule
from shared.slots.zone import zone

_KEPT: Final = 4_096
_TYPE_NUMBERS: Final = {
    name.removeprefix("RESOURCE_TYPE_").lower(): number
    for name, number in resource_pb2.ResourceType.items()
    if number != resource_pb2.RESOURCE_TYPE_UNSPECIFIED
}
_TYPE_WORDS: Final[Mapping[int, str]] = {number: word for word, number in _TYPE_NUMBERS.items()}


class OfferedResource(NamedTuple):
    """What offerings of a resource need of it."""

    facts: ResourceFacts
    is_active: bool
    is_standalone: bool
    zone_name: str
    schedule_id: str


class OfferedEventType(NamedTuple):
    """What offerings under an event type need of it."""

    is_active: bool
    title: str
    locations: tuple[str, ...]
    zone_lock: ZoneInfo | None
    rules: BookingRules
    needs_confirmation: bool
    schedule_id: str


def read_offering(name: OfferingName, offering: offering_pb2.Offering) -> Offering:
    """Returns the domain's view of a catalog answer."""
    schedule = (
        read_schedule(offering.schedule, offering.date_overrides)
        if offering.HasField("schedule")
        else schedule_without_one(offering.resource.time_zone)
    )
    return offering_of(
        name,
        read_resource(offering.resource),
        read_event_type(offering.event_type),
        schedule,
        linked=offering.linked,
    )


def offering_of(
    name: OfferingName,
    resource: OfferedResource,
    event_type: OfferedEventType,
    schedule: Schedule,
    *,
    linked: bool,
) -> Offering:
    """Returns the offering of a resource under an event type, open as a schedule says."""
    return Offering(
        name=name,
        resource_active=resource.is_active,
        standalone=resource.is_standalone,
        event_type_active=event_type.is_active,
        linked=linked,
        title=event_type.title,
        locations=event_type.locations,
        zone_lock=event_type.zone_lock,
        schedule=schedule,
        rules=event_type.rules,
        pool=resource.facts.pool,
        resource_type=resource.facts.resource_type,
        needs_confirmation=event_type.needs_confirmation,
    )


def read_resource(resource: resource_pb2.Resource) -> OfferedResource:
    """Returns what offerings need of a resource."""
    return OfferedResource(
        read_facts(resource),
        resource.active,
        resource.standalone,
        resource.time_zone,
        resource.schedule_id,
    )


def read_facts(resource: resource_pb2.Resource) -> ResourceFacts:
    """Returns the domain's view of a resource."""
    return ResourceFacts(resource.resource_id, type_word(resource.type), resource.pool)


def read_event_type(event_type: event_type_pb2.EventType) -> OfferedEventType:
    """Returns what offerings need of an event type."""
    lock = event_type.time_zone_lock
    return OfferedEventType(
        is_active=event_type.active,
        title=event_type.title,
        locations=tuple(event_type.locations),
        zone_lock=zone(lock) if lock else None,
        rules=read_rules(event_type),
        needs_confirmation=event_type.requires_confirmation,
        schedule_id=event_type.schedule_id,
    )


def read_schedule(
    schedule: schedule_pb2.Schedule, overrides: Iterable[schedule_pb2.DateOverride]
) -> Schedule:
    """Returns the opening hours of a schedule with its overrides, ascending by date."""
    content = offering_pb2.Offering()
    content.schedule.time_zone = schedule.time_zone
    content.schedule.windows.extend(schedule.windows)
    for override in overrides:
        # A note is nothing to the engine.
        content.date_overrides.add(date=override.date, windows=override.windows)
    return _schedule(content.SerializeToString(deterministic=True))


@lru_cache(maxsize=_KEPT)
def schedule_without_one(zone_name: str) -> Schedule:
    """Returns the opening hours in a zone where no schedule decides."""
    return default_schedule(zone_name)


def type_word(number: int) -> str:
    """Returns the word for a type of resources, "" for one that is none."""
    return _TYPE_WORDS.get(number, "")


def type_number(word: str) -> resource_pb2.ResourceType.ValueType | None:
    """Returns the type that a word stands for, if it does."""
    return _TYPE_NUMBERS.get(word)


@lru_cache(maxsize=_KEPT)
def _schedule(content: bytes) -> Schedule:
    offering = offering_pb2.Offering.FromString(content)
    weekly: defaultdict[int, list[Window]] = defaultdict(list)
    for entry in offering.schedule.windows:
        weekly[entry.day].append(_window(entry.window))
    return Schedule(
        zone(offering.schedule.time_zone),
        {day: tuple(sorted(windows, key=_by_start)) for day, windows in weekly.items()},
        {
            date(override.date.year, override.date.month, override.date.day): tuple(
                sorted(map(_window, override.windows), key=_by_start)
            )
            for override in offering.date_overrides
        },
    )


def _window(window: Any) -> Window:
    return Window(_minute(window.start), _minute(window.end))


def _by_start(window: Window) -> int:
    return window.start_minute


def _minute(time: Any) -> int:
    minute: int = time.hours * 60 + time.minutes
    return minute
