"""Replaces the resources that an event type books."""

from __future__ import annotations

from collections.abc import Sequence

from services.catalog.app.find import live, require
from services.catalog.app.port import Change


async def set_resources(
    change: Change, event_type_id: str, resource_ids: Sequence[str]
) -> list[str]:
    """Makes these the only resources the event type books; returns them ascending.

    Raises:
        NotFound: The event type or a resource is unknown or deleted.
    """
    await live(change.event_types, event_type_id)
    await require(change.resources, resource_ids)
    await change.links.set_resources(event_type_id, resource_ids)
    return sorted(resource_ids)
