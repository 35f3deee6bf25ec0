"""``holdfast link`` and ``holdfast unlink``: which event types book which resources."""

from __future__ import annotations

from uuid import UUID

import click

from holdfast.catalog.v1.link_pb2 import LinkRequest, UnlinkRequest
from shared.client.cli import param
from shared.client.cli.command import Command
from shared.client.cli.session import Session, with_session
from shared.client.client import new_request_id


@click.command(cls=Command, examples=["holdfast link studio-c rehearsal"])
@click.argument("resource_id", metavar="RESOURCE")
@click.argument("event_type_id", metavar="EVENT_TYPE")
@param.request_id_option
@with_session
async def link(
    session: Session, resource_id: str, event_type_id: str, request_id: UUID | None
) -> None:
    """Let an event type book a resource; no change when it does already."""
    await session.client.call(
        session.client.catalog.Link,
        LinkRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            resource_id=resource_id,
            event_type_id=event_type_id,
        ),
    )
    _say(session, resource_id, event_type_id, linked=True)


@click.command(cls=Command, examples=["holdfast unlink studio-c rehearsal"])
@click.argument("resource_id", metavar="RESOURCE")
@click.argument("event_type_id", metavar="EVENT_TYPE")
@param.request_id_option
@with_session
async def unlink(
    session: Session, resource_id: str, event_type_id: str, request_id: UUID | None
) -> None:
    """End that an event type books a resource; bookings stay."""
    await session.client.call(
        session.client.catalog.Unlink,
        UnlinkRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            resource_id=resource_id,
            event_type_id=event_type_id,
        ),
    )
    _say(session, resource_id, event_type_id, linked=False)


def _say(session: Session, resource_id: str, event_type_id: str, *, linked: bool) -> None:
    if session.output.is_json:
        session.output.json(
            {"resource_id": resource_id, "event_type_id": event_type_id, "linked": linked}
        )
    else:
        fact = "books" if linked else "no longer books"
        session.output.line(f"{event_type_id} {fact} {resource_id}.")
