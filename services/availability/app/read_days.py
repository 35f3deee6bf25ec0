"""GetDays: raw bitmaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.availability.app.port import DayReader, Offerings
from services.availability.domain.claim import DayState


class ReadDays:
    """Reads stored days."""

    def __init__(self, resources: Offerings, days: DayReader) -> None:
        self._resources = resources
        self._days = days

    async def __call__(
        self, organization_id: str, resource_ids: Sequence[str], days: range
    ) -> Mapping[str, Mapping[int, DayState]]:
        """Returns the days by resource and UTC day number; days never booked are left out.

        Raises:
            NotFound: A resource is unknown or deleted.
        """
        await self._resources.require_resources(organization_id, resource_ids)
        return await self._days.of_resources(organization_id, resource_ids, days)
