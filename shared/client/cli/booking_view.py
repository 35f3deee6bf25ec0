"""How bookings and blocks are shown: one with all its facts, several as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp

from holdfast.availability.v1.booking_event_pb2 import (
    BookingEvent,
    BookingEventKind,
    BookingState,
)
from holdfast.availability.v1.booking_pb2 import BOOKING_KIND_BLOCK, Booking, BookingItem
from shared.client.cli import param, text
from shared.client.cli.clock import clock_of
from shared.client.cli.output import Column, Output, Styled
from shared.client.cli.record import Json, enum_word, record
from shared.client.cli.session import Session
from shared.client.value import from_timestamp

STATES: Final = tuple(
    enum_word(BookingState.DESCRIPTOR, number) for number in BookingState.values() if number
)
_WIDE: Final = 100


async def show(
    session: Session,
    booking: Booking,
    wanted: ZoneInfo | None = None,
    history: Sequence[BookingEvent] | None = None,
) -> None:
    """Shows one booking or block, by the booker's clock unless another is wanted.

    Args:
        session: Where.
        booking: What.
        wanted: By whose clock instead.
        history: What happened to it, where that is shown too.
    """
    if session.output.is_json:
        events: list[Json] = [record(event) for event in history or ()]
        session.output.json(record(booking) | ({} if history is None else {"history": events}))
        return
    zone = await zone_of(session, booking, wanted)
    session.output.facts(_facts(booking, zone))
    if history:
        session.output.line()
        session.output.line(Styled("History", "bold"))
        session.output.table(history_columns(zone), history, empty="")


async def zone_of(session: Session, booking: Booking, wanted: ZoneInfo | None) -> ZoneInfo:
    """Returns the clock that is wanted, else the booker's, else the first resource's."""
    if wanted is not None:
        return wanted
    if booking.time_zone:
        return param.zone_or_utc(booking.time_zone)
    return await clock_of(session.client, booking.items[0].resource_id if booking.items else "")


def is_block(booking: Booking) -> bool:
    """Whether it is time out of use."""
    return booking.kind == BOOKING_KIND_BLOCK


def state_word(booking: Booking) -> str:
    """Writes the state."""
    return enum_word(BookingState.DESCRIPTOR, booking.state)


def event_word(event: BookingEvent) -> str:
    """Writes what happened."""
    return enum_word(BookingEventKind.DESCRIPTOR, event.kind)


def items(booking: Booking) -> str:
    """Writes what is booked as ``studio-a, mic x 3``."""
    return ", ".join(_item(item) for item in booking.items)


def length_of(booking: Booking) -> timedelta:
    """Returns how long it takes."""
    return from_timestamp(booking.end_time) - from_timestamp(booking.start_time)


def span_of(booking: Booking, zone: ZoneInfo) -> str:
    """Writes from when to when."""
    return text.span(from_timestamp(booking.start_time), from_timestamp(booking.end_time), zone)


def booking_columns(zone: ZoneInfo, *, with_state: bool) -> list[Column[Booking]]:
    """Returns the columns of a table of bookings."""
    columns = [
        _start(zone),
        # With the state beside it, it would be too much for eighty columns.
        Column[Booking]("LENGTH", _length, from_width=_WIDE if with_state else 0),
        Column[Booking]("RESOURCE", items),
        Column[Booking]("BOOKING", lambda b: b.booking_id),
        Column[Booking]("EVENT TYPE", lambda b: b.event_type_id, from_width=_WIDE),
        Column[Booking]("BOOKER", lambda b: b.booker.name or b.booker.booker_id, from_width=_WIDE),
    ]
    if with_state:
        columns.insert(3, Column[Booking]("STATE", state_word))
    return columns


def block_columns(zone: ZoneInfo, *, with_state: bool) -> list[Column[Booking]]:
    """Returns the columns of a table of blocks."""
    columns = [
        _start(zone),
        Column[Booking]("END", lambda b: _moment(b.end_time, zone), from_width=_WIDE),
        Column[Booking]("RESOURCE", items),
        Column[Booking]("BLOCK", lambda b: b.booking_id),
        Column[Booking]("REASON", lambda b: b.block_reason, from_width=_WIDE),
    ]
    if with_state:
        columns.insert(3, Column[Booking]("STATE", state_word))
    return columns


def history_columns(zone: ZoneInfo) -> list[Column[BookingEvent]]:
    """Returns the columns of a table of events of one booking."""
    return [
        Column[BookingEvent]("WHEN", lambda e: _moment(e.event_time, zone)),
        Column[BookingEvent]("WHAT", _what),
        Column[BookingEvent]("STATE", lambda e: enum_word(BookingState.DESCRIPTOR, e.state)),
        Column[BookingEvent]("START", lambda e: _moment(e.start_time, zone)),
        Column[BookingEvent]("BY", lambda e: e.actor_id),
        Column[BookingEvent]("WHY", lambda e: e.reason),
    ]


def close_with_zone(output: Output, zone: ZoneInfo) -> None:
    """Says below a table by whose clock it is; a pipe is told nothing more."""
    if output.is_terminal:
        output.line(Styled(f"Times of {zone.key}.", "dim"))


def _facts(booking: Booking, zone: ZoneInfo) -> list[tuple[str, str]]:
    is_expiring = booking.HasField("expire_time")
    when = f"{span_of(booking, zone)} ({zone.key})"
    if is_block(booking):
        who = [("Why", booking.block_reason)]
    else:
        who = [
            ("Event type", f"{booking.event_type_title} ({booking.event_type_id})"),
            ("Booker", booking.booker.booker_id),
            ("Name", booking.booker.name),
            ("E-mail", booking.booker.email),
            ("Location", booking.location),
        ]
    return [
        ("Block" if is_block(booking) else "Booking", booking.booking_id),
        ("State", state_word(booking)),
        ("Until", f"{_moment(booking.expire_time, zone)}, then it expires" if is_expiring else ""),
        ("Resources" if len(booking.items) > 1 else "Resource", items(booking)),
        ("When", when),
        ("Length", text.length(length_of(booking))),
        ("Takes", _occupancy(booking, zone)),
        *who,
        ("Created", _moment(booking.create_time, zone)),
        ("Moved", text.count(booking.sequence, "time") if booking.sequence else ""),
        ("Reason", booking.cancel_reason),
    ]


def _occupancy(booking: Booking, zone: ZoneInfo) -> str:
    """What the booking takes beyond its own time; empty where it is the same."""
    lines = []
    for item in booking.items:
        own = (booking.start_time, booking.end_time)
        taken = (item.occupancy_start_time, item.occupancy_end_time)
        if item.HasField("occupancy_start_time") and taken != own:
            span = text.span(from_timestamp(taken[0]), from_timestamp(taken[1]), zone)
            lines.append(span if len(booking.items) == 1 else f"{item.resource_id}: {span}")
    return "\n".join(lines)


def _item(item: BookingItem) -> str:
    return f"{item.resource_id} x {item.units}" if item.units > 1 else item.resource_id


def _what(event: BookingEvent) -> str:
    return f"{event_word(event)}, overridden" if event.overridden else event_word(event)


def _start(zone: ZoneInfo) -> Column[Booking]:
    return Column[Booking]("START", lambda b: _moment(b.start_time, zone))


def _moment(stamp: Timestamp, zone: ZoneInfo) -> str:
    return text.moment(from_timestamp(stamp), zone)


def _length(booking: Booking) -> str:
    return text.length(length_of(booking))
