"""The start that is to be held, as it is on offer; or why it is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import grpc

from holdfast.availability.v1.availability_pb2 import (
    Day,
    GetCapacityRequest,
    GetDaySlotsRequest,
    GetDaysRequest,
    Slot,
)
from shared.client.cli import text
from shared.client.cli.choice import START_NOT_FREE, Choice
from shared.client.cli.day import bits_of
from shared.client.cli.holding import utc_dates
from shared.client.cli.session import Session
from shared.client.failure import HoldfastError
from shared.client.value import from_date, from_timestamp, to_date, to_duration
from shared.slots.quantum import QUANTA_PER_DAY, OffGrid, Span, covering, day_number, number


async def free_start(session: Session, choice: Choice, units: int) -> Slot:
    """Returns the start as it is on offer.

    Raises:
        HoldfastError: It is not.
    """
    try:
        number(choice.start)
    except OffGrid as error:
        words = str(OffGrid(choice.start.astimezone(choice.zone)))
        raise HoldfastError(grpc.StatusCode.INVALID_ARGUMENT, "OFF_GRID", words) from error
    require_active(choice)
    answer = await session.client.call(
        session.client.availability.GetDaySlots,
        GetDaySlotsRequest(
            organization_id=session.organization,
            resource_id=choice.resource_id,
            event_type_id=choice.offer.event_type_id,
            date=to_date(choice.start.astimezone(choice.zone).date()),
            duration=to_duration(choice.offer.duration),
            time_zone=choice.zone.key,
            units=units,
        ),
    )
    for slot in answer.slots:
        if from_timestamp(slot.start_time) == choice.start:
            return slot
    missing = await _missing(session, choice, max(units, 1))
    choice.advise(missing, session.invocation.program, units={choice.resource_id: units})
    raise missing


def require_active(choice: Choice) -> None:
    """Refuses what is switched off, as booking it would be refused.

    Raises:
        HoldfastError: It is.
    """
    offering = choice.offering
    named = (
        ("resource", "resource", choice.resource_id, offering.resource.active),
        ("event type", "event_type", choice.offer.event_type_id, offering.event_type.active),
    )
    for word, kind, key, is_active in named:
        if not is_active:
            raise HoldfastError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "INACTIVE",
                f"the {word} {key} is not active",
                metadata={"kind": kind, "id": key},
                service="catalog",
            )


async def _missing(session: Session, choice: Choice, units: int) -> HoldfastError:
    """Returns why there is no such start: its time is taken, or no booking may begin then."""
    code = grpc.StatusCode.FAILED_PRECONDITION
    taken = await _taken(session, choice, units)
    if taken:
        return HoldfastError(
            code,
            "SLOT_UNAVAILABLE",
            f"some of this time of resource {choice.resource_id} is taken",
            metadata={"resource_id": choice.resource_id}
            | {f"quanta.{day}": ",".join(map(str, indexes)) for day, indexes in taken.items()},
            service="availability",
        )
    return HoldfastError(
        code,
        START_NOT_FREE,
        f"{choice.resource_id} has no free start at {text.moment(choice.start, choice.zone)}"
        f" ({choice.zone.key}) for {text.length(choice.offer.duration)}"
        + (f" with {units} units" if units > 1 else ""),
        service="availability",
    )


async def _taken(session: Session, choice: Choice, units: int) -> dict[date, list[int]]:
    """Returns by UTC date the quarter hours, buffers included, of which too little is left."""
    start, end = _occupancy(choice)
    dates = utc_dates(start, end)
    client, wanted = session.client, covering(start, end)
    days = await client.call(
        client.availability.GetDays,
        GetDaysRequest(
            organization_id=session.organization,
            resource_ids=[choice.resource_id],
            first_date=to_date(dates[0]),
            last_date=to_date(dates[-1]),
        ),
    )
    capacity = await client.call(
        client.availability.GetCapacity,
        GetCapacityRequest(organization_id=session.organization, resource_id=choice.resource_id),
    )
    room = capacity.capacity.units - units
    found = {from_date(day.date): list(_full(day, wanted, room)) for day in days.days}
    return {day: indexes for day, indexes in sorted(found.items()) if indexes}


def _full(day: Day, wanted: Span, room: int) -> Iterator[int]:
    base, bits = day_number(from_date(day.date)) * QUANTA_PER_DAY, bits_of(day)
    for index in range(max(wanted.first - base, 0), min(wanted.stop - base, QUANTA_PER_DAY)):
        units_taken = day.units_taken[index] if day.units_taken else 0
        if bits[index] == "1" or units_taken > max(room, 0):
            yield index


def _occupancy(choice: Choice) -> tuple[datetime, datetime]:
    rules = choice.offering.event_type
    start = choice.start - rules.buffer_before.ToTimedelta()
    end = choice.start + choice.offer.duration + rules.buffer_after.ToTimedelta()
    return start.astimezone(UTC), end.astimezone(UTC)
