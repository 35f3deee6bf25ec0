"""Whether what somebody has chosen can still be booked, and what to do when it cannot.

A choice stays on screen while the catalog changes beneath it: each change that spoils it has a
next step of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

import grpc

from holdfast.catalog.v1.event_type_pb2 import EventType
from holdfast.catalog.v1.offering_pb2 import GetOfferingRequest, Offering
from shared.client.failure import HoldfastError

if TYPE_CHECKING:  # the client is asked, not made
    from shared.client.client import Client

_EVENT_TYPE: Final = "event_type"


@dataclass(frozen=True, slots=True)
class Selection:
    """What somebody has chosen."""

    resource_id: str
    event_type_id: str
    duration: timedelta


class SelectionState(Enum):
    """What has become of a choice; when several things have, the first of these."""

    VALID = "VALID"
    RESOURCE_DELETED = "RESOURCE_DELETED"
    EVENT_TYPE_DELETED = "EVENT_TYPE_DELETED"
    RESOURCE_INACTIVE = "RESOURCE_INACTIVE"
    EVENT_TYPE_INACTIVE = "EVENT_TYPE_INACTIVE"
    UNLINKED = "UNLINKED"
    DURATION_GONE = "DURATION_GONE"


class NextStep(Enum):
    """What to offer to whoever has chosen it."""

    KEEP = "KEEP"
    CHOOSE_RESOURCE = "CHOOSE_RESOURCE"
    CHOOSE_EVENT_TYPE = "CHOOSE_EVENT_TYPE"
    CHOOSE_DURATION = "CHOOSE_DURATION"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What has become of a choice, and what to do.

    Attributes:
        state: What has become of it.
        next_step: What to do. Whatever was held for a choice that is not kept should be left.
        durations: DURATION_GONE: the lengths on offer now, ascending; empty where any length
            within bounds is.
        shortest: DURATION_GONE: the least length on offer.
        longest: DURATION_GONE: the greatest.
    """

    state: SelectionState
    next_step: NextStep
    durations: tuple[timedelta, ...] = ()
    shortest: timedelta | None = None
    longest: timedelta | None = None


_STEPS: Final = {
    SelectionState.VALID: NextStep.KEEP,
    SelectionState.RESOURCE_DELETED: NextStep.CHOOSE_RESOURCE,
    SelectionState.EVENT_TYPE_DELETED: NextStep.CHOOSE_EVENT_TYPE,
    SelectionState.RESOURCE_INACTIVE: NextStep.CHOOSE_RESOURCE,
    SelectionState.EVENT_TYPE_INACTIVE: NextStep.CHOOSE_EVENT_TYPE,
    # The event type is there, and so is the resource: another event type may book it.
    SelectionState.UNLINKED: NextStep.CHOOSE_EVENT_TYPE,
}


async def check_selection(client: Client, selection: Selection) -> Verdict:
    """Asks the catalog what has become of a choice.

    Raises:
        HoldfastError: It could not be asked.
    """
    request = GetOfferingRequest(
        organization_id=client.organization_id,
        resource_id=selection.resource_id,
        event_type_id=selection.event_type_id,
    )
    try:
        answer = await client.call(client.catalog.GetOffering, request)
    except HoldfastError as failure:
        return judge_missing(failure)
    return judge(selection, answer.offering)


def judge(selection: Selection, offering: Offering) -> Verdict:
    """Returns what an offering of the chosen resource and event type makes of a choice. Pure."""
    if not offering.resource.active:
        return _verdict(SelectionState.RESOURCE_INACTIVE)
    if not offering.event_type.active:
        return _verdict(SelectionState.EVENT_TYPE_INACTIVE)
    if not offering.linked:
        return _verdict(SelectionState.UNLINKED)
    if not offers(offering.event_type, selection.duration):
        return _other_duration(offering.event_type)
    return _verdict(SelectionState.VALID)


def judge_missing(failure: HoldfastError) -> Verdict:
    """Returns what it makes of a choice that there is no offering. Pure.

    Raises:
        HoldfastError: ``failure`` itself, when it says anything else.
    """
    if failure.code is not grpc.StatusCode.NOT_FOUND:
        raise failure
    if failure.metadata.get("kind") == _EVENT_TYPE:
        return _verdict(SelectionState.EVENT_TYPE_DELETED)
    return _verdict(SelectionState.RESOURCE_DELETED)


def offers(event_type: EventType, duration: timedelta) -> bool:
    """Returns whether an event type offers a length. Pure."""
    if not event_type.HasField("flexible_duration"):
        return any(option.ToTimedelta() == duration for option in event_type.duration_options)
    flexible = event_type.flexible_duration
    shortest, step = flexible.minimum.ToTimedelta(), flexible.step.ToTimedelta()
    within = shortest <= duration <= flexible.maximum.ToTimedelta()
    return within and (duration - shortest) % step == timedelta(0)


def _verdict(state: SelectionState) -> Verdict:
    return Verdict(state, _STEPS[state])


def _other_duration(event_type: EventType) -> Verdict:
    state, step = SelectionState.DURATION_GONE, NextStep.CHOOSE_DURATION
    if event_type.HasField("flexible_duration"):
        flexible = event_type.flexible_duration
        bounds = flexible.minimum.ToTimedelta(), flexible.maximum.ToTimedelta()
        return Verdict(state, step, (), *bounds)
    durations = tuple(sorted(option.ToTimedelta() for option in event_type.duration_options))
    return Verdict(state, step, durations, durations[0], durations[-1])
