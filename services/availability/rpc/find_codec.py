"""FindAvailability: decoded and checked, encoded cheaply."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from holdfast.availability.v1 import availability_pb2 as pb
from holdfast.catalog.v1 import resource_pb2
from services.availability.app.check_inventory import WantedItem
from services.availability.app.find_availability import FindQuery, Found, FreeResource
from services.availability.rpc.codec import SHORTEST
from shared.runtime.check import FieldCheck
from shared.runtime.wire import bytes_field
from shared.slots.quantum import SECONDS_PER_QUANTUM, microseconds
from shared.slots.rule import MAX_BOOKING
from shared.slots.slot import Slot

_LONGEST_WINDOW: Final = timedelta(days=31)
_MOST_UNITS: Final = 10_000
_MOST_ITEMS: Final = 9
_MOST_RESOURCES: Final = 1_000
_MOST_STARTS: Final = 500
# An answer of more would not fit what clients accept.
_MOST_SLOTS: Final = 100_000
_DEFAULT_RESOURCES: Final = 50
_DEFAULT_STARTS: Final = 10
_QUANTUM_MICROSECONDS: Final = SECONDS_PER_QUANTUM * 1_000_000
_PREFIX: Final = "RESOURCE_TYPE_"
_TYPES: Final = frozenset(
    name.removeprefix(_PREFIX).lower()
    for name, number in resource_pb2.ResourceType.items()
    if number
)


def find_query(request: pb.FindAvailabilityRequest) -> FindQuery:
    """Decodes FindAvailability."""
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    check.optional_identifier("event_type_id", request.event_type_id)
    resource_type = _resource_type(check, request)
    duration = check.length("duration", request, "duration", minimum=SHORTEST, maximum=MAX_BOOKING)
    starts = _starts(check, request)
    units = _count(check, "units", request.units, most=_MOST_UNITS, default=1)
    items = _items(check, request)
    limit = _count(check, "limit", request.limit, most=_MOST_RESOURCES, default=_DEFAULT_RESOURCES)
    each = _count(
        check,
        "starts_per_resource",
        request.starts_per_resource,
        most=_MOST_STARTS,
        default=_DEFAULT_STARTS,
    )
    if limit * each > _MOST_SLOTS:
        check.fail("starts_per_resource", f"times limit must be at most {_MOST_SLOTS}")
    check.done()
    return FindQuery(
        organization_id=request.organization_id,
        event_type_id=request.event_type_id,
        resource_type=resource_type,
        duration=duration,
        starts=starts,
        units=units,
        with_items=items,
        limit=limit,
        starts_per_resource=each,
    )


def find_response(found: Found) -> bytes:
    """Encodes FindAvailability: to bytes, since its slots are encoded already."""
    number = pb.FindAvailabilityResponse.RESOURCES_FIELD_NUMBER
    rest = pb.FindAvailabilityResponse(resource_count=found.total)
    resources = [bytes_field(number, _resource(resource)) for resource in found.resources]
    return b"".join(resources) + rest.SerializeToString()


def _resource(found: FreeResource) -> bytes:
    head = pb.FreeResource(resource_id=found.resource_id).SerializeToString()
    return head + b"".join(map(_slot, found.slots, found.units_free))


@lru_cache(maxsize=16_384)
def _slot(slot: Slot, units_free: int) -> bytes:
    # As in GetDaySlots: making the messages would cost more than finding the slots.
    message = pb.Slot(
        start_time=Timestamp(seconds=slot.quantum * SECONDS_PER_QUANTUM),
        occupancy_start_time=Timestamp(seconds=slot.first * SECONDS_PER_QUANTUM),
        occupancy_end_time=Timestamp(seconds=slot.stop * SECONDS_PER_QUANTUM),
        units_free=units_free,
    )
    return bytes_field(pb.FreeResource.SLOTS_FIELD_NUMBER, message.SerializeToString())


def _resource_type(check: FieldCheck, request: pb.FindAvailabilityRequest) -> str:
    word = request.resource_type.lower()
    if not word and not request.event_type_id:
        check.fail("resource_type", "or event_type_id is required")
    elif word and word not in _TYPES:
        check.fail("resource_type", f"must be one of {', '.join(sorted(_TYPES)).upper()}")
    return word


def _starts(check: FieldCheck, request: pb.FindAvailabilityRequest) -> range:
    start = check.instant("window.start_time", request.window, "start_time")
    end = check.instant("window.end_time", request.window, "end_time")
    if not timedelta() < end - start <= _LONGEST_WINDOW:
        check.fail("window", "must end after it starts, at most 31 days later")
    # A start lies in the window from its first moment on, and not at its end.
    first, stop = (-(-microseconds(edge) // _QUANTUM_MICROSECONDS) for edge in (start, end))
    return range(first, stop)


def _items(check: FieldCheck, request: pb.FindAvailabilityRequest) -> Sequence[WantedItem]:
    check.identifiers(
        "with_items", [item.resource_id for item in request.with_items], maximum=_MOST_ITEMS
    )
    return [
        WantedItem(
            item.resource_id,
            _count(check, f"with_items[{index}].units", item.units, most=_MOST_UNITS, default=1),
        )
        for index, item in enumerate(request.with_items[:_MOST_ITEMS])
    ]


def _count(check: FieldCheck, field: str, value: int, *, most: int, default: int) -> int:
    if not 0 <= value <= most:
        check.fail(field, f"must be from 0 to {most}")
    return value or default
