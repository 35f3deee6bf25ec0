"""For how long something can be booked, and under which rules."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import count
from typing import Final

from shared.runtime.failure import Violation

MINUTE: Final = timedelta(minutes=1)
QUARTER_HOUR: Final = timedelta(minutes=15)
DAY: Final = timedelta(days=1)
LONGEST_BOOKING: Final = timedelta(days=31)
MAX_DURATION_OPTIONS: Final = 64
MAX_LOCATIONS: Final = 50
MAX_SLUG: Final = 128

_ZERO: Final = timedelta()
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,127}\Z")
_NOT_SLUG: Final = re.compile(r"[^a-z0-9]+")


class ClosedHoursPolicy(StrEnum):
    """Whether closed hours may lie inside a booking."""

    OPEN_THROUGHOUT = "open_throughout"
    OPEN_AT_ENDS = "open_at_ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlexibleDuration:
    """Any length from minimum to maximum, in steps counted from the minimum."""

    minimum: timedelta
    maximum: timedelta
    step: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """The rules of one kind of booking. Lengths are whole minutes.

    Attributes:
        slug: Its name in addresses, unique in the organization.
        duration_options: Ascending, distinct; empty when flexible.
        slot_interval: None for the smallest length, rounded up to a quarter hour.
        schedule_id: Empty for the resource's.
        horizon: None for no limit.
        time_zone_lock: IANA name, or empty.
        requires_confirmation: Whether somebody must confirm each booking.
    """

    event_type_id: str
    slug: str
    title: str
    description: str
    duration_options: tuple[timedelta, ...]
    flexible_duration: FlexibleDuration | None
    slot_interval: timedelta | None
    schedule_id: str
    buffer_before: timedelta
    buffer_after: timedelta
    minimum_notice: timedelta
    horizon: timedelta | None
    closed_hours_policy: ClosedHoursPolicy
    locations: tuple[str, ...]
    time_zone_lock: str
    requires_confirmation: bool
    active: bool


def slug_violations(field: str, slug: str) -> Iterator[Violation]:
    """Yields why a slug cannot be one."""
    if not _SLUG.match(slug):
        yield Violation(field, "must be 1 to 128 of a-z 0-9 - and begin with one of a-z 0-9")


def minute_violations(field: str, length: timedelta) -> Iterator[Violation]:
    """Yields why a length is none of whole minutes."""
    if length % MINUTE:
        yield Violation(field, "must be whole minutes")


def options_violations(field: str, options: Sequence[timedelta]) -> Iterator[Violation]:
    """Yields why lengths cannot be offered together."""
    if len(options) > MAX_DURATION_OPTIONS:
        yield Violation(field, f"must have at most {MAX_DURATION_OPTIONS} entries")
    elif len(set(options)) != len(options):
        yield Violation(field, "must not name a length twice")


def range_violations(field: str, flexible: FlexibleDuration) -> Iterator[Violation]:
    """Yields why a flexible range is none."""
    if flexible.maximum < flexible.minimum:
        yield Violation(f"{field}.maximum", "must not be below minimum")
    elif flexible.step <= _ZERO or (flexible.maximum - flexible.minimum) % flexible.step:
        yield Violation(f"{field}.maximum", "must be minimum plus a whole number of steps")


def interval_violations(field: str, interval: timedelta) -> Iterator[Violation]:
    """Yields why starts cannot step by an interval."""
    if interval % QUARTER_HOUR:
        yield Violation(field, "must be a multiple of 15 minutes")


def contradictions(field: str, event_type: EventType) -> Iterator[Violation]:
    """Yields where fields that are right by themselves contradict one another."""
    if bool(event_type.duration_options) == (event_type.flexible_duration is not None):
        yield Violation(
            f"{field}.duration_options",
            "must have entries, or flexible_duration must be set; exactly one of the two",
        )
    if event_type.horizon is not None and event_type.horizon < event_type.minimum_notice:
        yield Violation(f"{field}.horizon", "must not be below minimum_notice")


def slugs_from(title: str, event_type_id: str) -> Iterator[str]:
    """Yields slugs for a title, the plainest first; from the id where the title has no letters.

    Endless: "one-hour", "one-hour-2", "one-hour-3" and so on.
    """
    plain = _plain(title) or _plain(event_type_id)
    yield plain
    for number in count(2):
        ending = f"-{number}"
        yield plain[: MAX_SLUG - len(ending)].rstrip("-") + ending


def _plain(text: str) -> str:
    # Marks fall off their letters: "Größe" has none to lose on its ß, which has a spelling.
    folded = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return _NOT_SLUG.sub("-", folded).strip("-")[:MAX_SLUG].rstrip("-")
