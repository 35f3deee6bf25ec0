"""``holdfast event-types``: for how long, and by which rules."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import click
from google.protobuf.field_mask_pb2 import FieldMask

from holdfast.catalog.v1 import event_type_pb2 as pb
from shared.client.cli import param, text
from shared.client.cli.command import Group
from shared.client.cli.event_type_field import FIELDS
from shared.client.cli.field import fields_options, fill, require_changes
from shared.client.cli.offer import lengths_on_offer
from shared.client.cli.output import Column, Output
from shared.client.cli.record import enum_word, record
from shared.client.cli.session import Session, with_session
from shared.client.cli.upcoming import NOT_AGREED, may_deactivate, may_delete
from shared.client.client import new_request_id


@click.group(cls=Group)
def event_types() -> None:
    """What is booked: lengths, buffers, notice and other rules."""


@event_types.command(
    "list", examples=["holdfast event-types list", "holdfast event-types list --text rental"]
)
@click.option("--active/--inactive", default=None, help="Only these.")
@click.option("--text", "wanted", default="", help="Only those that contain it.")
@click.option("--deleted", is_flag=True, help="Deleted ones too.")
@param.limit_option
@with_session
async def list_event_types(
    session: Session,
    active: bool | None,  # noqa: FBT001  # click's way to hand a flag over
    wanted: str,
    deleted: bool,  # noqa: FBT001
    limit: int | None,
) -> None:
    """List event types."""
    client = session.client
    request = pb.ListEventTypesRequest(
        organization_id=session.organization, active=active, text=wanted, show_deleted=deleted
    )
    pages = client.rows(
        client.catalog.ListEventTypes, request, lambda page: page.event_types, limit=limit
    )
    found = await session.collect(pages)
    if session.output.is_json:
        session.output.json([record(event_type) for event_type in found])
    else:
        session.output.table(_COLUMNS, found, empty="No event types.")


@event_types.command("show", examples=["holdfast event-types show session"])
@click.argument("event_type_id", metavar="EVENT_TYPE")
@with_session
async def show_event_type(session: Session, event_type_id: str) -> None:
    """Show one event type, deleted ones too."""
    answer = await session.client.call(
        session.client.catalog.GetEventType,
        pb.GetEventTypeRequest(organization_id=session.organization, event_type_id=event_type_id),
    )
    _show(session.output, answer.event_type)


@event_types.command(
    "create",
    examples=[
        "holdfast event-types create rehearsal --title Rehearsal --duration 90m --duration 3h",
        "holdfast event-types create viewing --title Viewing --flexible 15m-1h/15m --notice 2h",
    ],
)
@click.argument("event_type_id", metavar="[EVENT_TYPE]", default="")
@fields_options(FIELDS, required=("title",))
@param.request_id_option
@with_session
async def create_event_type(
    session: Session, /, event_type_id: str, request_id: UUID | None, **given: Any
) -> None:
    """Create an event type; link lets it book resources."""
    event_type = pb.EventType(event_type_id=event_type_id)
    fill(event_type, FIELDS, given)
    answer = await session.client.call(
        session.client.catalog.CreateEventType,
        pb.CreateEventTypeRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            event_type=event_type,
        ),
    )
    _show(session.output, answer.event_type)


@event_types.command(
    "update", examples=["holdfast event-types update rehearsal --buffer-after 15m --notice 1d"]
)
@click.argument("event_type_id", metavar="EVENT_TYPE")
@fields_options(FIELDS, can_clear=True)
@param.yes_option
@param.etag_option
@param.request_id_option
@with_session
async def update_event_type(
    session: Session,
    /,
    event_type_id: str,
    yes: bool,  # noqa: FBT001
    etag: str,
    request_id: UUID | None,
    **given: Any,
) -> int | None:
    """Change what is named; the rest stays. Lengths are replaced as a whole.

    Asks before it switches it off.
    """
    event_type = pb.EventType(event_type_id=event_type_id, etag=etag)
    mask = fill(event_type, FIELDS, given)
    require_changes(mask)
    if (
        given["active"] is False
        and not yes
        and not await may_deactivate(
            session, "event type", event_type_id, event_type_id=event_type_id
        )
    ):
        return NOT_AGREED
    answer = await session.client.call(
        session.client.catalog.UpdateEventType,
        pb.UpdateEventTypeRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            event_type=event_type,
            update_mask=mask,
        ),
    )
    _show(session.output, answer.event_type)
    return None


@event_types.command("deactivate", examples=["holdfast event-types deactivate rehearsal --yes"])
@click.argument("event_type_id", metavar="EVENT_TYPE")
@param.yes_option
@param.etag_option
@param.request_id_option
@with_session
async def deactivate_event_type(
    session: Session,
    event_type_id: str,
    yes: bool,  # noqa: FBT001
    etag: str,
    request_id: UUID | None,
) -> int | None:
    """Let nobody book it any more; shows upcoming bookings and who holds it, and asks first."""
    if not yes and not await may_deactivate(
        session, "event type", event_type_id, event_type_id=event_type_id
    ):
        return NOT_AGREED
    await _switch(
        session, pb.EventType(event_type_id=event_type_id, active=False, etag=etag), request_id
    )
    return None


@event_types.command("activate", examples=["holdfast event-types activate rehearsal"])
@click.argument("event_type_id", metavar="EVENT_TYPE")
@param.etag_option
@param.request_id_option
@with_session
async def activate_event_type(
    session: Session, event_type_id: str, etag: str, request_id: UUID | None
) -> None:
    """Let it be booked again."""
    await _switch(
        session, pb.EventType(event_type_id=event_type_id, active=True, etag=etag), request_id
    )


@event_types.command("delete", examples=["holdfast event-types delete rehearsal --yes"])
@click.argument("event_type_id", metavar="EVENT_TYPE")
@param.yes_option
@param.etag_option
@param.request_id_option
@with_session
async def delete_event_type(
    session: Session,
    event_type_id: str,
    yes: bool,  # noqa: FBT001
    etag: str,
    request_id: UUID | None,
) -> int | None:
    """Take an event type out of use; shows upcoming bookings and who holds it, and asks first."""
    if not yes and not await may_delete(
        session, "event type", event_type_id, event_type_id=event_type_id
    ):
        return NOT_AGREED
    answer = await session.client.call(
        session.client.catalog.DeleteEventType,
        pb.DeleteEventTypeRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            event_type_id=event_type_id,
            etag=etag,
        ),
    )
    _show(session.output, answer.event_type)
    return None


@event_types.command("undelete", examples=["holdfast event-types undelete rehearsal"])
@click.argument("event_type_id", metavar="EVENT_TYPE")
@param.request_id_option
@with_session
async def undelete_event_type(
    session: Session, event_type_id: str, request_id: UUID | None
) -> None:
    """Restore a deleted event type with its links."""
    answer = await session.client.call(
        session.client.catalog.UndeleteEventType,
        pb.UndeleteEventTypeRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            event_type_id=event_type_id,
        ),
    )
    _show(session.output, answer.event_type)


async def _switch(session: Session, event_type: pb.EventType, request_id: UUID | None) -> None:
    answer = await session.client.call(
        session.client.catalog.UpdateEventType,
        pb.UpdateEventTypeRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            event_type=event_type,
            update_mask=FieldMask(paths=["active"]),
        ),
    )
    _show(session.output, answer.event_type)


def _show(output: Output, event_type: pb.EventType) -> None:
    if output.is_json:
        output.json(record(event_type))
        return
    policy = enum_word(pb.ClosedHoursPolicy.DESCRIPTOR, event_type.closed_hours_policy)
    output.facts(
        [
            ("Event type", event_type.event_type_id),
            ("Title", event_type.title),
            ("Slug", event_type.slug),
            ("State", _state(event_type)),
            ("Lengths", lengths_on_offer(event_type)),
            ("Starts every", _length(event_type, "slot_interval")),
            ("Schedule", event_type.schedule_id or "the resource's"),
            ("Buffer before", _length(event_type, "buffer_before")),
            ("Buffer after", _length(event_type, "buffer_after")),
            ("Notice", _length(event_type, "minimum_notice")),
            ("Horizon", _length(event_type, "horizon")),
            ("Closed hours", "may lie inside" if policy == "open_at_ends" else ""),
            ("Confirmation", "needed" if event_type.requires_confirmation else ""),
            ("Locations", ", ".join(event_type.locations)),
            ("Zone lock", event_type.time_zone_lock),
            ("Description", event_type.description),
            ("Etag", event_type.etag),
        ]
    )


def _length(event_type: pb.EventType, path: str) -> str:
    """Writes a length; nothing for one that is absent or zero."""
    value = getattr(event_type, path).ToTimedelta()
    return text.length(value) if value else ""


def _state(event_type: pb.EventType) -> str:
    if event_type.HasField("delete_time"):
        return "deleted"
    return "active" if event_type.active else "inactive"


_COLUMNS: Final = (
    Column[pb.EventType]("ID", lambda e: e.event_type_id),
    Column[pb.EventType]("TITLE", lambda e: e.title),
    Column[pb.EventType]("LENGTHS", lengths_on_offer),
    Column[pb.EventType]("SCHEDULE", lambda e: e.schedule_id or "(resource's)"),
    Column[pb.EventType]("STATE", _state),
)
