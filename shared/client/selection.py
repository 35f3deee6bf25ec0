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

from shared.catalog.rule import read_rules
from shared.catalog.state import OfferBasis
from shared.client.failure import HoldfastError

if TYPE_CHECKING:  # only shapes
    from holdfast.catalog.v1.event_type_pb2 import EventType
    from shared.slots.rule import BookingRules

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

    @property
    def is_offered(self) -> bool:
        """Whether it can be booked as before."""
        return self.state is SelectionState.VALID


OFFERED: Final = Verdict(SelectionState.VALID, NextStep.KEEP)
_STEPS: Final = {
    SelectionState.RESOURCE_DELETED: NextStep.CHOOSE_RESOURCE,
    SelectionState.EVENT_TYPE_DELETED: NextStep.CHOOSE_EVENT_TYPE,
    SelectionState.RESOURCE_INACTIVE: NextStep.CHOOSE_RESOURCE,
    SelectionState.EVENT_TYPE_INACTIVE: NextStep.CHOOSE_EVENT_TYPE,
    # The event type is there, and so is the resource: another event type may book it.
    SelectionState.UNLINKED: NextStep.CHOOSE_EVENT_TYPE,
}


def judge_basis(duration: timedelta, basis: OfferBasis) -> Verdict:
    """Returns what the catalog's state makes of a chosen length. Pure."""
    state, event_type = _state(basis), basis.event_type
    if event_type is None or state is not SelectionState.VALID:
        return _verdict(state)
    if not event_type.rules.offers(duration):
        return _other_duration(event_type.rules)
    return OFFERED


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


def judge_refusal(failure: HoldfastError) -> Verdict | None:
    """Returns what availability's refusal makes of a choice; None if it is about no choice. Pure.

    Which lengths are on offer in place of the chosen one, it does not tell.
    """
    if not failure.is_answer:
        return None
    if failure.code is grpc.StatusCode.NOT_FOUND:
        return judge_missing(failure)
    if failure.reason == "INACTIVE":
        is_event_type = failure.metadata.get("kind") == _EVENT_TYPE
        return _verdict(
            SelectionState.EVENT_TYPE_INACTIVE
            if is_event_type
            else SelectionState.RESOURCE_INACTIVE
        )
    if failure.reason == "NOT_LINKED":
        return _verdict(SelectionState.UNLINKED)
    if failure.reason == "DURATION_NOT_OFFERED":
        return Verdict(SelectionState.DURATION_GONE, NextStep.CHOOSE_DURATION)
    return None


def offers(event_type: EventType, duration: timedelta) -> bool:
    """Returns whether an event type offers a length. Pure."""
    return read_rules(event_type).offers(duration)


def _state(basis: OfferBasis) -> SelectionState:
    resource, event_type = basis.resource, basis.event_type
    if resource is None:
        return SelectionState.RESOURCE_DELETED
    if event_type is None:
        return SelectionState.EVENT_TYPE_DELETED
    if not resource.is_active:
        return SelectionState.RESOURCE_INACTIVE
    if not event_type.is_active:
        return SelectionState.EVENT_TYPE_INACTIVE
    return SelectionState.VALID if basis.is_linked else SelectionState.UNLINKED


def _verdict(state: SelectionState) -> Verdict:
    return Verdict(state, _STEPS[state])


def _other_duration(rules: BookingRules) -> Verdict:
    state, step = SelectionState.DURATION_GONE, NextStep.CHOOSE_DURATION
    if rules.flexible is not None:
        return Verdict(state, step, (), rules.flexible.minimum, rules.flexible.maximum)
    durations = rules.durations
    return Verdict(state, step, durations, durations[0], durations[-1])
