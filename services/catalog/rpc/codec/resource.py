"""Resources on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from holdfast.catalog.v1 import resource_pb2 as pb
from services.catalog.app.port import Page, ResourceFilter
from services.catalog.domain.record import Record
from services.catalog.domain.resource import (
    MAX_LABELS,
    HoldPolicy,
    Resource,
    ResourceType,
)
from services.catalog.domain.zone import zone_violations
from services.catalog.rpc.codec.check import (
    CatalogCheck,
    Field,
    all_fields,
    required,
)
from services.catalog.rpc.codec.page import page_of
from services.catalog.rpc.codec.row import Update, deletion_of, key_of, update_of
from services.catalog.rpc.codec.time import history

_TYPE_NUMBERS: Final = {
    kind: pb.ResourceType.Value(f"RESOURCE_TYPE_{kind.name}") for kind in ResourceType
}
_POLICY_NUMBERS: Final = {
    policy: pb.HoldPolicy.Value(f"HOLD_POLICY_{policy.name}") for policy in HoldPolicy
}
_TYPES: Final[Mapping[int, ResourceType]] = {n: kind for kind, n in _TYPE_NUMBERS.items()}
_POLICIES: Final[Mapping[int, HoldPolicy]] = {n: policy for policy, n in _POLICY_NUMBERS.items()}


def create(request: pb.CreateResourceRequest) -> Resource:
    """Decodes what to create.

    Raises:
        InvalidFields: Something is missing, malformed or out of range.
    """
    check = CatalogCheck()
    check.header(request)
    required(check, request, "resource")
    message = request.resource
    resource_id = check.optional_identifier("resource.resource_id", message.resource_id)
    fields = all_fields(check, message, "resource", _FIELDS)
    check.done()
    return Resource(resource_id=resource_id, pool=message.pool, **fields)


def key(request: pb.GetResourceRequest | pb.UndeleteResourceRequest) -> str:
    """Decodes which resource is meant.

    Raises:
        InvalidFields: As ``create``.
    """
    return key_of(request, "resource")


def page(request: pb.ListResourcesRequest) -> tuple[ResourceFilter, Page]:
    """Decodes a list.

    Raises:
        InvalidFields: As ``create``.
        InvalidPageToken: The token is none of this list's.
    """
    check = CatalogCheck()
    check.header(request)
    kind = check.enum("type", request.type, pb.ResourceType, required=False)
    wanted = ResourceFilter(
        type=_TYPES.get(kind),
        active=request.active if request.HasField("active") else None,
        text=check.text("text", request.text, maximum=200),
        show_deleted=request.show_deleted,
    )
    return wanted, page_of(check, request)


def update(request: pb.UpdateResourceRequest) -> Update:
    """Decodes a change.

    Raises:
        InvalidFields: As ``create``; also for a mask that names nothing, or what is fixed.
    """
    return update_of(request, "resource", _FIELDS)


def delete(request: pb.DeleteResourceRequest) -> tuple[str, str]:
    """Decodes which resource is meant, and as of which etag.

    Raises:
        InvalidFields: As ``create``.
    """
    return deletion_of(request, "resource")


def encode(organization_id: str, record: Record[Resource]) -> pb.Resource:
    """Writes a resource."""
    resource = record.value
    return pb.Resource(
        resource_id=resource.resource_id,
        name=resource.name,
        type=_TYPE_NUMBERS[resource.type],
        description=resource.description,
        time_zone=resource.time_zone,
        pool=resource.pool,
        standalone=resource.standalone,
        hold_policy=_POLICY_NUMBERS[resource.hold_policy],
        metadata=resource.metadata,
        active=resource.active,
        schedule_id=resource.schedule_id,
        organization_id=organization_id,
        **history(record),
    )


def _type(check: CatalogCheck, message: pb.Resource, path: str) -> ResourceType:
    number = check.enum(path, message.type, pb.ResourceType, required=True)
    return _TYPES.get(number, ResourceType.OTHER)


def _hold_policy(check: CatalogCheck, message: pb.Resource, path: str) -> HoldPolicy:
    number = check.enum(path, message.hold_policy, pb.HoldPolicy, required=False)
    return _POLICIES.get(number, HoldPolicy.EXCLUSIVE)


def _time_zone(check: CatalogCheck, message: pb.Resource, path: str) -> str:
    check.rules(zone_violations(path, message.time_zone))
    return message.time_zone


def _metadata(check: CatalogCheck, message: pb.Resource, path: str) -> dict[str, str]:
    if len(message.metadata) > MAX_LABELS:
        check.fail(path, f"must have at most {MAX_LABELS} entries")
        return {}
    for label, value in sorted(message.metadata.items()):
        check.text(f"{path}.key", label, minimum=1, maximum=128)
        check.text(f"{path}.value", value, maximum=1_024, multiline=True)
    return dict(message.metadata)


_FIELDS: Final[Mapping[str, Field[pb.Resource]]] = {
    "name": lambda check, message, path: check.text(path, message.name, minimum=1, maximum=200),
    "type": _type,
    "description": lambda check, message, path: check.text(
        path, message.description, maximum=4_000, multiline=True
    ),
    "time_zone": _time_zone,
    "standalone": lambda _, message, __: (
        message.standalone if message.HasField("standalone") else True
    ),
    "hold_policy": _hold_policy,
    "metadata": _metadata,
    "active": lambda _, message, __: message.active if message.HasField("active") else True,
    "schedule_id": lambda check, message, path: check.optional_identifier(
        path, message.schedule_id
    ),
}
