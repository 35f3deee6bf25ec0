from __future__ import annotations

import pytest
from google.type.date_pb2 import Date

from holdfast.presence.v1.presence_pb2 import WatchPresenceRequest
from shared.runtime.failure import InvalidResumeToken
from shared.runtime.resume import Position, ResumeTokens

REQUEST = WatchPresenceRequest(
    organization_id="demo",
    resource_ids=["studio-a", "studio-b"],
    dates=[Date(year=2027, month=3, day=9)],
)
POSITIONS = [Position(1, 2), Position(2**63 - 1, 0)]


def tokens(request: WatchPresenceRequest = REQUEST, scopes: int = 2) -> ResumeTokens:
    return ResumeTokens(request, scopes=scopes)


def test_a_token_gives_back_its_positions() -> None:
    token = tokens().encode(POSITIONS)

    assert tokens().decode(token) == POSITIONS


def test_a_token_does_not_depend_on_the_token_that_came_before() -> None:
    first = tokens().encode(POSITIONS)
    resumed = WatchPresenceRequest()
    resumed.CopyFrom(REQUEST)
    resumed.resume_token = first

    assert tokens(resumed).encode(POSITIONS) == first


@pytest.mark.parametrize(
    "other",
    [
        WatchPresenceRequest(organization_id="other", resource_ids=["studio-a", "studio-b"]),
        WatchPresenceRequest(organization_id="demo", resource_ids=["studio-b", "studio-a"]),
        WatchPresenceRequest(organization_id="demo", resource_ids=["studio-a", "studio-b"]),
    ],
    ids=["organization", "order of resources", "dates"],
)
def test_a_token_of_another_watch_is_refused(other: WatchPresenceRequest) -> None:
    token = tokens().encode(POSITIONS)

    with pytest.raises(InvalidResumeToken):
        tokens(other).decode(token)


def test_damaged_tokens_are_refused() -> None:
    token = tokens().encode(POSITIONS)

    for damaged in (
        b"",
        b"x",
        token[:-1],
        token + b"\0",
        bytes([token[0] ^ 1]) + token[1:],
        token[:8] + b"\xff" * 32,
    ):
        with pytest.raises(InvalidResumeToken):
            tokens().decode(damaged)
