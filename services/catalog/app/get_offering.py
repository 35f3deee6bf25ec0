"""Reads what a booking is judged by."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.catalog.app.port import View
from services.catalog.domain.offering import Offering

_DAYS_BACK = timedelta(days=2)


async def get_offering(view: View, resource_id: str, event_type_id: str, now: datetime) -> Offering:
    """Reads an offering, with overrides from the day before yesterday (UTC) on.

    Raises:
        NotFound: The resource or the event type is unknown or deleted.
    """
    since = now.date() - _DAYS_BACK
    return await view.offerings.read(resource_id, event_type_id, since=since)
