"""``holdfast rebuild``: writes a stored day anew from its bookings."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import click

from holdfast.availability.v1.availability_pb2 import RebuildDayRequest
from shared.client.cli import param, text
from shared.client.cli.command import Command
from shared.client.cli.day import day_record, draw_day
from shared.client.cli.session import Session, with_session
from shared.client.cli.upcoming import NOT_AGREED, ask, refuse_without_terminal
from shared.client.client import new_request_id
from shared.client.value import to_date


@click.command(cls=Command, examples=["holdfast rebuild studio-a 2027-03-09 --yes"])
@click.argument("resource_id", metavar="RESOURCE")
@click.argument("day", metavar="DATE", type=param.DATE)
@param.yes_option
@param.request_id_option
@with_session
async def rebuild(
    session: Session,
    resource_id: str,
    day: date,
    yes: bool,  # noqa: FBT001  # click's way to hand a flag over
    request_id: UUID | None,
) -> int | None:
    """Write one UTC date of a resource anew from its bookings; asks first.

    For a day that verify names. Bookings stay as they are. A difference is a bug: keep what
    verify printed, for whoever looks for it.
    """
    if not yes:
        refuse_without_terminal("rebuild")
        question = f"Write {resource_id}, {text.day(day)} (UTC) anew from its bookings?"
        if not ask(session, question):
            return NOT_AGREED
    answer = await session.client.call(
        session.client.availability.RebuildDay,
        RebuildDayRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            resource_id=resource_id,
            date=to_date(day),
        ),
    )
    if session.output.is_json:
        session.output.json(day_record(answer.day))
    else:
        draw_day(session.output, answer.day)
    return None
