from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest

from holdfast.presence.v1.presence_pb2 import WatchPresenceRequest
from shared.client.failure import HoldfastError
from shared.client.follow import Following

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def following(**settings: Any) -> Following[Any, Any]:
    given: dict[str, Any] = {"patience_seconds": None} | settings
    return Following(None, WatchPresenceRequest(), **given)  # type: ignore[arg-type]  # not called


def failure(code: grpc.StatusCode = UNAVAILABLE, **facts: Any) -> HoldfastError:
    return HoldfastError(code, facts.pop("reason", code.name), "told to", **facts)


def test_waits_grow_to_a_bound_and_are_spread_from_nothing_on() -> None:
    waits: list[list[float]] = [[] for _ in range(8)]
    for _ in range(200):
        watch = following()
        for each in waits:
            each.append(watch._wait_seconds(failure()))

    for each, ceiling in zip(waits, (0.2, 0.4, 0.8, 1.6, 3, 3, 3, 3), strict=True):
        assert max(each) <= ceiling
        assert min(each) < ceiling / 4
        assert max(each) > ceiling * 3 / 4


def test_a_service_that_says_how_long_is_believed() -> None:
    told = failure(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=timedelta(seconds=9))

    assert following()._wait_seconds(told) == 9


@pytest.mark.parametrize(
    ("code", "is_answer"),
    [
        (UNAVAILABLE, True),
        (UNAVAILABLE, False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, True),
        (grpc.StatusCode.CANCELLED, False),
        (grpc.StatusCode.INTERNAL, False),
        (grpc.StatusCode.UNKNOWN, False),
    ],
)
def test_what_may_pass_is_resumed(
    code: grpc.StatusCode,
    is_answer: bool,  # noqa: FBT001  # a table's column
) -> None:
    following()._judge(failure(code, is_answer=is_answer))


@pytest.mark.parametrize(
    ("code", "is_answer"),
    [
        (grpc.StatusCode.INTERNAL, True),
        (grpc.StatusCode.INVALID_ARGUMENT, True),
        (grpc.StatusCode.NOT_FOUND, True),
        (grpc.StatusCode.PERMISSION_DENIED, False),
        (grpc.StatusCode.UNIMPLEMENTED, False),
    ],
)
def test_what_another_try_does_not_mend_ends_the_watch(
    code: grpc.StatusCode,
    is_answer: bool,  # noqa: FBT001  # a table's column
) -> None:
    with pytest.raises(HoldfastError):
        following()._judge(failure(code, is_answer=is_answer))


def test_patience_ends_only_what_never_began() -> None:
    impatient = following(patience_seconds=0)

    with pytest.raises(HoldfastError):
        impatient._judge(failure())
    impatient._has_begun = True
    impatient._judge(failure())
