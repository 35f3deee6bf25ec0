"""``holdfast find``: which resources are free, and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import click

from holdfast.availability.v1.availability_pb2 import (
    FindAvailabilityRequest,
    FindAvailabilityResponse,
    InventoryItem,
)
from holdfast.common.v1.time_pb2 import Interval
from shared.client.cli import param, text
from shared.client.cli.choice import instant_of
from shared.client.cli.clock import clock_of
from shared.client.cli.command import Command
from shared.client.cli.offer import find_offer
from shared.client.cli.output import Column
from shared.client.cli.parse import Item
from shared.client.cli.record import Json, record
from shared.client.cli.resource import TYPES
from shared.client.cli.session import Session, with_session
from shared.client.value import from_timestamp, to_duration, to_timestamp

_WINDOW: Final = timedelta(days=7)


class Found(NamedTuple):
    """A start of a resource that is free, by the clock shown."""

    resource_id: str
    start: datetime
    end: datetime
    units_free: int


@click.command(
    cls=Command,
    examples=[
        "holdfast find --event-type session --duration 2h",
        "holdfast find --type room --duration 2h --from 2027-03-15 --until 2027-03-22",
        "holdfast find --event-type session --duration 60 --with microphone:3 --limit 1 -o json",
    ],
)
@click.option(
    "--event-type", "event_type_id", metavar="ID", default="",
    help="Those that it books, by its rules. Without it: by inventory alone, whatever the hours.",
)  # fmt: skip
@click.option(
    "--type", "resource_type", type=click.Choice(tuple(TYPES)),
    help="Only this type of resource. Needed without --event-type.",
)  # fmt: skip
@param.duration_option
@click.option("--from", "first", type=param.WHEN, help="The first start.  [default: now]")
@click.option("--until", type=param.WHEN, help="Starts before it.  [default: 7 days later]")
@param.units_option("How many units of the resource.  [default: 1]")
@param.with_option("What must be free with it, at the same time; repeatable.")
@click.option(
    "--limit", metavar="N", type=click.IntRange(min=1, max=1000), default=50, show_default=True,
    help="At most so many resources; 1,000 are the most.",
)  # fmt: skip
@click.option(
    "--starts", metavar="N", type=click.IntRange(min=1, max=500), default=3, show_default=True,
    help="At most so many starts of each.",
)  # fmt: skip
@param.zone_option("The clock of dates and times.  [default: the default schedule's]")
@with_session
async def find(
    session: Session,
    event_type_id: str,
    resource_type: str | None,
    duration: timedelta | None,
    first: date | None,
    until: date | None,
    units: int,
    others: tuple[Item, ...],
    limit: int,
    starts: int,
    time_zone: ZoneInfo | None,
) -> None:
    """Find resources that are free, and their first starts."""
    length = await _length(session, event_type_id, resource_type, duration)
    zone = time_zone or await clock_of(session.client, "")
    session.invocation.shown_zone = zone.key
    since = instant_of(session.output, first, zone) if first else session.invocation.now()
    last = instant_of(session.output, until, zone) if until else since + _WINDOW
    answer = await session.client.call(
        session.client.availability.FindAvailability,
        FindAvailabilityRequest(
            organization_id=session.organization,
            event_type_id=event_type_id,
            resource_type=resource_type or "",
            duration=to_duration(length),
            window=Interval(start_time=to_timestamp(since), end_time=to_timestamp(last)),
            units=units,
            with_items=[InventoryItem(resource_id=each.resource_id, units=each.units)
                        for each in others],
            limit=limit,
            starts_per_resource=starts,
        ),
    )  # fmt: skip
    if session.output.is_json:
        session.output.json(_as_json(event_type_id, length, answer))
        return
    about = f"{text.length(length)} from {text.moment(since, zone)} to {text.moment(last, zone)}"
    session.output.table(
        _COLUMNS, rows(answer, length, zone), empty=f"No free resource: {about} ({zone.key})"
    )
    more = answer.resource_count - len(answer.resources)
    if more > 0:
        session.output.note(f"{text.count(more, 'more resource')} would do: raise --limit")


def rows(answer: FindAvailabilityResponse, length: timedelta, zone: ZoneInfo) -> list[Found]:
    """Returns a row for each start, in the order of the answer."""
    return [
        Found(
            each.resource_id,
            from_timestamp(slot.start_time).astimezone(zone),
            (from_timestamp(slot.start_time) + length).astimezone(zone),
            slot.units_free,
        )
        for each in answer.resources
        for slot in each.slots
    ]


async def _length(
    session: Session, event_type_id: str, resource_type: str | None, duration: timedelta | None
) -> timedelta:
    """How long: as asked for, else the event type's only length.

    Raises:
        click.UsageError: Too little was said.
    """
    if not event_type_id and not resource_type:
        raise click.UsageError("name an --event-type, or a --type of resource")
    if event_type_id:
        return (await find_offer(session, "", event_type_id, duration)).duration
    if duration is None:
        raise click.UsageError("--duration is needed without --event-type")
    return duration


def _as_json(
    event_type_id: str, length: timedelta, answer: FindAvailabilityResponse
) -> dict[str, Json]:
    return {
        "event_type_id": event_type_id,
        "duration_minutes": length // timedelta(minutes=1),
        **record(answer),
    }


def _reading(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M%z}"


_COLUMNS: Final[Sequence[Column[Found]]] = (
    Column[Found]("RESOURCE", lambda found: found.resource_id),
    Column[Found]("START", lambda found: _reading(found.start)),
    Column[Found]("END", lambda found: _reading(found.end)),
    Column[Found]("UNITS FREE", lambda found: str(found.units_free)),
)
