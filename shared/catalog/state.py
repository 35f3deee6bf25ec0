"""A catalog as its watch told it: what can be booked, how, and by which hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Final, NamedTuple

from holdfast.catalog.v1 import event_type_pb2, resource_pb2, watch_pb2
from shared.catalog.rule import read_rules
from shared.slots.rule import BookingRules

_NONE: Final[AbstractSet[str]] = frozenset()


class KnownResource(NamedTuple):
    """What decides how a resource is held and booked.

    Attributes:
        is_active: Whether it is in use.
        is_pool: Whether it has interchangeable units.
        is_advisory: Whether several sessions may hold the same time.
        is_standalone: Whether it can be booked alone.
        time_zone: Its zone where no schedule decides.
        schedule_id: Of its own hours; empty for the default ones.
    """

    is_active: bool
    is_pool: bool
    is_advisory: bool
    is_standalone: bool
    time_zone: str
    schedule_id: str


class KnownEventType(NamedTuple):
    """What decides when an event type can be booked, and for how long.

    Attributes:
        is_active: Whether it is in use.
        rules: Lengths, buffers, notice and horizon.
        schedule_id: Of its own hours; empty for those of the resource.
        time_zone_lock: In which zone it is always shown; empty for the viewer's.
    """

    is_active: bool
    rules: BookingRules
    schedule_id: str
    time_zone_lock: str

    @property
    def longest(self) -> timedelta:
        """The longest length on offer."""
        flexible = self.rules.flexible
        return flexible.maximum if flexible else self.rules.durations[-1]


class Hours(NamedTuple):
    """Which opening hours decide, and as of which revision of the catalog.

    Attributes:
        schedule_id: None where no schedule decides.
        version: Of their last change; 0 without a schedule.
    """

    schedule_id: str | None
    version: int


class OfferBasis(NamedTuple):
    """All that the starts of a resource under an event type follow from, bookings aside.

    Equal ones offer the same.
    """

    resource: KnownResource | None
    event_type: KnownEventType | None
    is_linked: bool
    hours: Hours


class CatalogState:
    """What is not deleted, at ``version``. Changes in place.

    Attributes:
        version: The revision of the catalog.
        resources: By id.
        event_types: By id.
    """

    def __init__(self) -> None:
        """Is empty."""
        self.version = 0
        self.resources: dict[str, KnownResource] = {}
        self.event_types: dict[str, KnownEventType] = {}
        self._hours: dict[str, int] = {}
        self._default_id: str | None = None
        # A link stays while one of its ends is deleted: it counts again once that is restored.
        self._booked: defaultdict[str, set[str]] = defaultdict(set)
        self._booking: defaultdict[str, set[str]] = defaultdict(set)

    def apply(self, told: watch_pb2.WatchCatalogResponse) -> None:
        """Takes in what a message holds, and its version."""
        for resource in told.resources:
            self.resources[resource.resource_id] = read_resource(resource)
        for event_type in told.event_types:
            self.event_types[event_type.event_type_id] = read_event_type(event_type)
        for schedule in told.schedules:
            self._hours[schedule.schedule_id] = told.version
            if schedule.is_default:
                self._default_id = schedule.schedule_id
            elif self._default_id == schedule.schedule_id:
                self._default_id = None
        for dated in told.date_overrides:
            self._hours[dated.schedule_id] = told.version
        for link in told.links:
            self._booked[link.event_type_id].add(link.resource_id)
            self._booking[link.resource_id].add(link.event_type_id)
        if told.HasField("removed"):
            self._remove(told.removed, told.version)
        self.version = told.version

    def booked_by(self, event_type_id: str) -> AbstractSet[str]:
        """Returns the resources that an event type is linked to, deleted ones included."""
        return self._booked.get(event_type_id, _NONE)

    def booking(self, resource_id: str) -> AbstractSet[str]:
        """Returns the event types that a resource is linked to, deleted ones included."""
        return self._booking.get(resource_id, _NONE)

    def basis(self, resource_id: str, event_type_id: str) -> OfferBasis:
        """Returns what the starts of a resource under an event type follow from."""
        resource = self.resources.get(resource_id)
        event_type = self.event_types.get(event_type_id)
        deciding = (
            (event_type.schedule_id if event_type else "")
            or (resource.schedule_id if resource else "")
            or self._default_id
        )
        changed = self._hours.get(deciding, 0) if deciding else 0
        linked = resource_id in self.booked_by(event_type_id)
        return OfferBasis(resource, event_type, linked, Hours(deciding, changed))

    def _remove(self, removed: watch_pb2.CatalogRemovals, version: int) -> None:
        for resource_id in removed.resource_ids:
            self.resources.pop(resource_id, None)
        for event_type_id in removed.event_type_ids:
            self.event_types.pop(event_type_id, None)
        for schedule_id in removed.schedule_ids:
            self._hours.pop(schedule_id, None)
            if self._default_id == schedule_id:
                self._default_id = None
        for dated in removed.dates:
            self._hours[dated.schedule_id] = version
        for link in removed.links:
            _discard(self._booked, link.event_type_id, link.resource_id)
            _discard(self._booking, link.resource_id, link.event_type_id)


def read_resource(resource: resource_pb2.Resource) -> KnownResource:
    """Returns what decides of a resource."""
    return KnownResource(
        is_active=resource.active,
        is_pool=resource.pool,
        is_advisory=resource.hold_policy == resource_pb2.HOLD_POLICY_ADVISORY,
        is_standalone=resource.standalone,
        time_zone=resource.time_zone,
        schedule_id=resource.schedule_id,
    )


def read_event_type(event_type: event_type_pb2.EventType) -> KnownEventType:
    """Returns what decides of an event type."""
    return KnownEventType(
        is_active=event_type.active,
        rules=read_rules(event_type),
        schedule_id=event_type.schedule_id,
        time_zone_lock=event_type.time_zone_lock,
    )


def _discard(links: defaultdict[str, set[str]], one: str, other: str) -> None:
    found = links.get(one)
    if found is None:
        return
    found.discard(other)
    if not found:
        del links[one]
