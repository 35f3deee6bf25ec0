"""Offerings on the wire."""

from __future__ import annotations

from holdfast.catalog.v1 import offering_pb2 as pb
from services.catalog.domain.offering import Offering
from services.catalog.rpc.codec import event_type, resource, schedule
from services.catalog.rpc.codec.check import CatalogCheck


def get(request: pb.GetOfferingRequest) -> tuple[str, str]:
    """Decodes a resource and an event type.

    Raises:
        InvalidFields: Something is missing or malformed.
    """
    check = CatalogCheck()
    check.header(request)
    resource_id = check.identifier("resource_id", request.resource_id)
    event_type_id = check.identifier("event_type_id", request.event_type_id)
    check.done()
    return resource_id, event_type_id


def encode(organization_id: str, offering: Offering) -> pb.Offering:
    """Writes an offering; no schedule where none applies."""
    message = pb.Offering(
        resource=resource.encode(organization_id, offering.resource),
        event_type=event_type.encode(organization_id, offering.event_type),
        linked=offering.is_linked,
        version=offering.version,
    )
    if offering.hours is not None:
        message.schedule.CopyFrom(schedule.encode(organization_id, offering.hours.schedule))
        message.date_overrides.extend(map(schedule.encode_override, offering.hours.overrides))
    return message
