"""Counts who holds a resource, or holds under an event type."""

from __future__ import annotations

from services.presence.app.port import HoldReader, HoldRules
from services.presence.domain.hold import HolderCount


class CountHolders:
    """Whom it would touch to take one of the two out of use."""

    def __init__(self, reader: HoldReader, rules: HoldRules) -> None:
        self._reader = reader
        self._rules = rules

    async def __call__(
        self, organization_id: str, resource_id: str, event_type_id: str
    ) -> HolderCount:
        """Returns how many there are now.

        Args:
            organization_id: The organization.
            resource_id: Counts the holds of this resource; empty for those of an event type.
            event_type_id: Counts the holds that name it, on the resources that it books.

        Raises:
            StoreUnavailable: The store cannot be reached, or the catalog to ask for links.
        """
        resources = [resource_id]
        if event_type_id:
            resources = list(await self._rules.booked_by(organization_id, event_type_id))
        return await self._reader.count(organization_id, resources, event_type_id)
