"""Names of time zones."""

from __future__ import annotations

from collections.abc import Iterator

from shared.runtime.failure import Violation
from shared.slots.zone import UnknownZone, zone


def zone_violations(field: str, name: str) -> Iterator[Violation]:
    """Yields why a required zone cannot be used."""
    if not name:
        yield Violation(field, "is required")
        return
    try:
        zone(name)
    except UnknownZone:
        yield Violation(field, "must be an IANA time zone such as Europe/Berlin")
