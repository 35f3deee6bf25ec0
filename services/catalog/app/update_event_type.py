"""Changes fields of an event type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.catalog.app.find import live, require_schedule
from services.catalog.app.port import Change
from services.catalog.domain.event_type import EventType, contradictions
from services.catalog.domain.record import Record
from shared.runtime.failure import InvalidFields


async def update_event_type(
    change: Change, event_type_id: str, etag: str, fields: Mapping[str, Any]
) -> Record[EventType]:
    """Changes an event type.

    Args:
        change: The transaction.
        event_type_id: Which.
        etag: As read; "" for no check.
        fields: New values by the name of their field.

    Raises:
        NotFound: There is none, or its new schedule does not exist.
        StaleEtag: It changed since.
        InvalidFields: The new values contradict ones that stay.
        SlugTaken: The new slug is another's.
    """
    record = await live(change.event_types, event_type_id)
    record.require(etag)
    event_type = replace(record.value, **fields)
    if violations := list(contradictions("event_type", event_type)):
        raise InvalidFields(violations)
    await require_schedule(change, fields.get("schedule_id", ""))
    changed = record.changed(event_type, change.stamp)
    await change.event_types.put(changed)
    return changed
