"""Creates an event type."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from services.catalog.app.find import require_schedule
from services.catalog.app.port import Change, EventTypes
from services.catalog.domain.event_type import EventType, slugs_from
from services.catalog.domain.failure import SlugTaken
from services.catalog.domain.record import Record
from shared.runtime.identity import uuid7

_SLUGS_TRIED = 100


async def create_event_type(change: Change, event_type: EventType) -> Record[EventType]:
    """Creates an event type; one without a slug gets a free one made from its title.

    Raises:
        NotFound: Its schedule does not exist.
        IdTaken: The id was used before.
        SlugTaken: The slug is another's.
    """
    if not event_type.event_type_id:
        event_type = replace(event_type, event_type_id=uuid7(change.stamp.time))
    await require_schedule(change, event_type.schedule_id)
    if not event_type.slug:
        event_type = replace(event_type, slug=await _free_slug(change.event_types, event_type))
    record = Record.new(event_type, change.stamp)
    await change.event_types.add(record)
    return record


async def _free_slug(event_types: EventTypes, event_type: EventType) -> str:
    slugs = list(islice(slugs_from(event_type.title, event_type.event_type_id), _SLUGS_TRIED))
    taken = await event_types.taken(slugs)
    free = next((slug for slug in slugs if slug not in taken), None)
    if free is None:
        raise SlugTaken(slugs[0])
    return free
