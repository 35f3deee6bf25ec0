"""``holdfast day``: the stored bitmap of one UTC day, drawn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

import click

from holdfast.availability.v1.availability_pb2 import Day, GetDaysRequest
from shared.client.cli import param, text
from shared.client.cli.command import Command
from shared.client.cli.output import Output, Styled
from shared.client.cli.session import Session, with_session
from shared.client.value import from_date, to_date
from shared.slots.quantum import QUANTA_PER_DAY

_QUANTA_PER_HOUR: Final = 4
_HOURS_PER_ROW: Final = 12


@click.command(cls=Command, examples=["holdfast day studio-a 2027-03-09"])
@click.argument("resource_id", metavar="RESOURCE")
@click.argument("day", metavar="DATE", type=param.DATE)
@with_session
async def day(session: Session, resource_id: str, day: date) -> None:
    """Draw the quarter hours of one UTC date as they are stored.

    Unlike month and slots, this speaks of UTC and knows no opening hours: only what is taken.
    """
    answer = await session.client.call(
        session.client.availability.GetDays,
        GetDaysRequest(
            organization_id=session.organization,
            resource_ids=[resource_id],
            first_date=to_date(day),
            last_date=to_date(day),
        ),
    )
    found = answer.days[0]
    bits = "".join(f"{byte:08b}" for byte in found.busy)
    if session.output.is_json:
        session.output.json(
            {
                "resource_id": found.resource_id,
                "date": from_date(found.date).isoformat(),
                "version": found.version,
                "busy_bits": bits,
                "busy_quanta": list(taken_quanta(bits)),
            }
        )
    else:
        _draw(session.output, found, bits)


def taken_quanta(bits: str) -> list[int]:
    """Returns the indexes of the quarter hours that are taken."""
    return [index for index, bit in enumerate(bits) if bit == "1"]


def hour_groups(bits: str) -> Iterator[tuple[int, str]]:
    """Yields each hour with the bits of its quarter hours."""
    for first in range(0, QUANTA_PER_DAY, _QUANTA_PER_HOUR):
        yield first // _QUANTA_PER_HOUR, bits[first : first + _QUANTA_PER_HOUR]


def _draw(output: Output, found: Day, bits: str) -> None:
    taken = taken_quanta(bits)
    full, free, bar = output.glyph("█", "#"), output.glyph("·", "."), output.glyph("│", "|")
    output.line(
        Styled(f"{found.resource_id}, {text.day(from_date(found.date))}, UTC", "bold"),
        f"   {text.count(len(taken), 'quarter hour')} of {QUANTA_PER_DAY} taken,"
        f" version {found.version}",
    )
    groups = list(hour_groups(bits))
    for first in range(0, len(groups), _HOURS_PER_ROW):
        row = groups[first : first + _HOURS_PER_ROW]
        output.line()
        output.line(Styled("".join(f" {hour:02d}  " for hour, _ in row), "dim"))
        parts: list[Styled] = []
        for _, quarters in row:
            parts.append(Styled(bar, "dim"))
            parts += [Styled(full, "red") if q == "1" else Styled(free, "dim") for q in quarters]
        output.line(*parts, Styled(bar, "dim"))
    output.line()
    output.line(Styled(f" {full}", "red"), " taken", Styled(f"   {free}", "dim"), " free",
                "   each a quarter hour")  # fmt: skip
    if taken:
        output.line(f" taken: {text.quanta(taken)}")
