"""``holdfast holders``: who is choosing time right now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import click

from holdfast.presence.v1.holder_pb2 import Hold, ListHoldersRequest
from holdfast.presence.v1.presence_pb2 import GetDatePresenceRequest
from shared.client.cli import param, text
from shared.client.cli.choice import instant, instant_of
from shared.client.cli.clock import clock_of
from shared.client.cli.command import Command
from shared.client.cli.holding import count_holders, holder, standing, store_now, utc_dates, who
from shared.client.cli.output import Column
from shared.client.cli.record import record
from shared.client.cli.session import Session, with_session
from shared.client.presence_fold import live_hold
from shared.client.value import from_timestamp, to_date, to_timestamp

# What one call takes.
_MOST_DATES: Final = 93
_DAY: Final = timedelta(days=1)


@click.command(
    cls=Command,
    examples=[
        "holdfast holders studio-a",
        "holdfast holders studio-a 2027-03-09",
        "holdfast holders studio-a 2027-03-09T13:00 -o json",
        "holdfast holders --event-type session-1h",
    ],
)
@click.argument("resource_id", metavar="[RESOURCE]", default="")
@click.argument("when", metavar="[WHEN]", type=param.WHEN, required=False)
@click.option(
    "--event-type",
    "event_type_id",
    metavar="ID",
    default="",
    help=("How many hold under this event type, whatever the resource."),
)
@param.zone_option("The clock of WHEN, and the one shown.  [default: the resource's]")
@with_session
async def holders(
    session: Session,
    resource_id: str,
    when: date | None,
    event_type_id: str,
    time_zone: ZoneInfo | None,
) -> None:
    """Show who holds time of a resource: from today on, on a date, or at a time.

    Without a date it looks 92 dates ahead; where nobody holds any of that time, it says how many
    hold some later. Holders are known by a short public name, the same for all that one session
    holds. At a time the newest 20 are shown, the newest first.
    """
    if bool(resource_id) == bool(event_type_id):
        raise click.UsageError("say either a RESOURCE or --event-type")
    if event_type_id:
        counted = await count_holders(session.client, event_type_id=event_type_id)
        if session.output.is_json:
            session.output.json({
                "resource_id": "", "event_type_id": event_type_id,
                "start_time": None, "end_time": None, "later": None,
                "holders": counted.holders, "total": counted.holds, "holds": None,
            })  # fmt: skip
        else:
            session.output.line(f"{event_type_id}: {who(counted)}")
        return
    zone = time_zone or await clock_of(session.client, resource_id)
    session.invocation.shown_zone = zone.key
    if isinstance(when, datetime):
        seen = await _at(session, resource_id, instant(session.output, when, zone))
    else:
        seen = await _on(session, resource_id, when, zone)
    _show(session, resource_id, seen, zone)


class _Seen(NamedTuple):
    """What was looked at, and what was found there.

    Attributes:
        start: From when.
        end: Until when; as ``start`` for a moment.
        holds: The holds found.
        total: How many there are.
        later: How many there are later; None where that was not asked.
    """

    start: datetime
    end: datetime
    holds: Sequence[Hold]
    total: int
    later: int | None = None


async def _at(session: Session, resource_id: str, moment: datetime) -> _Seen:
    answer = await session.client.call(
        session.client.presence.ListHolders,
        ListHoldersRequest(
            organization_id=session.organization,
            resource_id=resource_id,
            time=to_timestamp(moment),
        ),
    )
    return _Seen(moment, moment, answer.holds, answer.total)


async def _on(session: Session, resource_id: str, day: date | None, zone: ZoneInfo) -> _Seen:
    """Returns the holds that touch a date, or any from today on, as far as one call looks."""
    first = day or session.invocation.now().astimezone(zone).date()
    start = instant_of(session.output, first, zone)
    # Beginning and end of local dates lie on one more UTC date than there are local ones.
    end = instant_of(session.output, first + (_DAY if day else (_MOST_DATES - 1) * _DAY), zone)
    answer = await session.client.call(
        session.client.presence.GetDatePresence,
        GetDatePresenceRequest(
            organization_id=session.organization,
            resource_ids=[resource_id],
            dates=[to_date(each) for each in utc_dates(start, end)],
        ),
    )
    found = [
        hold
        for hold in answer.holds
        if from_timestamp(hold.start_time) < end and from_timestamp(hold.end_time) > start
    ]
    later: int | None = None
    if day is None and not found:
        later = (await count_holders(session.client, resource_id=resource_id)).holds
    return _Seen(start, end, found, len(found), later)


def _show(session: Session, resource_id: str, seen: _Seen, zone: ZoneInfo) -> None:
    output = session.output
    if output.is_json:
        output.json({
            "resource_id": resource_id,
            "event_type_id": "",
            "start_time": text.iso(seen.start),
            "end_time": text.iso(seen.end),
            "later": seen.later,
            "holders": len({hold.holder_id for hold in seen.holds}),
            "total": seen.total,
            "holds": [record(hold) for hold in seen.holds],
        })  # fmt: skip
        return
    empty = f"No holds of {resource_id}."
    if seen.later:
        last = text.day((seen.end.astimezone(zone) - _DAY).date())
        empty = f"No holds of {resource_id} until {last}; {text.count(seen.later, 'hold')} later."
    output.table(_columns(zone), seen.holds, empty=empty)
    if len(seen.holds) < seen.total:
        output.note(f"The newest {len(seen.holds)} of {seen.total:,} holds.")
    if seen.holds and output.is_terminal:
        output.note(f"Times of {zone.key}.")


def _columns(zone: ZoneInfo) -> list[Column[Hold]]:
    return [
        Column[Hold]("HOLDER", lambda hold: holder(hold.holder_id)),
        Column[Hold]("TIME", partial(_time, zone=zone)),
        Column[Hold]("UNITS", lambda hold: str(max(hold.units, 1)), from_width=60),
        Column[Hold]("HELD FOR", _age, from_width=80),
        Column[Hold]("STATE", lambda hold: standing(live_hold(hold), store_now())),
    ]


def _time(hold: Hold, zone: ZoneInfo) -> str:
    return text.span(from_timestamp(hold.start_time), from_timestamp(hold.end_time), zone)


def _age(hold: Hold) -> str:
    """How long ago it was acquired; nothing where an older server does not say."""
    if not hold.HasField("acquire_time"):
        return ""
    seconds = int((store_now() - from_timestamp(hold.acquire_time)).total_seconds())
    if seconds < 60:  # noqa: PLR2004  # a minute
        return f"{max(seconds, 0)} s"
    return text.length(timedelta(seconds=seconds))
