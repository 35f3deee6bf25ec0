"""Who holds some time, in words: whoever is refused for it, or about to spoil it, wants to know."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from holdfast.catalog.v1.resource_pb2 import GetResourceRequest
from holdfast.presence.v1.holder_pb2 import CountHoldersRequest, CountHoldersResponse
from holdfast.presence.v1.presence_pb2 import GetDatePresenceRequest
from shared.client.cli import text
from shared.client.cli.live_start import countdown
from shared.client.client import Client
from shared.client.day_merge import counting
from shared.client.failure import HoldfastError
from shared.client.live_hold import LiveHold
from shared.client.presence_fold import live_hold
from shared.client.value import to_date
from shared.slots.quantum import QUANTA_PER_DAY, Span, covering, day_number

_SHORT_ID: Final = 6
_SHOWN: Final = 5
_NAME_SECONDS: Final = 2.0
_HELD: Final = "SLOT_HELD"
_HELD_PREFIX: Final = "quanta."


def holder(holder_id: str) -> str:
    """Returns enough of a holder's public name to tell holders apart."""
    return holder_id[:_SHORT_ID]


def store_now() -> datetime:
    """Returns the time by presence's clock: real time, however the other services' is moved."""
    return datetime.now(UTC)


async def live_holds(client: Client, resource_id: str, dates: Iterable[date]) -> list[LiveHold]:
    """Returns who holds a resource on UTC dates, by start.

    Raises:
        HoldfastError: Presence could not be asked.
    """
    request = GetDatePresenceRequest(
        organization_id=client.organization_id,
        resource_ids=[resource_id],
        dates=[to_date(day) for day in sorted(set(dates))],
    )
    answer = await client.call(client.presence.GetDatePresence, request)
    return [live_hold(hold) for hold in answer.holds]


async def count_holders(
    client: Client, *, resource_id: str = "", event_type_id: str = ""
) -> CountHoldersResponse:
    """Returns how many hold a resource, or hold under an event type.

    Raises:
        HoldfastError: Presence could not be asked.
    """
    request = CountHoldersRequest(
        organization_id=client.organization_id,
        resource_id=resource_id,
        event_type_id=event_type_id,
    )
    return await client.call(client.presence.CountHolders, request)


def who(counted: CountHoldersResponse) -> str:
    """Says how many hold, as a sentence about it."""
    if not counted.holds:
        return "Nobody holds time of it right now."
    people = "1 person holds" if counted.holders == 1 else f"{counted.holders:,} people hold"
    holds = "" if counted.holds == counted.holders else f" ({text.count(counted.holds, 'hold')})"
    return f"{people} time of it right now{holds}."


def standing(hold: LiveHold, now: datetime) -> str:
    """Says how long a hold may stay."""
    if hold.is_overdue:
        return f"may end {countdown(hold.expires_at, now)}"
    return "renewed"


async def tell_holders(
    client: Client,
    error: HoldfastError,
    zone: ZoneInfo,
    *,
    resource_id: str = "",
    secret: str | None = None,
) -> None:
    """Adds to a refusal because others hold the time who they are, and when it may be free.

    Args:
        client: Asks presence.
        error: The refusal; nothing is added to one of another reason.
        zone: By whose clock.
        resource_id: Whose time it is, where the refusal does not say.
        secret: The session that was refused; its own holds are in nobody's way, and of a pool
            those are not that came after them.
    """
    resource_id = error.metadata.get("resource_id", resource_id)
    spans = list(_spans(error)) if _HELD in {error.reason, error.metadata.get("cause")} else []
    if not resource_id or not spans:
        return
    dates = {date.fromisoformat(key.removeprefix(_HELD_PREFIX)) for key, _ in _days(error)}
    try:
        found = await live_holds(client, resource_id, dates)
        own = await _holder_id(client, secret) if secret else ""
        is_pool = bool(own) and await _is_pool(client, resource_id)
    except HoldfastError:
        return  # the refusal stands without it
    for line in _lines(in_the_way(found, spans, own, is_pool=is_pool), zone, store_now()):
        error.add_note(line)


def in_the_way(
    holds: Sequence[LiveHold], spans: Sequence[Span], own_holder_id: str, *, is_pool: bool
) -> list[LiveHold]:
    """Returns the holds that count against somebody on any of some time.

    Args:
        holds: Of the resource.
        spans: The time.
        own_holder_id: Whose; empty for somebody who holds nothing.
        is_pool: As ``Stock.is_pool``.
    """
    own = [hold for hold in holds if hold.holder_id == own_holder_id]
    return [
        hold
        for hold in holds
        if hold.holder_id != own_holder_id
        and any(
            part.span.overlaps(span)
            for part in counting([hold], own, is_pool=is_pool)
            for span in spans
        )
    ]


async def _holder_id(client: Client, secret: str) -> str:
    """Returns the public name of a session; empty where presence does not tell it in time."""
    known = asyncio.Event()
    async with client.live.heard_by(known.set):
        with client.live.introduced(secret):
            with suppress(TimeoutError):
                async with asyncio.timeout(_NAME_SECONDS):
                    while not client.live.holder_id(secret):
                        known.clear()
                        await known.wait()
            return client.live.holder_id(secret)


async def _is_pool(client: Client, resource_id: str) -> bool:
    request = GetResourceRequest(organization_id=client.organization_id, resource_id=resource_id)
    return (await client.call(client.catalog.GetResource, request)).resource.pool


def _lines(holds: Sequence[LiveHold], zone: ZoneInfo, now: datetime) -> list[str]:
    if not holds:
        return ["nobody holds it any more: run it again"]
    lines = []
    for hold in holds[:_SHOWN]:
        units = f", {hold.units} units" if hold.units > 1 else ""
        lines.append(
            f"by {holder(hold.holder_id)}: {text.span(hold.start, hold.end, zone)}{units},"
            f" {standing(hold, now)}"
        )
    if len(holds) > _SHOWN:
        lines.append(f"and {text.count(len(holds) - _SHOWN, 'more hold')}")
    if not all(hold.is_overdue for hold in holds):
        lines.append("it is free as soon as they leave, and some 10 s after they are gone")
    return lines


def _days(error: HoldfastError) -> list[tuple[str, str]]:
    return [item for item in error.metadata.items() if item[0].startswith(_HELD_PREFIX)]


def _spans(error: HoldfastError) -> Iterable[Span]:
    """The quarter hours that a refusal names; nothing of what cannot be read."""
    for key, indexes in _days(error):
        try:
            base = day_number(date.fromisoformat(key.removeprefix(_HELD_PREFIX))) * QUANTA_PER_DAY
            for index in indexes.split(","):
                yield Span(base + int(index), base + int(index) + 1)
        except ValueError:
            return


def touching(holds: Iterable[LiveHold], start: datetime, end: datetime) -> list[LiveHold]:
    """Returns the holds that touch a range."""
    wanted = covering(start, end)
    return [hold for hold in holds if hold.span.overlaps(wanted)]


def utc_dates(start: datetime, end: datetime) -> list[date]:
    """Returns the UTC dates that a range touches."""
    first = start.astimezone(UTC).date()
    last = (end.astimezone(UTC) - timedelta(microseconds=1)).date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
