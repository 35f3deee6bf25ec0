"""Something that can be booked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_LABELS: Final = 64


class ResourceType(StrEnum):
    """What kind of thing it is."""

    ROOM = "room"
    EQUIPMENT = "equipment"
    PERSON = "person"
    VEHICLE = "vehicle"
    OTHER = "other"


class HoldPolicy(StrEnum):
    """Whether one session's hold keeps others out."""

    EXCLUSIVE = "exclusive"
    ADVISORY = "advisory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A room, a piece of equipment, a person.

    Attributes:
        time_zone: IANA name; decides where no schedule does.
        pool: Interchangeable units, counted by availability. Fixed at creation.
        standalone: False for an add-on.
        schedule_id: Empty for the organization's default.
    """

    resource_id: str
    name: str
    type: ResourceType
    description: str
    time_zone: str
    pool: bool
    standalone: bool
    hold_policy: HoldPolicy
    metadata: Mapping[str, str]
    active: bool
    schedule_id: str
