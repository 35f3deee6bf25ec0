"""AvailabilityService's messages: decoded and checked, encoded cheaply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import compress
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp

from holdfast.availability.v1 import availability_pb2 as pb
from services.availability.app.check_inventory import ItemAvailability, WantedItem
from services.availability.app.find_slots import DaySlots
from services.availability.app.verify import Verification
from services.availability.domain.admission import MOST_DAYS
from services.availability.domain.claim import FREE, DayState
from services.availability.domain.counter import MOST_UNITS, counts
from services.availability.domain.day_bytes import to_bytes
from services.availability.domain.offering import OfferingName, SlotQuery
from services.availability.domain.refusal import OffGrid
from shared.runtime.check import FieldCheck
from shared.runtime.failure import InvalidFields, Violation
from shared.runtime.wire import bytes_field, integer_field
from shared.slots import quantum
from shared.slots.bitmap import bits_from, quanta
from shared.slots.engine import FreeStarts
from shared.slots.plan import MAX_DATES, Plan
from shared.slots.quantum import (
    SECONDS_PER_QUANTUM,
    Span,
    covering,
    day_date,
    day_number,
    number,
)
from shared.slots.rule import MAX_BOOKING
from shared.slots.zone import UnknownZone, zone

SHORTEST: Final = timedelta(minutes=1)
MOST_RESOURCES: Final = 100


class InventoryQuery(NamedTuple):
    """Which resources, and when."""

    organization_id: str
    items: tuple[WantedItem, ...]
    span: Span


class DaysQuery(NamedTuple):
    """Which days of which resources."""

    organization_id: str
    resource_ids: tuple[str, ...]
    days: range


def day_slots_query(request: pb.GetDaySlotsRequest) -> SlotQuery:
    """Decodes GetDaySlots."""
    check = FieldCheck()
    name = _offering_name(check, request)
    day = check.date("date", request, "date")
    duration = _duration(check, request)
    viewer = optional_zone(check, "time_zone", request.time_zone)
    count = units(check, "units", request.units)
    moving = check.optional_identifier("exclude_booking_id", request.exclude_booking_id)
    check.done()
    return SlotQuery(name, day, day, duration, viewer, count, moving)


def day_slots_response(found: DaySlots, resource_id: str) -> bytes:
    """Encodes GetDaySlots: to bytes, since its slots are encoded already."""
    starts, zone_read, states, units_free = found
    parts = [_zone_field(zone_read.key)]
    if starts is None:
        return parts[0]
    plan, bits = starts
    frame = _frame(plan)
    name = bytes_field(pb.DayVersion.RESOURCE_ID_FIELD_NUMBER, resource_id.encode())
    for civil, state in zip(frame.dates, states, strict=True):
        parts.append(_day_version(name + civil, state.version))
    if units_free is None:
        parts += compress(frame.slots, bits_from(bits, frame.lowest))
    else:
        slots = zip(starts.slots(), units_free, strict=True)
        parts += [_slot(*slot, free) for slot, free in slots]
    return b"".join(parts)


def month_query(request: pb.GetMonthAvailabilityRequest) -> SlotQuery:
    """Decodes GetMonthAvailability."""
    check = FieldCheck()
    name = _offering_name(check, request)
    first, last = _dates(check, request, most=MAX_DATES)
    duration = _duration(check, request)
    viewer = optional_zone(check, "time_zone", request.time_zone)
    count = units(check, "units", request.units)
    moving = check.optional_identifier("exclude_booking_id", request.exclude_booking_id)
    check.done()
    return SlotQuery(name, first, last, duration, viewer, count, moving)


def month_response(
    first: date, available: Sequence[bool], zone_read: ZoneInfo
) -> pb.GetMonthAvailabilityResponse:
    """Encodes GetMonthAvailability."""
    response = pb.GetMonthAvailabilityResponse(time_zone=zone_read.key)
    begin = first.toordinal()
    for offset, is_available in enumerate(available):
        entry = response.dates.add(available=is_available)
        set_date(entry.date, date.fromordinal(begin + offset))
    return response


def inventory_query(request: pb.CheckInventoryRequest) -> InventoryQuery:
    """Decodes CheckInventory.

    Raises:
        OffGrid: The range does not start on a quarter hour.
    """
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    check.identifiers(
        "items", [item.resource_id for item in request.items], minimum=1, maximum=MOST_RESOURCES
    )
    for index, item in enumerate(request.items[:MOST_RESOURCES]):
        units(check, f"items[{index}].units", item.units)
    start = check.instant("range.start_time", request.range, "start_time")
    end = check.instant("range.end_time", request.range, "end_time")
    if not timedelta() < end - start <= MAX_BOOKING:
        check.fail("range", "must end after it starts, at most 31 days later")
    check.done()
    require_quarter_hour("range.start_time", start)
    span = covering(start, end)
    _limit_days("items", len(request.items), len(list(span.masks())))
    items = tuple(WantedItem(item.resource_id, item.units or 1) for item in request.items)
    return InventoryQuery(request.organization_id, items, span)


def units(check: FieldCheck, field: str, asked: int) -> int:
    """A number of units, 1 where none is given."""
    if not 0 <= asked <= MOST_UNITS:
        check.fail(field, f"must be from 0 to {MOST_UNITS}")
    return asked or 1


def require_quarter_hour(field: str, start: datetime) -> None:
    """Refuses what is not on the grid; nothing is rounded.

    Raises:
        OffGrid: ``start`` is not a quarter hour.
    """
    try:
        number(start)
    except quantum.OffGrid:
        raise OffGrid(field) from None


def inventory_response(items: Sequence[ItemAvailability]) -> pb.CheckInventoryResponse:
    """Encodes CheckInventory."""
    response = pb.CheckInventoryResponse()
    for item in items:
        entry = response.items.add(
            resource_id=item.resource_id, available=item.is_available, units_free=item.units_free
        )
        for day, taken in item.conflicts.items():
            conflict = entry.conflicts.add(resource_id=item.resource_id, quanta=taken)
            set_date(conflict.date, day)
    return response


def days_query(request: pb.GetDaysRequest) -> DaysQuery:
    """Decodes GetDays."""
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    names = check.identifiers(
        "resource_ids", request.resource_ids, minimum=1, maximum=MOST_RESOURCES
    )
    first, last = _dates(check, request, most=MOST_DAYS)
    check.done()
    days = range(day_number(first), day_number(last) + 1)
    _limit_days("resource_ids", len(names), len(days))
    return DaysQuery(request.organization_id, names, days)


def days_response(
    query: DaysQuery, found: Mapping[str, Mapping[int, DayState]]
) -> pb.GetDaysResponse:
    """Encodes GetDays."""
    response = pb.GetDaysResponse()
    dates = [(day, day_date(day)) for day in query.days]
    for resource_id in query.resource_ids:
        stored = found[resource_id]
        for day, civil in dates:
            write_day(response.days.add(), resource_id, civil, stored.get(day, FREE))
    return response


def write_day(message: pb.Day, resource_id: str, day: date, state: DayState) -> None:
    """Writes the state of a day."""
    message.resource_id = resource_id
    message.busy = to_bytes(state.busy)
    message.version = state.version
    if state.taken:
        message.units_taken.extend(counts(state.taken))
    set_date(message.date, day)


def verify_query(request: pb.VerifyInventoryRequest) -> tuple[str, str]:
    """Decodes VerifyInventory: organization and resource."""
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    check.optional_identifier("resource_id", request.resource_id)
    check.done()
    return request.organization_id, request.resource_id


def verify_response(found: Verification) -> pb.VerifyInventoryResponse:
    """Encodes VerifyInventory."""
    response = pb.VerifyInventoryResponse(
        difference_count=found.difference_count,
        days_checked=found.days_checked,
        bookings_checked=found.bookings_checked,
    )
    for (resource_id, day), surplus, missing, overlap, miscounted in found.differences:
        entry = response.differences.add(
            resource_id=resource_id,
            surplus_quanta=quanta(surplus),
            missing_quanta=quanta(missing),
            overlapping_quanta=quanta(overlap),
            miscounted_quanta=quanta(miscounted),
        )
        set_date(entry.date, day_date(day))
    return response


def optional_zone(check: FieldCheck, field: str, name: str) -> ZoneInfo | None:
    """A zone of the tzdata package, or nothing."""
    if not name:
        return None
    try:
        return zone(name)
    except UnknownZone:
        check.fail(field, "is not an IANA time zone")
        return None


def set_date(message: Any, day: date) -> None:
    """Writes a google.type.Date."""
    message.year, message.month, message.day = day.year, day.month, day.day


class _Frame(NamedTuple):
    """What the answers of a plan are made of, encoded.

    ``slots`` has each slot at its bit above the ``lowest``, and nothing at the others; ``dates``
    has those of the plan's days.
    """

    lowest: int
    slots: Sequence[bytes]
    dates: Sequence[bytes]


# Making and encoding messages would be most of what an answer costs. A plan has few starts, and
# all resources of one event type share it.
@lru_cache(maxsize=4_096)
def _frame(plan: Plan) -> _Frame:
    lowest = max((plan.candidates & -plan.candidates).bit_length() - 1, 0)
    slots = [b""] * max(plan.candidates.bit_length() - lowest, 0)
    for slot in FreeStarts(plan, plan.candidates).slots():
        slots[slot.first - plan.base - lowest] = _slot(*slot, 1)
    return _Frame(lowest, slots, [_date_field(day) for day in plan.days])


def _slot(quantum: int, first: int, stop: int, free: int) -> bytes:
    slot = pb.Slot(
        start_time=Timestamp(seconds=quantum * SECONDS_PER_QUANTUM),
        occupancy_start_time=Timestamp(seconds=first * SECONDS_PER_QUANTUM),
        occupancy_end_time=Timestamp(seconds=stop * SECONDS_PER_QUANTUM),
        units_free=free,
    )
    return bytes_field(pb.GetDaySlotsResponse.SLOTS_FIELD_NUMBER, slot.SerializeToString())


def _day_version(key: bytes, version: int) -> bytes:
    if version:
        key += integer_field(pb.DayVersion.VERSION_FIELD_NUMBER, version)
    return bytes_field(pb.GetDaySlotsResponse.DAY_VERSIONS_FIELD_NUMBER, key)


def _date_field(day: int) -> bytes:
    message = pb.DayVersion()
    set_date(message.date, day_date(day))
    return message.SerializeToString()


@lru_cache(maxsize=1_024)
def _zone_field(key: str) -> bytes:
    return pb.GetDaySlotsResponse(time_zone=key).SerializeToString()


def _offering_name(check: FieldCheck, request: Any) -> OfferingName:
    return OfferingName(
        check.identifier("organization_id", request.organization_id),
        check.identifier("resource_id", request.resource_id),
        check.identifier("event_type_id", request.event_type_id),
    )


def _duration(check: FieldCheck, request: Any) -> timedelta:
    return check.length("duration", request, "duration", minimum=SHORTEST, maximum=MAX_BOOKING)


def _dates(check: FieldCheck, request: Any, *, most: int) -> tuple[date, date]:
    first = check.date("first_date", request, "first_date")
    last = check.date("last_date", request, "last_date")
    if not 0 <= (last - first).days < most:
        check.fail("last_date", f"must be first_date or later, within {most} dates")
    return first, last


def _limit_days(field: str, resources: int, days: int) -> None:
    if resources * days > MOST_DAYS:
        raise InvalidFields([Violation(field, f"times dates must be at most {MOST_DAYS} days")])
