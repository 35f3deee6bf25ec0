"""Ends that an event type books a resource."""

from __future__ import annotations

from services.catalog.app.find import live
from services.catalog.app.port import Change


async def unlink(change: Change, resource_id: str, event_type_id: str) -> None:
    """Unlinks the two; nothing happens when they are not linked.

    Raises:
        NotFound: Either is unknown or deleted.
    """
    await live(change.resources, resource_id)
    await live(change.event_types, event_type_id)
    await change.links.remove(resource_id, event_type_id)
