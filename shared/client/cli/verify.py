"""``holdfast verify``: compares what is stored with the bookings."""

from __future__ import annotations

from typing import Final

import click

from holdfast.availability.v1.availability_pb2 import (
    InventoryDifference,
    VerifyInventoryRequest,
    VerifyInventoryResponse,
)
from shared.client.cli import text
from shared.client.cli.command import Command
from shared.client.cli.exit_code import ExitCode
from shared.client.cli.output import Column, Output, Styled
from shared.client.cli.record import record
from shared.client.cli.session import Session, with_session
from shared.client.value import from_date


@click.command(cls=Command, examples=["holdfast verify", "holdfast verify studio-a"])
@click.argument("resource_id", metavar="[RESOURCE]", default="")
@with_session
async def verify(session: Session, resource_id: str) -> int:
    """Compare each stored day with the bookings that occupy it, bit by bit and unit by unit.

    Ends with 1 when they differ.
    """
    answer = await session.client.call(
        session.client.availability.VerifyInventory,
        VerifyInventoryRequest(organization_id=session.organization, resource_id=resource_id),
    )
    if session.output.is_json:
        session.output.json(record(answer))
    else:
        _show(session.output, answer)
    return ExitCode.REFUSED if answer.difference_count else ExitCode.OK


def _show(output: Output, answer: VerifyInventoryResponse) -> None:
    checked = (
        f"{text.count(answer.days_checked, 'day')} and"
        f" {text.count(answer.bookings_checked, 'booking')} compared: "
    )
    if not answer.difference_count:
        output.line(checked, Styled("no difference", "bold green"))
        return
    output.table(_COLUMNS, list(answer.differences), empty="")
    more = answer.difference_count - len(answer.differences)
    if more:
        output.line(f"and {text.count(more, 'day')} more")
    difference = f"{text.count(answer.difference_count, 'day')} differ"
    output.line(checked, Styled(difference, "bold red"))


_COLUMNS: Final = (
    Column[InventoryDifference]("RESOURCE", lambda d: d.resource_id),
    Column[InventoryDifference]("DATE (UTC)", lambda d: from_date(d.date).isoformat()),
    Column[InventoryDifference]("NOT FULL, YET TAKEN", lambda d: text.quanta(d.surplus_quanta)),
    Column[InventoryDifference]("FULL, YET FREE", lambda d: text.quanta(d.missing_quanta)),
    Column[InventoryDifference]("BOOKED TOO OFTEN", lambda d: text.quanta(d.overlapping_quanta)),
    Column[InventoryDifference]("MISCOUNTED", lambda d: text.quanta(d.miscounted_quanta)),
)
