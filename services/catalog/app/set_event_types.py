"""Replaces the event types that book a resource."""

from __future__ import annotations

from collections.abc import Sequence

from services.catalog.app.find import live, require
from services.catalog.app.port import Change


async def set_event_types(
    change: Change, resource_id: str, event_type_ids: Sequence[str]
) -> list[str]:
    """Makes these the only event types that book the resource; returns them ascending.

    Raises:
        NotFound: The resource or an event type is unknown or deleted.
    """
    await live(change.resources, resource_id)
    await require(change.event_types, event_type_ids)
    await change.links.set_event_types(resource_id, event_type_ids)
    return sorted(event_type_ids)
