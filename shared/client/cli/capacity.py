"""``holdfast capacity``: how many units a pool has."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import click

from holdfast.availability.v1.availability_pb2 import (
    Capacity,
    GetCapacityRequest,
    SetCapacityRequest,
)
from shared.client.cli import param, text
from shared.client.cli.command import Command
from shared.client.cli.record import record
from shared.client.cli.session import Session, with_session
from shared.client.client import new_request_id

_MOST_UNITS: Final = 10_000


@click.command(
    cls=Command,
    examples=["holdfast capacity microphone", "holdfast capacity microphone 8 -o json"],
)
@click.argument("resource_id", metavar="RESOURCE")
@click.argument(
    "units", metavar="[UNITS]", type=click.IntRange(min=1, max=_MOST_UNITS), required=False
)
@param.request_id_option
@with_session
async def capacity(
    session: Session, resource_id: str, units: int | None, request_id: UUID | None
) -> None:
    """Tell how many units a resource has, or set how many a pool has.

    Fewer than are taken in some quarter hour that is not over are refused, with the dates.
    """
    found = await _read(session, resource_id) if units is None else await _set(
        session, resource_id, units, request_id
    )  # fmt: skip
    if session.output.is_json:
        session.output.json(record(found))
    else:
        session.output.line(f"{found.resource_id} has {text.count(found.units, 'unit')}.")


async def _read(session: Session, resource_id: str) -> Capacity:
    answer = await session.client.call(
        session.client.availability.GetCapacity,
        GetCapacityRequest(organization_id=session.organization, resource_id=resource_id),
    )
    return answer.capacity


async def _set(session: Session, resource_id: str, units: int, request_id: UUID | None) -> Capacity:
    answer = await session.client.call(
        session.client.availability.SetCapacity,
        SetCapacityRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            resource_id=resource_id,
            units=units,
        ),
    )
    return answer.capacity
