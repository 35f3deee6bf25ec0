"""One organization's catalog as its watch told it, and the offerings that follow from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final

from holdfast.catalog.v1 import schedule_pb2, watch_pb2
from services.availability.domain.offering import Offering, OfferingName, ResourceFacts
from services.availability.domain.refusal import Kind, NotFound
from services.availability.upstream.offering import (
    OfferedEventType,
    OfferedResource,
    offering_of,
    read_event_type,
    read_resource,
    read_schedule,
    schedule_without_one,
)
from shared.slots.schedule import Schedule

# Past that all are forgotten, and made again as they are asked for.
_MOST_OFFERINGS: Final = 100_000
# Names the hours of whoever names no schedule.
_UNNAMED: Final = ""

_Cause = tuple[str, str]


class CatalogMirror:
    """A catalog at ``version``. Offerings are made when they are first asked for.

    A change drops the offerings that it touches, and no others.

    Attributes:
        offerings: Those made so far: whoever finds one here need not ask ``offering``.
    """

    def __init__(self, organization_id: str) -> None:
        """Is empty."""
        self.version = 0
        self.offerings: dict[OfferingName, Offering] = {}
        self._organization_id = organization_id
        self._resources: dict[str, OfferedResource] = {}
        self._event_types: dict[str, OfferedEventType] = {}
        self._schedules: dict[str, schedule_pb2.Schedule] = {}
        self._overrides: defaultdict[str, dict[date, schedule_pb2.DateOverride]] = defaultdict(dict)
        self._linked: defaultdict[str, set[str]] = defaultdict(set)
        self._default_id: str | None = None
        self._hours: dict[str, Schedule] = {}
        self._made_of: defaultdict[_Cause, set[OfferingName]] = defaultdict(set)
        self._listed: dict[tuple[str, str], Sequence[Offering]] = {}
        self._facts: dict[str, Sequence[ResourceFacts]] = {}

    def apply(self, told: watch_pb2.WatchCatalogResponse) -> None:
        """Takes in what a message holds."""
        for resource in told.resources:
            self._drop("resource", resource.resource_id)
            self._resources[resource.resource_id] = read_resource(resource)
        for event_type in told.event_types:
            self._drop("event_type", event_type.event_type_id)
            self._event_types[event_type.event_type_id] = read_event_type(event_type)
        for schedule in told.schedules:
            self._take_schedule(schedule)
        for dated in told.date_overrides:
            self._drop_hours(dated.schedule_id)
            override = dated.date_override
            self._overrides[dated.schedule_id][_date(override.date)] = override
        for link in told.links:
            self._drop_pair(link.resource_id, link.event_type_id)
            self._linked[link.event_type_id].add(link.resource_id)
        if told.HasField("removed"):
            self._remove(told.removed)
        self._listed.clear()
        self._facts.clear()
        self.version = told.version

    def offering(self, name: OfferingName) -> Offering:
        """Returns an offering.

        Raises:
            NotFound: The resource or the event type is unknown or deleted.
        """
        found = self.offerings.get(name)
        return self._made(name) if found is None else found

    def unknown(self, resource_ids: Iterable[str]) -> list[str]:
        """Returns the ids, out of these, of no resource."""
        return [key for key in resource_ids if key not in self._resources]

    def is_event_type_active(self, event_type_id: str) -> bool | None:
        """Returns whether an event type is active; None where there is none."""
        event_type = self._event_types.get(event_type_id)
        return None if event_type is None else event_type.is_active

    def books(self, event_type_id: str) -> bool:
        """Returns whether it is an active event type that books some active resource."""
        if not self.is_event_type_active(event_type_id):
            return False
        linked = self._linked.get(event_type_id, ())
        return any(self._is_wanted(resource_id, "") for resource_id in linked)

    def facts(self, resource_ids: Iterable[str]) -> Sequence[ResourceFacts]:
        """Returns what resources are.

        Raises:
            NotFound: One of them is unknown or deleted.
        """
        found = []
        for resource_id in resource_ids:
            resource = self._resources.get(resource_id)
            if resource is None:
                raise NotFound(Kind.RESOURCE, resource_id)
            found.append(resource.facts)
        return found

    def listed(self, event_type_id: str, resource_type: str) -> Sequence[Offering]:
        """Returns the offerings, by resource id, of active resources that an event type books.

        Raises:
            NotFound: The event type is unknown or deleted.
        """
        if event_type_id not in self._event_types:
            raise NotFound(Kind.EVENT_TYPE, event_type_id)
        key = (event_type_id, resource_type)
        found = self._listed.get(key)
        if found is None:
            linked = self._linked.get(event_type_id, ())
            found = self._listed[key] = [
                self.offering(OfferingName(self._organization_id, resource_id, event_type_id))
                for resource_id in sorted(linked)
                if self._is_wanted(resource_id, resource_type)
            ]
        return found

    def resources(self, resource_type: str) -> Sequence[ResourceFacts]:
        """Returns the active resources, by id, of a type, or of any for ""."""
        found = self._facts.get(resource_type)
        if found is None:
            found = [
                self._resources[resource_id].facts
                for resource_id in sorted(self._resources)
                if self._is_wanted(resource_id, resource_type)
            ]
            self._facts[resource_type] = found
        return found

    def _is_wanted(self, resource_id: str, resource_type: str) -> bool:
        resource = self._resources.get(resource_id)
        if resource is None or not resource.is_active:
            return False
        return not resource_type or resource.facts.resource_type == resource_type

    def _made(self, name: OfferingName) -> Offering:
        resource = self._resources.get(name.resource_id)
        if resource is None:
            raise NotFound(Kind.RESOURCE, name.resource_id)
        event_type = self._event_types.get(name.event_type_id)
        if event_type is None:
            raise NotFound(Kind.EVENT_TYPE, name.event_type_id)
        if len(self.offerings) >= _MOST_OFFERINGS:
            self.offerings.clear()
            self._made_of.clear()
        schedule_id = event_type.schedule_id or resource.schedule_id
        linked = name.resource_id in self._linked.get(name.event_type_id, ())
        found = self.offerings[name] = offering_of(
            name, resource, event_type, self._schedule(schedule_id, resource), linked=linked
        )
        self._made_of["resource", name.resource_id].add(name)
        self._made_of["event_type", name.event_type_id].add(name)
        self._made_of["schedule", schedule_id].add(name)
        return found

    def _schedule(self, schedule_id: str, resource: OfferedResource) -> Schedule:
        deciding = schedule_id or self._default_id
        if deciding is None:
            return schedule_without_one(resource.zone_name)
        found = self._hours.get(deciding)
        if found is None:
            overrides = self._overrides.get(deciding, {})
            found = self._hours[deciding] = read_schedule(
                self._schedules[deciding], (overrides[day] for day in sorted(overrides))
            )
        return found

    def _take_schedule(self, schedule: schedule_pb2.Schedule) -> None:
        key = schedule.schedule_id
        self._drop_hours(key)
        self._schedules[key] = schedule
        if schedule.is_default:
            self._default_id = key
            self._drop("schedule", _UNNAMED)
        elif self._default_id == key:
            self._default_id = None
            self._drop("schedule", _UNNAMED)

    def _remove(self, removed: watch_pb2.CatalogRemovals) -> None:
        for resource_id in removed.resource_ids:
            self._drop("resource", resource_id)
            self._resources.pop(resource_id, None)
        for event_type_id in removed.event_type_ids:
            self._drop("event_type", event_type_id)
            self._event_types.pop(event_type_id, None)
        for schedule_id in removed.schedule_ids:
            self._drop_hours(schedule_id)
            self._schedules.pop(schedule_id, None)
            self._overrides.pop(schedule_id, None)
            if self._default_id == schedule_id:
                self._default_id = None
        for dated in removed.dates:
            self._drop_hours(dated.schedule_id)
            self._overrides[dated.schedule_id].pop(_date(dated.date), None)
        for link in removed.links:
            self._drop_pair(link.resource_id, link.event_type_id)
            self._linked[link.event_type_id].discard(link.resource_id)

    def _drop_hours(self, schedule_id: str) -> None:
        self._hours.pop(schedule_id, None)
        self._drop("schedule", schedule_id)
        if schedule_id == self._default_id:
            self._drop("schedule", _UNNAMED)

    def _drop(self, kind: str, key: str) -> None:
        for name in self._made_of.pop((kind, key), ()):
            self.offerings.pop(name, None)

    def _drop_pair(self, resource_id: str, event_type_id: str) -> None:
        self.offerings.pop(OfferingName(self._organization_id, resource_id, event_type_id), None)


def _date(message: Any) -> date:
    return date(message.year, message.month, message.day)
