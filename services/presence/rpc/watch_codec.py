"""What WatchPresenceRequest asks for."""

from __future__ import annotations

from typing import NamedTuple

from holdfast.presence.v1 import presence_pb2
from services.presence.domain.change import Position
from services.presence.domain.hold import ResourceName
from services.presence.rpc.codec import check_date_presence
from shared.runtime.check import FieldCheck
from shared.runtime.resume import ResumeTokens
from shared.slots.quantum import day_number


class Watch(NamedTuple):
    """What is watched, and how far an earlier watch of the same was told."""

    resources: tuple[ResourceName, ...]
    days: frozenset[int]
    tokens: ResumeTokens
    told: dict[ResourceName, Position]


def watch(request: presence_pb2.WatchPresenceRequest) -> Watch:
    """Decodes a request.

    Raises:
        InvalidFields: Something is missing, malformed, named twice, or too many days.
        InvalidResumeToken: The token was not given for these resources and dates.
    """
    check = FieldCheck()
    asked = check_date_presence(check, request)
    check.done()
    resources = tuple(ResourceName(asked.organization_id, r) for r in asked.resource_ids)
    tokens = ResumeTokens(request, scopes=len(resources))
    told: dict[ResourceName, Position] = {}
    if request.resume_token:
        positions = tokens.decode(request.resume_token)
        told = {name: Position(*p) for name, p in zip(resources, positions, strict=True)}
    return Watch(resources, frozenset(map(day_number, asked.dates)), tokens, told)
