"""Which zone's clock people of an organization read."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from holdfast.catalog.v1.resource_pb2 import GetResourceRequest
from holdfast.catalog.v1.schedule_pb2 import GetDefaultScheduleRequest
from shared.client.cli.param import zone_or_utc
from shared.client.client import Client
from shared.client.failure import HoldfastError


async def clock_of(client: Client, resource_id: str) -> ZoneInfo:
    """Returns a resource's zone, or without one the default schedule's.

    Only for showing: where the catalog cannot say, times are shown in UTC.
    """
    organization_id = client.organization_id
    try:
        if resource_id:
            found = await client.call(
                client.catalog.GetResource,
                GetResourceRequest(organization_id=organization_id, resource_id=resource_id),
            )
            return zone_or_utc(found.resource.time_zone)
        default = await client.call(
            client.catalog.GetDefaultSchedule,
            GetDefaultScheduleRequest(organization_id=organization_id),
        )
        return zone_or_utc(default.schedule.time_zone)
    except HoldfastError:
        return zone_or_utc("UTC")
