"""``holdfast day``: the stored bitmap of one UTC day, drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import click

from holdfast.availability.v1.availability_pb2 import Day, GetDaysRequest
from shared.client.cli import param, text
from shared.client.cli.command import Command
from shared.client.cli.output import Output, Styled
from shared.client.cli.record import Json
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
    if session.output.is_json:
        session.output.json(day_record(answer.days[0]))
    else:
        draw_day(session.output, answer.days[0])


def day_record(found: Day) -> dict[str, Json]:
    """Returns a day as the JSON that scripts may rely on."""
    bits = bits_of(found)
    return {
        "resource_id": found.resource_id,
        "date": from_date(found.date).isoformat(),
        "version": found.version,
        "busy_bits": bits,
        "busy_quanta": list(taken_quanta(bits)),
        "units_taken": list(found.units_taken),
    }


def bits_of(found: Day) -> str:
    """Returns the bitmap as a word of 96 letters, midnight first; 1 where no unit is left."""
    return "".join(f"{byte:08b}" for byte in found.busy)


def taken_quanta(bits: str) -> list[int]:
    """Returns the indexes of the quarter hours that are taken."""
    return [index for index, bit in enumerate(bits) if bit == "1"]


def hour_groups(bits: str) -> Iterator[tuple[int, str]]:
    """Yields each hour with the bits of its quarter hours."""
    for first in range(0, QUANTA_PER_DAY, _QUANTA_PER_HOUR):
        yield first // _QUANTA_PER_HOUR, bits[first : first + _QUANTA_PER_HOUR]


def draw_day(output: Output, found: Day) -> None:
    """Draws a day, a letter for each quarter hour; of a pool also which are taken in part."""
    bits = bits_of(found)
    taken = taken_quanta(bits)
    full, free, bar = output.glyph("█", "#"), output.glyph("·", "."), output.glyph("│", "|")
    some = output.glyph("▒", "+")
    output.line(
        Styled(f"{found.resource_id}, {text.day(from_date(found.date))}, UTC", "bold"),
        f"   {text.count(len(taken), 'quarter hour')} of {QUANTA_PER_DAY} taken,"
        f" version {found.version}",
    )
    looks = {"1": Styled(full, "red"), "0": Styled(free, "dim"), "+": Styled(some, "yellow")}
    groups = list(hour_groups(_letters(bits, found.units_taken)))
    for first in range(0, len(groups), _HOURS_PER_ROW):
        row = groups[first : first + _HOURS_PER_ROW]
        output.line()
        output.line(Styled("".join(f" {hour:02d}  " for hour, _ in row), "dim"))
        parts: list[Styled] = []
        for _, quarters in row:
            parts.append(Styled(bar, "dim"))
            parts += [looks[letter] for letter in quarters]
        output.line(*parts, Styled(bar, "dim"))
    output.line()
    legend: list[str | Styled] = [Styled(f" {full}", "red"), " taken"]
    if found.units_taken:
        legend += [Styled(f"   {some}", "yellow"), " taken in part"]
    legend += [Styled(f"   {free}", "dim"), " free", "   each a quarter hour"]
    output.line(*legend)
    if taken:
        output.line(f" taken: {text.quanta(taken)}")
    for line in unit_runs(found.units_taken):
        output.line(f" {line}")


def unit_runs(units_taken: Sequence[int]) -> Iterator[str]:
    """Yields how many units are taken, and when: ``3 units taken: 09:00-10:00``."""
    for units in sorted({*units_taken} - {0}, reverse=True):
        when = text.quanta([at for at, number in enumerate(units_taken) if number == units])
        yield f"{text.count(units, 'unit')} taken: {when}"


def _letters(bits: str, units_taken: Sequence[int]) -> str:
    """The bitmap with a plus where units are taken, and not all of them."""
    if not units_taken:
        return bits
    return "".join(
        "+" if bit == "0" and units else bit for bit, units in zip(bits, units_taken, strict=True)
    )
