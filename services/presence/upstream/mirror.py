"""What holds follow, out of one organization's catalog as its watch told it."""

from __future__ import annotations

from holdfast.catalog.v1 import watch_pb2
from services.presence.domain.hold import Buffers, HoldRule, ResourceRule
from shared.catalog.state import CatalogState, KnownEventType, KnownResource


class RuleMirror:
    """A catalog at ``version``. Rules are made when they are first asked for."""

    def __init__(self) -> None:
        """Is empty."""
        self._state = CatalogState()
        self._rules: dict[str, ResourceRule] = {}

    @property
    def version(self) -> int:
        """The revision of the catalog."""
        return self._state.version

    @version.setter
    def version(self, version: int) -> None:
        self._state.version = version

    def apply(self, told: watch_pb2.WatchCatalogResponse) -> None:
        """Takes in what a message holds."""
        self._state.apply(told)
        self._rules.clear()

    def rule(self, resource_id: str) -> ResourceRule | None:
        """Returns how a resource may be held; None where there is none."""
        found = self._rules.get(resource_id)
        if found is None:
            resource = self._state.resources.get(resource_id)
            if resource is None:
                return None
            found = ResourceRule(hold_rule(resource), self._longest(resource_id))
            self._rules[resource_id] = found
        return found

    def buffers(self, event_type_id: str) -> Buffers | None:
        """Returns what an event type keeps free around its bookings; None where there is none."""
        event_type = self._state.event_types.get(event_type_id)
        return None if event_type is None else kept_free(event_type)

    def booked_by(self, event_type_id: str) -> tuple[str, ...] | None:
        """Returns the resources that an event type books; None where there is none."""
        if event_type_id not in self._state.event_types:
            return None
        linked = self._state.booked_by(event_type_id)
        return tuple(sorted(linked & self._state.resources.keys()))

    def _longest(self, resource_id: str) -> int | None:
        """Returns the quanta of the longest booking that can be made; None if none can."""
        linked = self._state.booking(resource_id)
        return max(
            (
                event_type.rules.quanta_before + event_type.rules.quanta_from(event_type.longest)
                for event_type_id in linked
                if (event_type := self._state.event_types.get(event_type_id)) is not None
                and event_type.is_active
            ),
            default=None,
        )


def hold_rule(resource: KnownResource) -> HoldRule:
    """Returns by which rule a resource is held."""
    if resource.is_pool:
        return HoldRule.POOL
    return HoldRule.ADVISORY if resource.is_advisory else HoldRule.EXCLUSIVE


def kept_free(event_type: KnownEventType) -> Buffers:
    """Returns what an event type keeps free around its bookings."""
    return Buffers(event_type.rules.buffer_before, event_type.rules.buffer_after)
