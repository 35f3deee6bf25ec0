"""When the resource of a live day is open."""

from __future__ import annotations

from datetime import date, timedelta

from holdfast.catalog.v1.schedule_pb2 import GetEffectiveHoursRequest
from shared.client.client import Client
from shared.client.failure import HoldfastError
from shared.client.value import from_timestamp, to_date
from shared.slots.quantum import covering

_DAY = timedelta(days=1)


async def open_quanta(
    client: Client, resource_id: str, event_type_id: str, day: date
) -> frozenset[int] | None:
    """Returns the absolute quanta in opening hours around a date.

    Only for showing: None where the catalog cannot say.
    """
    request = GetEffectiveHoursRequest(
        organization_id=client.organization_id,
        resource_id=resource_id,
        event_type_id=event_type_id,
        # Dates of the schedule's zone, which may be far from the viewer's.
        first_date=to_date(day - _DAY),
        last_date=to_date(day + _DAY),
    )
    try:
        answer = await client.call(client.catalog.GetEffectiveHours, request)
    except HoldfastError:
        return None
    found: set[int] = set()
    for interval in answer.open:
        span = covering(from_timestamp(interval.start_time), from_timestamp(interval.end_time))
        found.update(range(span.first, span.stop))
    return frozenset(found)
