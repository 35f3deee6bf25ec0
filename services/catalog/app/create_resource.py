"""Creates a resource."""

from __future__ import annotations

from dataclasses import replace

from services.catalog.app.find import require_schedule
from services.catalog.app.port import Change
from services.catalog.domain.record import Record
from services.catalog.domain.resource import Resource
from shared.runtime.identity import uuid7


async def create_resource(change: Change, resource: Resource) -> Record[Resource]:
    """Creates a resource; one without an id gets a generated one.

    Raises:
        NotFound: Its schedule does not exist.
        IdTaken: The id was used before.
    """
    if not resource.resource_id:
        resource = replace(resource, resource_id=uuid7(change.stamp.time))
    await require_schedule(change, resource.schedule_id)
    record = Record.new(resource, change.stamp)
    await change.resources.add(record)
    return record
