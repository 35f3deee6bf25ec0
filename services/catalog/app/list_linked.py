"""Lists what is linked to a row."""

from __future__ import annotations

from services.catalog.app.find import live
from services.catalog.app.port import Page, View
from services.catalog.domain.event_type import EventType
from services.catalog.domain.record import Record
from services.catalog.domain.resource import Resource


async def resources_of_event_type(
    view: View, event_type_id: str, page: Page
) -> list[Record[Resource]]:
    """Reads a page of the resources, deleted ones excepted, that an event type books.

    Raises:
        NotFound: The event type is unknown or deleted.
    """
    await live(view.event_types, event_type_id)
    return await view.resources.page_of_event_type(event_type_id, page)


async def event_types_of_resource(
    view: View, resource_id: str, page: Page
) -> list[Record[EventType]]:
    """Reads a page of the event types, deleted ones excepted, that book a resource.

    Raises:
        NotFound: The resource is unknown or deleted.
    """
    await live(view.resources, resource_id)
    return await view.event_types.page_of_resource(resource_id, page)
