"""The messages that change inventory itself: capacities, and days written anew."""

from __future__ import annotations

from holdfast.availability.v1 import availability_pb2 as pb
from services.availability.app.capacity import Capacity
from services.availability.domain.claim import DayKey, DayState
from services.availability.domain.counter import MOST_UNITS
from services.availability.domain.request_key import RequestKey
from services.availability.rpc.codec import write_day
from services.availability.rpc.request import request_key
from shared.runtime.check import FieldCheck
from shared.slots.quantum import day_date, day_number


def set_capacity(request: pb.SetCapacityRequest) -> tuple[RequestKey, Capacity]:
    """Decodes SetCapacity."""
    check = FieldCheck()
    key = request_key(check, request, "SetCapacity")
    resource_id = check.identifier("resource_id", request.resource_id)
    if not 1 <= request.units <= MOST_UNITS:
        check.fail("units", f"must be from 1 to {MOST_UNITS}")
    check.done()
    return key, Capacity(resource_id, request.units)


def get_capacity(request: pb.GetCapacityRequest) -> tuple[str, str]:
    """Decodes GetCapacity: organization and resource."""
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    check.identifier("resource_id", request.resource_id)
    check.done()
    return request.organization_id, request.resource_id


def rebuild(request: pb.RebuildDayRequest) -> tuple[RequestKey, DayKey]:
    """Decodes RebuildDay."""
    check = FieldCheck()
    key = request_key(check, request, "RebuildDay")
    resource_id = check.identifier("resource_id", request.resource_id)
    day = check.date("date", request, "date")
    check.done()
    return key, DayKey(resource_id, day_number(day))


def capacity_answer(capacity: Capacity) -> bytes:
    """Encodes the answer of SetCapacity."""
    return pb.SetCapacityResponse(capacity=_message(capacity)).SerializeToString()


def capacity_response(capacity: Capacity) -> pb.GetCapacityResponse:
    """Encodes GetCapacity."""
    return pb.GetCapacityResponse(capacity=_message(capacity))


def rebuild_answer(day: DayKey, state: DayState) -> bytes:
    """Encodes the answer of RebuildDay."""
    response = pb.RebuildDayResponse()
    write_day(response.day, day.resource_id, day_date(day.day), state)
    return response.SerializeToString()


def _message(capacity: Capacity) -> pb.Capacity:
    return pb.Capacity(resource_id=capacity.resource_id, units=capacity.units)
