"""Links on the wire."""

from __future__ import annotations

from typing import Final

from holdfast.catalog.v1 import link_pb2 as pb
from services.catalog.app.port import Page
from services.catalog.rpc.codec.check import CatalogCheck
from services.catalog.rpc.codec.page import page_of

_MAX_LINKS: Final = 1_000


def set_resources(request: pb.SetResourcesRequest) -> tuple[str, tuple[str, ...]]:
    """Decodes an event type and the resources it shall book.

    Raises:
        InvalidFields: Something is missing, malformed or out of range.
    """
    check = CatalogCheck()
    check.header(request)
    event_type_id = check.identifier("event_type_id", request.event_type_id)
    keys = check.identifiers("resource_ids", request.resource_ids, maximum=_MAX_LINKS)
    check.done()
    return event_type_id, keys


def set_event_types(request: pb.SetEventTypesRequest) -> tuple[str, tuple[str, ...]]:
    """Decodes a resource and the event types that shall book it.

    Raises:
        InvalidFields: As ``set_resources``.
    """
    check = CatalogCheck()
    check.header(request)
    resource_id = check.identifier("resource_id", request.resource_id)
    keys = check.identifiers("event_type_ids", request.event_type_ids, maximum=_MAX_LINKS)
    check.done()
    return resource_id, keys


def pair(request: pb.LinkRequest | pb.UnlinkRequest) -> tuple[str, str]:
    """Decodes a resource and an event type.

    Raises:
        InvalidFields: As ``set_resources``.
    """
    check = CatalogCheck()
    check.header(request)
    resource_id = check.identifier("resource_id", request.resource_id)
    event_type_id = check.identifier("event_type_id", request.event_type_id)
    check.done()
    return resource_id, event_type_id


def event_types_page(request: pb.ListEventTypesForResourceRequest) -> tuple[str, Page]:
    """Decodes a list of a resource's event types.

    Raises:
        InvalidFields: As ``set_resources``.
        InvalidPageToken: The token is none of this list's.
    """
    check = CatalogCheck()
    check.header(request)
    return check.identifier("resource_id", request.resource_id), page_of(check, request)


def resources_page(request: pb.ListResourcesForEventTypeRequest) -> tuple[str, Page]:
    """Decodes a list of an event type's resources.

    Raises:
        InvalidFields: As ``set_resources``.
        InvalidPageToken: The token is none of this list's.
    """
    check = CatalogCheck()
    check.header(request)
    return check.identifier("event_type_id", request.event_type_id), page_of(check, request)
