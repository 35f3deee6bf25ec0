"""``holdfast resources``: what can be booked."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import click
from google.protobuf.field_mask_pb2 import FieldMask

from holdfast.catalog.v1 import resource_pb2 as pb
from shared.client.cli import field, param, text
from shared.client.cli.command import Group
from shared.client.cli.field import Field, fields_options, fill, require_changes
from shared.client.cli.output import Column, Output
from shared.client.cli.record import enum_word, record
from shared.client.cli.session import Session, with_session
from shared.client.cli.upcoming import NOT_AGREED, may_deactivate, may_delete
from shared.client.client import new_request_id

TYPES: Final = {
    enum_word(pb.ResourceType.DESCRIPTOR, number): number
    for number in pb.ResourceType.values()
    if number
}
_POLICIES: Final = {
    enum_word(pb.HoldPolicy.DESCRIPTOR, number): number
    for number in pb.HoldPolicy.values()
    if number
}
_write_type, _type_choice = field.choice("type", TYPES)
_write_policy, _policy_choice = field.choice("hold_policy", _POLICIES)


def _write_labels(resource: pb.Resource, labels: tuple[tuple[str, str], ...]) -> None:
    resource.metadata.update(dict(labels))


_FIELDS: Final = (
    Field(("--name",), ("name",), field.plain("name"), {"help": "What people call it."}),
    Field(("--type", "kind"), ("type",), _write_type, {"type": _type_choice}),
    Field(
        ("--time-zone",), ("time_zone",), field.zone_name("time_zone"),
        {"type": param.ZONE, "help": "Its zone, such as Europe/Berlin."},
    ),
    Field(
        ("--description",), ("description",), field.plain("description"),
        {"help": "For people."}, is_clearable=True,
    ),
    Field(
        ("--schedule",), ("schedule_id",), field.plain("schedule_id"),
        {"metavar": "ID", "help": "Its opening hours.  [default: the organization's]"},
        is_clearable=True,
    ),
    Field(
        ("--standalone/--add-on",), ("standalone",), field.plain("standalone"),
        {"help": "Whether it can be booked alone.  [default: it can]"},
    ),
    Field(
        ("--hold-policy",), ("hold_policy",), _write_policy,
        {"type": _policy_choice, "help": "Whether holds exclude others.  [default: exclusive]"},
    ),
    Field(
        ("--label", "labels"), ("metadata",), _write_labels,
        {"type": param.LABEL, "multiple": True, "help": "A label of your own; repeatable."},
        is_clearable=True,
    ),
    Field(
        ("--active/--inactive",), ("active",), field.plain("active"),
        {"help": "Whether it can be booked.  [default: it can]"},
    ),
)  # fmt: skip


@click.group(cls=Group)
def resources() -> None:
    """Rooms, equipment, people and vehicles that can be booked."""


@resources.command(
    "list", examples=["holdfast resources list", "holdfast resources list --type equipment -o json"]
)
@click.option("--type", "kind", type=_type_choice, help="Only this type.")
@click.option("--active/--inactive", default=None, help="Only these.")
@click.option("--text", "wanted", default="", help="Only those that contain it.")
@click.option("--deleted", is_flag=True, help="Deleted ones too.")
@param.limit_option
@with_session
async def list_resources(
    session: Session,
    kind: str | None,
    active: bool | None,  # noqa: FBT001  # click's way to hand a flag over
    wanted: str,
    deleted: bool,  # noqa: FBT001
    limit: int | None,
) -> None:
    """List resources."""
    request = pb.ListResourcesRequest(
        organization_id=session.organization,
        text=wanted,
        show_deleted=deleted,
        active=active,
    )
    if kind:
        _write_type(request, kind)
    client = session.client
    pages = client.rows(
        client.catalog.ListResources, request, lambda page: page.resources, limit=limit
    )
    found = await session.collect(pages)
    if session.output.is_json:
        session.output.json([record(resource) for resource in found])
    else:
        session.output.table(_COLUMNS, found, empty="No resources.")


@resources.command("show", examples=["holdfast resources show studio-a"])
@click.argument("resource_id", metavar="RESOURCE")
@with_session
async def show_resource(session: Session, resource_id: str) -> None:
    """Show one resource, deleted ones too."""
    answer = await session.client.call(
        session.client.catalog.GetResource,
        pb.GetResourceRequest(organization_id=session.organization, resource_id=resource_id),
    )
    _show(session.output, answer.resource)


@resources.command(
    "create",
    examples=[
        "holdfast resources create studio-c --name StudioC --type room --time-zone Europe/Berlin"
    ],
)
@click.argument("resource_id", metavar="[RESOURCE]", default="")
@fields_options(_FIELDS, required=("name", "kind", "time_zone"))
@click.option("--pool", is_flag=True, help="It is many alike, counted. Fixed for ever.")
@param.request_id_option
@with_session
async def create_resource(
    session: Session,
    /,
    resource_id: str,
    pool: bool,  # noqa: FBT001
    request_id: UUID | None,
    **given: Any,
) -> None:
    """Create a resource; its id is generated when none is given."""
    resource = pb.Resource(resource_id=resource_id, pool=pool)
    fill(resource, _FIELDS, given)
    answer = await session.client.call(
        session.client.catalog.CreateResource,
        pb.CreateResourceRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            resource=resource,
        ),
    )
    _show(session.output, answer.resource)


@resources.command("update", examples=["holdfast resources update studio-b --description 'Small'"])
@click.argument("resource_id", metavar="RESOURCE")
@fields_options(_FIELDS, can_clear=True)
@param.yes_option
@param.etag_option
@param.request_id_option
@with_session
async def update_resource(
    session: Session,
    /,
    resource_id: str,
    yes: bool,  # noqa: FBT001
    etag: str,
    request_id: UUID | None,
    **given: Any,
) -> int | None:
    """Change what is named; the rest stays. Asks before it switches it off."""
    resource = pb.Resource(resource_id=resource_id, etag=etag)
    mask = fill(resource, _FIELDS, given)
    require_changes(mask)
    if (
        given["active"] is False
        and not yes
        and not await may_deactivate(session, "resource", resource_id, resource_id=resource_id)
    ):
        return NOT_AGREED
    answer = await session.client.call(
        session.client.catalog.UpdateResource,
        pb.UpdateResourceRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            resource=resource,
            update_mask=mask,
        ),
    )
    _show(session.output, answer.resource)
    return None


@resources.command("deactivate", examples=["holdfast resources deactivate studio-c --yes"])
@click.argument("resource_id", metavar="RESOURCE")
@param.yes_option
@param.etag_option
@param.request_id_option
@with_session
async def deactivate_resource(
    session: Session,
    resource_id: str,
    yes: bool,  # noqa: FBT001
    etag: str,
    request_id: UUID | None,
) -> int | None:
    """Let nobody book it any more; shows upcoming bookings and who holds it, and asks first."""
    if not yes and not await may_deactivate(
        session, "resource", resource_id, resource_id=resource_id
    ):
        return NOT_AGREED
    await _switch(
        session, pb.Resource(resource_id=resource_id, active=False, etag=etag), request_id
    )
    return None


@resources.command("activate", examples=["holdfast resources activate studio-c"])
@click.argument("resource_id", metavar="RESOURCE")
@param.etag_option
@param.request_id_option
@with_session
async def activate_resource(
    session: Session, resource_id: str, etag: str, request_id: UUID | None
) -> None:
    """Let it be booked again."""
    await _switch(session, pb.Resource(resource_id=resource_id, active=True, etag=etag), request_id)


@resources.command("delete", examples=["holdfast resources delete studio-c --yes"])
@click.argument("resource_id", metavar="RESOURCE")
@param.yes_option
@param.etag_option
@param.request_id_option
@with_session
async def delete_resource(
    session: Session,
    resource_id: str,
    yes: bool,  # noqa: FBT001
    etag: str,
    request_id: UUID | None,
) -> int | None:
    """Take a resource out of use; shows upcoming bookings and who holds it, and asks first."""
    if not yes and not await may_delete(session, "resource", resource_id, resource_id=resource_id):
        return NOT_AGREED
    answer = await session.client.call(
        session.client.catalog.DeleteResource,
        pb.DeleteResourceRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            resource_id=resource_id,
            etag=etag,
        ),
    )
    _show(session.output, answer.resource)
    return None


@resources.command("undelete", examples=["holdfast resources undelete studio-c"])
@click.argument("resource_id", metavar="RESOURCE")
@param.request_id_option
@with_session
async def undelete_resource(session: Session, resource_id: str, request_id: UUID | None) -> None:
    """Restore a deleted resource with its links."""
    answer = await session.client.call(
        session.client.catalog.UndeleteResource,
        pb.UndeleteResourceRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            resource_id=resource_id,
        ),
    )
    _show(session.output, answer.resource)


async def _switch(session: Session, resource: pb.Resource, request_id: UUID | None) -> None:
    answer = await session.client.call(
        session.client.catalog.UpdateResource,
        pb.UpdateResourceRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            resource=resource,
            update_mask=FieldMask(paths=["active"]),
        ),
    )
    _show(session.output, answer.resource)


def _show(output: Output, resource: pb.Resource) -> None:
    if output.is_json:
        output.json(record(resource))
        return
    policy = enum_word(pb.HoldPolicy.DESCRIPTOR, resource.hold_policy)
    output.facts(
        [
            ("Resource", resource.resource_id),
            ("Name", resource.name),
            ("Type", enum_word(pb.ResourceType.DESCRIPTOR, resource.type)),
            ("State", _state(resource)),
            ("Zone", resource.time_zone),
            ("Schedule", resource.schedule_id or "the organization's default"),
            ("Holds", policy),
            ("Labels", text.labels(resource.metadata)),
            ("Description", resource.description),
            ("Etag", resource.etag),
        ]
    )


def _state(resource: pb.Resource) -> str:
    """The state and what is out of the ordinary."""
    state = "deleted" if resource.HasField("delete_time") else "active"
    if state == "active" and not resource.active:
        state = "inactive"
    kinds = ["pool" if resource.pool else "", "" if resource.standalone else "add-on"]
    return ", ".join(word for word in (state, *kinds) if word)


_COLUMNS: Final = (
    Column[pb.Resource]("ID", lambda r: r.resource_id),
    Column[pb.Resource]("NAME", lambda r: r.name),
    Column[pb.Resource]("TYPE", lambda r: enum_word(pb.ResourceType.DESCRIPTOR, r.type)),
    Column[pb.Resource]("SCHEDULE", lambda r: r.schedule_id or "(default)"),
    Column[pb.Resource]("ZONE", lambda r: r.time_zone),
    Column[pb.Resource]("STATE", _state),
)
