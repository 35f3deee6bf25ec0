from __future__ import annotations

import pytest

from holdfast.availability.v1 import availability_pb2, booking_pb2
from holdfast.catalog.v1 import catalog_pb2
from holdfast.presence.v1 import presence_pb2
from shared.client.address import Address
from shared.client.client import Client

_SERVICES = {
    "availability": availability_pb2.DESCRIPTOR.services_by_name["AvailabilityService"],
    "bookings": booking_pb2.DESCRIPTOR.services_by_name["BookingService"],
    "catalog": catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"],
    "presence": presence_pb2.DESCRIPTOR.services_by_name["PresenceService"],
}


@pytest.mark.parametrize("name", _SERVICES)
async def test_every_call_of_the_contracts_can_be_made(name: str) -> None:
    address = Address("127.0.0.1:1", "the test")
    async with Client(
        dict.fromkeys(("availability", "catalog", "presence"), address), "o"
    ) as found:
        stub = getattr(found, name)

        for method in _SERVICES[name].methods:
            assert callable(getattr(stub, method.name)), method.name
