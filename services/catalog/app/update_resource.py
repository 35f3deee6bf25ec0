"""Changes fields of a resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.catalog.app.find import live, require_schedule
from services.catalog.app.port import Change
from services.catalog.domain.record import Record
from services.catalog.domain.resource import Resource


async def update_resource(
    change: Change, resource_id: str, etag: str, fields: Mapping[str, Any]
) -> Record[Resource]:
    """Changes a resource.

    Args:
        change: The transaction.
        resource_id: Which.
        etag: As read; "" for no check.
        fields: New values by the name of their field.

    Raises:
        NotFound: There is none, or its new schedule does not exist.
        StaleEtag: It changed since.
    """
    record = await live(change.resources, resource_id)
    record.require(etag)
    await require_schedule(change, fields.get("schedule_id", ""))
    changed = record.changed(replace(record.value, **fields), change.stamp)
    await change.resources.put(changed)
    return changed
