"""``holdfast month``: a calendar with the free days marked."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import click

from holdfast.availability.v1.availability_pb2 import (
    GetMonthAvailabilityRequest,
    GetMonthAvailabilityResponse,
)
from shared.client.cli import param, text
from shared.client.cli.command import Command
from shared.client.cli.offer import Offer, find_offer
from shared.client.cli.output import Output, Styled
from shared.client.cli.record import record
from shared.client.cli.session import Session, with_session
from shared.client.value import from_date, to_date, to_duration

_CELL_WIDTH: Final = 6
_DAYS_PER_WEEK: Final = 7


@click.command(
    cls=Command,
    examples=[
        "holdfast month studio-a --duration 60",
        "holdfast month studio-a --duration 5h --month 2027-03",
        "holdfast month keyboard-fp88 --duration 2d --month 2027-03 --time-zone Asia/Tokyo",
    ],
)
@click.argument("resource_id", metavar="RESOURCE")
@param.duration_option
@click.option("--month", "first", type=param.MONTH, help="YYYY-MM.  [default: this month]")
@param.event_type_option
@param.units_option()
@param.moving_option
@param.zone_option("Whose days.  [default: the schedule's zone]")
@with_session
async def month(
    session: Session,
    resource_id: str,
    duration: timedelta | None,
    first: date | None,
    event_type_id: str | None,
    units: int,
    moving: str,
    time_zone: ZoneInfo | None,
) -> None:
    """Show which days of a month have a free start."""
    offer = await find_offer(session, resource_id, event_type_id, duration)
    first = first or session.invocation.now().date().replace(day=1)
    answer = await session.client.call(
        session.client.availability.GetMonthAvailability,
        GetMonthAvailabilityRequest(
            organization_id=session.organization,
            resource_id=resource_id,
            event_type_id=offer.event_type_id,
            first_date=to_date(first),
            last_date=to_date(first.replace(day=monthrange(first.year, first.month)[1])),
            duration=to_duration(offer.duration),
            time_zone=time_zone.key if time_zone else "",
            units=units,
            exclude_booking_id=moving,
        ),
    )
    if session.output.is_json:
        session.output.json(
            {
                "resource_id": resource_id,
                "event_type_id": offer.event_type_id,
                "duration_minutes": offer.duration // timedelta(minutes=1),
                **record(answer),
            }
        )
    else:
        _draw(session.output, resource_id, first, offer, answer)


def _draw(
    output: Output,
    resource_id: str,
    first: date,
    offer: Offer,
    answer: GetMonthAvailabilityResponse,
) -> None:
    free = {from_date(found.date): found.available for found in answer.dates}
    mark, none = output.glyph("●", "*"), output.glyph("·", ".")
    title = f"{text.MONTHS[first.month - 1]} {first.year}"
    output.line(Styled(f"{title:^{_CELL_WIDTH * _DAYS_PER_WEEK}}", "bold"))
    output.line(Styled("".join(f"{name:>4}  " for name in text.WEEKDAYS), "dim"))
    for week in weeks(first):
        output.line(*(_cell(day, free, mark, none) for day in week))
    output.line()
    output.line(Styled(f" {mark}", "bold green"), f" {text.length(offer.duration)} is free",
                Styled(f"   {none}", "dim"), " none")  # fmt: skip
    output.line(f" {resource_id} under {offer.event_type_id}, days of {answer.time_zone}")


def _cell(day: date | None, free: Mapping[date, bool], mark: str, none: str) -> Styled:
    if day is None:
        return Styled(" " * _CELL_WIDTH)
    if free.get(day):
        return Styled(f"{day.day:>3} {mark} ", "bold green")
    return Styled(f"{day.day:>3} {none} ", "dim")


def weeks(first: date) -> Iterator[list[date | None]]:
    """Yields the weeks of a month, Mondays first; None where a day is another month's."""
    _, count = monthrange(first.year, first.month)
    days: list[date | None] = [None] * first.weekday()
    days += [first.replace(day=number) for number in range(1, count + 1)]
    for start in range(0, len(days), _DAYS_PER_WEEK):
        yield days[start : start + _DAYS_PER_WEEK]
