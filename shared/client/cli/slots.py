"""``holdfast slots``: the free starts of one day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import click

from holdfast.availability.v1.availability_pb2 import GetDaySlotsRequest, GetDaySlotsResponse
from shared.client.cli import param, text
from shared.client.cli.command import Command
from shared.client.cli.offer import Offer, find_offer
from shared.client.cli.output import Column, Output, Styled
from shared.client.cli.record import Json, record
from shared.client.cli.session import Session, with_session
from shared.client.value import from_timestamp, to_date, to_duration

_GAP: Final = 3


class Start(NamedTuple):
    """A start that is free, by the clock of the zone in which the day was read."""

    start: datetime
    end: datetime
    taken_from: datetime
    taken_until: datetime
    units_free: int = 1


@click.command(
    cls=Command,
    examples=[
        "holdfast slots studio-a 2027-03-09 --duration 300",
        "holdfast slots studio-b 2027-03-09 --duration 2h --time-zone America/New_York",
        "holdfast slots microphone 2027-03-09 --duration 60 --units 3",
        "holdfast slots keyboard-fp88 2027-03-09 --duration 1d -o json",
    ],
)
@click.argument("resource_id", metavar="RESOURCE")
@click.argument("day", metavar="DATE", type=param.DATE)
@param.duration_option
@param.event_type_option
@param.units_option()
@param.moving_option
@param.zone_option("Whose day, and the clock shown.  [default: the schedule's zone]")
@with_session
async def slots(
    session: Session,
    resource_id: str,
    day: date,
    duration: timedelta | None,
    event_type_id: str | None,
    units: int,
    moving: str,
    time_zone: ZoneInfo | None,
) -> None:
    """List the free starts of one day."""
    offer = await find_offer(session, resource_id, event_type_id, duration)
    answer = await session.client.call(
        session.client.availability.GetDaySlots,
        GetDaySlotsRequest(
            organization_id=session.organization,
            resource_id=resource_id,
            event_type_id=offer.event_type_id,
            date=to_date(day),
            duration=to_duration(offer.duration),
            time_zone=time_zone.key if time_zone else "",
            units=units,
            exclude_booking_id=moving,
        ),
    )
    if session.output.is_json:
        session.output.json(_as_json(resource_id, day, offer, answer))
    else:
        _show(session.output, resource_id, day, offer, answer)


def _as_json(
    resource_id: str, day: date, offer: Offer, answer: GetDaySlotsResponse
) -> dict[str, Json]:
    found = record(answer)
    rows: list[Json] = [
        record(slot) | {"end_time": text.iso(from_timestamp(slot.start_time) + offer.duration)}
        for slot in answer.slots
    ]
    return {
        "resource_id": resource_id,
        "event_type_id": offer.event_type_id,
        "date": day.isoformat(),
        "duration_minutes": offer.duration // timedelta(minutes=1),
        **found,
        "slots": rows,
    }


def _show(
    output: Output, resource_id: str, day: date, offer: Offer, answer: GetDaySlotsResponse
) -> None:
    about = (
        f"{resource_id}, {text.day(day)}, {text.length(offer.duration)} under"
        f" {offer.event_type_id}, times of {answer.time_zone}"
    )
    starts = _starts(answer, offer.duration)
    if not starts:
        output.note(f"No free start: {about}")
    elif output.width is None:
        output.table(_COLUMNS, starts, empty="")
    else:
        output.line(Styled(about, "bold"))
        output.line()
        for line in flow([_label(start) for start in starts], output.width):
            output.line(Styled(line, "green"))
        if any(s.taken_from != s.start or s.taken_until != s.end for s in starts):
            output.line()
            output.line(Styled("Buffers before or after are kept free as well.", "dim"))


def _starts(answer: GetDaySlotsResponse, duration: timedelta) -> list[Start]:
    zone = param.zone_or_utc(answer.time_zone)
    return [
        Start(
            from_timestamp(slot.start_time).astimezone(zone),
            (from_timestamp(slot.start_time) + duration).astimezone(zone),
            from_timestamp(slot.occupancy_start_time).astimezone(zone),
            from_timestamp(slot.occupancy_end_time).astimezone(zone),
            slot.units_free,
        )
        for slot in answer.slots
    ]


def range_label(start: Start) -> str:
    """Writes ``10:00-11:00``, with the later day or the offsets where they differ."""
    first, last = start.start, start.end
    if first.date() != last.date():
        month = f" {text.MONTHS[last.month - 1]}" if first.month != last.month else ""
        day = f"{text.WEEKDAYS[last.weekday()]} {last.day}{month}"
        return f"{first:%H:%M} to {day}, {last:%H:%M}"
    if first.utcoffset() != last.utcoffset():
        return f"{first:%H:%M%z}-{last:%H:%M%z}"
    return f"{first:%H:%M}-{last:%H:%M}"


def _label(start: Start) -> str:
    """With the units that are free, where there are several."""
    count = f" x {start.units_free}" if start.units_free > 1 else ""
    return range_label(start) + count


def flow(cells: Sequence[str], width: int) -> list[str]:
    """Sets cells side by side, read line by line, as many as fit."""
    cell_width = max(map(len, cells)) + _GAP
    per_line = max((width + _GAP) // cell_width, 1)
    return [
        "".join(f"{cell:<{cell_width}}" for cell in cells[first : first + per_line]).rstrip()
        for first in range(0, len(cells), per_line)
    ]


def _reading(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M%z}"


_COLUMNS: Final = (
    Column[Start]("START", lambda start: _reading(start.start)),
    Column[Start]("END", lambda start: _reading(start.end)),
    Column[Start]("TAKEN FROM", lambda start: _reading(start.taken_from)),
    Column[Start]("TAKEN UNTIL", lambda start: _reading(start.taken_until)),
    Column[Start]("UNITS FREE", lambda start: str(start.units_free)),
)
