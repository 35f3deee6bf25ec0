"""Which start of which offer a command means, and what to say when it cannot be had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import grpc

from holdfast.catalog.v1.offering_pb2 import GetOfferingRequest, Offering
from shared.client.cli import param, text
from shared.client.cli.offer import Offer, find_offer
from shared.client.cli.output import Output
from shared.client.cli.session import Session
from shared.client.cli.wall import WallTimeSkipped, resolve
from shared.client.failure import HoldfastError

START_NOT_FREE: Final = "START_NOT_FREE"

# Refusals after which another start may do.
_ANOTHER_START: Final = frozenset(
    {"NOT_OFFERED_START", "OUTSIDE_SCHEDULE", "SLOT_HELD", "SLOT_UNAVAILABLE", START_NOT_FREE}
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A start, under an offer, by the clock on which it was read."""

    resource_id: str
    offer: Offer
    offering: Offering
    zone: ZoneInfo
    start: datetime  # in UTC

    def advise(
        self,
        error: HoldfastError,
        program: str,
        *,
        units: Mapping[str, int] | None = None,
        moving: str = "",
    ) -> None:
        """Adds to a refusal the command that shows what would do instead.

        Args:
            error: The refusal.
            program: How the command was called.
            units: How many of each resource were wanted, where it was more than one.
            moving: The booking that was to be moved, if any.
        """
        if error.reason not in _ANOTHER_START:
            return
        resource_id = error.metadata.get("resource_id") or self.resource_id
        day = self.start.astimezone(self.zone).date()
        minutes = self.offer.duration // timedelta(minutes=1)
        count = (units or {}).get(resource_id, 1)
        error.add_note("see what is free:")
        error.add_note(
            f"  {program} slots {resource_id} {day}"
            f" --duration {minutes} --event-type {self.offer.event_type_id}"
            + (f" --units {count}" if count > 1 else "")
            + (f" --moving {moving}" if moving else "")
        )


async def find_choice(
    session: Session,
    resource_id: str,
    start: datetime,
    event_type_id: str | None,
    duration: timedelta | None,
    time_zone: ZoneInfo | None,
    *,
    others: Sequence[str] = (),
) -> Choice:
    """Returns what is meant; refusals are shown by its clock from then on.

    What is to be booked with it, ``others``, decides about the event type too.

    Raises:
        HoldfastError: There is nothing to choose from, no clock shows that time, or a call did
            not succeed.
        click.UsageError: Only the caller can say which length.
    """
    offer = await find_offer(session, resource_id, event_type_id, duration, others=others)
    offering = await _offering(session, resource_id, offer)
    zone = _clock(session.output, offering, time_zone)
    session.invocation.shown_zone = zone.key
    return Choice(resource_id, offer, offering, zone, instant(session.output, start, zone))


def instant(output: Output, moment: datetime, zone: ZoneInfo) -> datetime:
    """Returns the instant that is meant; of two, the earlier one, and says so.

    Raises:
        HoldfastError: No clock of the zone ever shows this time.
    """
    try:
        found = resolve(moment, zone)
    except WallTimeSkipped as error:
        raise HoldfastError(
            grpc.StatusCode.INVALID_ARGUMENT, "WALL_TIME_SKIPPED", str(error)
        ) from error
    if found.later is not None:
        output.remark(
            f"{moment:%H:%M} happens twice that day in {zone.key}: the earlier one is taken,"
            f" {text.iso(found.instant)}; the later one is {text.iso(found.later)}"
        )
    return found.instant


def instant_of(output: Output, when: date, zone: ZoneInfo) -> datetime:
    """Returns the instant of a date and time, or the first one of a mere date.

    Raises:
        HoldfastError: As ``instant``.
    """
    if isinstance(when, datetime):
        return instant(output, when, zone)
    return datetime.combine(when, time(), zone)


async def _offering(session: Session, resource_id: str, offer: Offer) -> Offering:
    answer = await session.client.call(
        session.client.catalog.GetOffering,
        GetOfferingRequest(
            organization_id=session.organization,
            resource_id=resource_id,
            event_type_id=offer.event_type_id,
        ),
    )
    return answer.offering


def _clock(output: Output, offering: Offering, wanted: ZoneInfo | None) -> ZoneInfo:
    """By which clock the start is read: the one by which slots shows it."""
    locked = offering.event_type.time_zone_lock
    if locked and wanted and wanted.key != locked:
        output.remark(f"{offering.event_type.event_type_id} is always read in {locked}")
    if locked:
        return param.zone_or_utc(locked)
    if wanted:
        return wanted
    return param.zone_or_utc(offering.schedule.time_zone or offering.resource.time_zone)
