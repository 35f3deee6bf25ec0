from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest

from holdfast.catalog.v1.event_type_pb2 import EventType, FlexibleDuration
from holdfast.catalog.v1.offering_pb2 import Offering
from holdfast.catalog.v1.resource_pb2 import Resource
from shared.catalog.state import Hours, OfferBasis, read_event_type, read_resource
from shared.client.failure import HoldfastError
from shared.client.selection import (
    NextStep,
    Selection,
    SelectionState,
    Verdict,
    judge_basis,
    judge_missing,
    judge_refusal,
)
from shared.client.value import to_duration

HOUR = timedelta(hours=1)
CHOSEN = Selection("studio-a", "session", HOUR)


def offering(**changes: Any) -> Offering:
    event_type = EventType(
        active=changes.get("event_type_active", True),
        duration_options=[to_duration(each) for each in changes.get("durations", [HOUR])],
    )
    return Offering(
        resource=Resource(active=changes.get("resource_active", True)),
        event_type=event_type,
        linked=changes.get("linked", True),
    )


def judge(selection: Selection, offered: Offering) -> Verdict:
    """Judges what the catalog says, as views read it."""
    resource, event_type = read_resource(offered.resource), read_event_type(offered.event_type)
    basis = OfferBasis(resource, event_type, offered.linked, Hours(None, 0))
    return judge_basis(selection.duration, basis)


def missing(kind: str) -> HoldfastError:
    code = grpc.StatusCode.NOT_FOUND
    return HoldfastError(code, "NOT_FOUND", "gone", metadata={"kind": kind, "id": "x"})


def test_what_is_still_offered_is_kept() -> None:
    verdict = judge(CHOSEN, offering())

    assert (verdict.state, verdict.next_step) == (SelectionState.VALID, NextStep.KEEP)


@pytest.mark.parametrize(
    ("changes", "state", "step"),
    [
        ({"resource_active": False}, SelectionState.RESOURCE_INACTIVE, NextStep.CHOOSE_RESOURCE),
        (
            {"event_type_active": False},
            SelectionState.EVENT_TYPE_INACTIVE,
            NextStep.CHOOSE_EVENT_TYPE,
        ),
        ({"linked": False}, SelectionState.UNLINKED, NextStep.CHOOSE_EVENT_TYPE),
        ({"durations": [2 * HOUR]}, SelectionState.DURATION_GONE, NextStep.CHOOSE_DURATION),
        (
            {"resource_active": False, "linked": False, "durations": [2 * HOUR]},
            SelectionState.RESOURCE_INACTIVE,
            NextStep.CHOOSE_RESOURCE,
        ),
    ],
    ids=["resource inactive", "event type inactive", "unlinked", "duration gone", "several"],
)
def test_what_became_of_it_says_what_to_do(
    changes: dict[str, Any], state: SelectionState, step: NextStep
) -> None:
    verdict = judge(CHOSEN, offering(**changes))

    assert (verdict.state, verdict.next_step) == (state, step)


@pytest.mark.parametrize(
    ("kind", "state", "step"),
    [
        ("resource", SelectionState.RESOURCE_DELETED, NextStep.CHOOSE_RESOURCE),
        ("event_type", SelectionState.EVENT_TYPE_DELETED, NextStep.CHOOSE_EVENT_TYPE),
    ],
)
def test_what_is_deleted_says_what_to_choose(
    kind: str, state: SelectionState, step: NextStep
) -> None:
    verdict = judge_missing(missing(kind))

    assert (verdict.state, verdict.next_step) == (state, step)


def test_another_failure_is_no_verdict() -> None:
    failure = HoldfastError(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "down")

    with pytest.raises(HoldfastError) as raised:
        judge_missing(failure)

    assert raised.value is failure


def test_a_duration_that_is_gone_names_those_on_offer() -> None:
    verdict = judge(CHOSEN, offering(durations=[5 * HOUR, 2 * HOUR]))

    assert verdict.durations == (2 * HOUR, 5 * HOUR)
    assert (verdict.shortest, verdict.longest) == (2 * HOUR, 5 * HOUR)


def test_a_flexible_range_names_its_bounds() -> None:
    flexible = offering()
    flexible.event_type.CopyFrom(
        EventType(
            active=True,
            flexible_duration=FlexibleDuration(
                minimum=to_duration(2 * HOUR),
                maximum=to_duration(4 * HOUR),
                step=to_duration(HOUR / 2),
            ),
        )
    )

    verdict = judge(CHOSEN, flexible)

    assert verdict.state is SelectionState.DURATION_GONE
    assert (verdict.durations, verdict.shortest, verdict.longest) == ((), 2 * HOUR, 4 * HOUR)
    kept = Selection("studio-a", "session", 2 * HOUR + HOUR / 2)
    assert judge(kept, flexible).state is SelectionState.VALID


@pytest.mark.parametrize(
    ("code", "reason", "metadata", "state"),
    [
        ("NOT_FOUND", "NOT_FOUND", {"kind": "resource"}, SelectionState.RESOURCE_DELETED),
        ("NOT_FOUND", "NOT_FOUND", {"kind": "event_type"}, SelectionState.EVENT_TYPE_DELETED),
        (
            *("FAILED_PRECONDITION", "INACTIVE"),
            *({"kind": "resource"}, SelectionState.RESOURCE_INACTIVE),
        ),
        (
            *("FAILED_PRECONDITION", "INACTIVE"),
            *({"kind": "event_type"}, SelectionState.EVENT_TYPE_INACTIVE),
        ),
        ("FAILED_PRECONDITION", "NOT_LINKED", {}, SelectionState.UNLINKED),
        ("FAILED_PRECONDITION", "DURATION_NOT_OFFERED", {}, SelectionState.DURATION_GONE),
    ],
)
def test_a_refusal_of_availability_tells_what_became_of_the_choice(
    code: str, reason: str, metadata: dict[str, str], state: SelectionState
) -> None:
    failure = HoldfastError(grpc.StatusCode[code], reason, "so", metadata=metadata)

    verdict = judge_refusal(failure)

    assert verdict is not None
    assert verdict.state is state
    assert not verdict.is_offered


@pytest.mark.parametrize(
    "failure",
    [
        HoldfastError(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "down"),
        HoldfastError(grpc.StatusCode.FAILED_PRECONDITION, "NOT_STANDALONE", "alone"),
        HoldfastError(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "a proxy's", is_answer=False),
    ],
)
def test_other_refusals_withdraw_no_choice(failure: HoldfastError) -> None:
    assert judge_refusal(failure) is None
