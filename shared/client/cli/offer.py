"""Which event type and length a command means when it does not say both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

import click
import grpc

from holdfast.catalog.v1.event_type_pb2 import EventType, GetEventTypeRequest
from holdfast.catalog.v1.link_pb2 import ListEventTypesForResourceRequest
from shared.client.cli import text
from shared.client.cli.session import Session, gather
from shared.client.client import Client
from shared.client.failure import HoldfastError
from shared.client.selection import offers


class Offer(NamedTuple):
    """Under which event type, and how long."""

    event_type_id: str
    duration: timedelta


async def find_offer(
    session: Session,
    resource_id: str,
    event_type_id: str | None,
    duration: timedelta | None,
    *,
    others: Sequence[str] = (),
) -> Offer:
    """Returns what is meant; what was guessed among several is said on stderr.

    Args:
        session: Who asks.
        resource_id: What is to be booked.
        event_type_id: Under which event type; None for one that books it.
        duration: How long; None for the only length.
        others: What is to be booked with it, under the same event type.

    Raises:
        HoldfastError: There is nothing to choose from, or a call did not succeed.
        click.UsageError: Only the caller can say which length.
    """
    client = session.client
    if event_type_id and duration:
        return Offer(event_type_id, duration)
    if event_type_id:
        answer = await client.call(
            client.catalog.GetEventType,
            GetEventTypeRequest(
                organization_id=client.organization_id, event_type_id=event_type_id
            ),
        )
        return Offer(event_type_id, only_length([answer.event_type]))
    names = [resource_id, *others]
    linked = await gather(*(_event_types(client, name) for name in names))
    common = set.intersection(*({each.event_type_id for each in found} for found in linked))
    event_types = [each for each in linked[0] if each.event_type_id in common]
    return _choose(session, names, event_types, duration)


def candidates(event_types: Iterable[EventType], duration: timedelta) -> list[EventType]:
    """Returns the active event types that offer the length, the narrowest first."""
    offering = [e for e in event_types if e.active and offers(e, duration)]
    return sorted(offering, key=lambda e: (count_lengths(e), e.event_type_id))


def count_lengths(event_type: EventType) -> int:
    """How many lengths an event type offers."""
    if not event_type.HasField("flexible_duration"):
        return len(event_type.duration_options)
    flexible = event_type.flexible_duration
    room = flexible.maximum.ToTimedelta() - flexible.minimum.ToTimedelta()
    return room // flexible.step.ToTimedelta() + 1


def lengths_on_offer(event_type: EventType) -> str:
    """Writes the lengths an event type offers."""
    if not event_type.HasField("flexible_duration"):
        return text.lengths(o.ToTimedelta() for o in event_type.duration_options)
    flexible = event_type.flexible_duration
    return (
        f"{text.length(flexible.minimum.ToTimedelta())} to"
        f" {text.length(flexible.maximum.ToTimedelta())}"
        f" by {text.length(flexible.step.ToTimedelta())}"
    )


def only_length(event_types: Sequence[EventType]) -> timedelta:
    """Returns the one length that is on offer.

    Raises:
        click.UsageError: There are several.
    """
    lengths = {o.ToTimedelta() for e in event_types for o in e.duration_options}
    if len(lengths) == 1 and not any(e.HasField("flexible_duration") for e in event_types):
        return lengths.pop()
    raise click.UsageError(f"--duration is needed; on offer: {_menu(event_types)}")


async def _event_types(client: Client, resource_id: str) -> list[EventType]:
    rows = client.rows(
        client.catalog.ListEventTypesForResource,
        ListEventTypesForResourceRequest(
            organization_id=client.organization_id, resource_id=resource_id
        ),
        lambda page: page.event_types,
    )
    return [event_type async for event_type in rows]


def _choose(
    session: Session,
    resource_ids: Sequence[str],
    event_types: Sequence[EventType],
    duration: timedelta | None,
) -> Offer:
    active = [event_type for event_type in event_types if event_type.active]
    what = " and ".join(resource_ids)
    if not active:
        raise HoldfastError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "NOT_LINKED",
            f"no active event type books {what}",
        )
    length = duration or only_length(active)
    found = candidates(active, length)
    if not found:
        raise HoldfastError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "DURATION_NOT_OFFERED",
            f"{what} is not offered for {text.length(length)}; on offer: {_menu(active)}",
        )
    if len(found) > 1:
        others = ", ".join(event_type.event_type_id for event_type in found[1:])
        session.output.remark(
            f"event type: {found[0].event_type_id} (possible too, with --event-type: {others})"
        )
    return Offer(found[0].event_type_id, length)


def _menu(event_types: Iterable[EventType]) -> str:
    return "; ".join(f"{lengths_on_offer(e)} ({e.event_type_id})" for e in event_types)
