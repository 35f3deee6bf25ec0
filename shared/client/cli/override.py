"""``holdfast schedules override``: the hours of single dates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final
from uuid import UUID

import click

from holdfast.catalog.v1 import schedule_pb2 as pb
from holdfast.common.v1.time_pb2 import TimeWindow
from shared.client.cli import param, text
from shared.client.cli.command import Group
from shared.client.cli.output import Column, Output
from shared.client.cli.parse import Window
from shared.client.cli.record import record
from shared.client.cli.session import Session, with_session
from shared.client.client import new_request_id
from shared.client.value import from_date, from_time_of_day, to_date, to_time_of_day


@click.group(cls=Group)
def override() -> None:
    """The hours of single dates, in place of their weekday's."""


@override.command(
    "set",
    examples=[
        "holdfast schedules override set studio-hours 2027-12-24 --hours 10:00-14:00",
        "holdfast schedules override set studio-hours 2027-12-25 --closed --note Christmas",
    ],
)
@click.argument("schedule_id", metavar="SCHEDULE")
@click.argument("day", metavar="DATE", type=param.DATE)
@click.option("--hours", type=param.WINDOWS, help="Its hours: 10:00-14:00,16:00-18:00.")
@click.option("--closed", is_flag=True, help="Closed all day.")
@click.option("--note", default="", help="Why, for people.")
@param.request_id_option
@with_session
async def set_override(
    session: Session,
    schedule_id: str,
    day: date,
    hours: Sequence[Window] | None,
    closed: bool,  # noqa: FBT001  # click's way to hand a flag over
    note: str,
    request_id: UUID | None,
) -> None:
    """Set the hours of one date; they replace an override it may have."""
    if closed == bool(hours):
        raise click.UsageError("say either --hours or --closed")
    answer = await session.client.call(
        session.client.catalog.SetDateOverride,
        pb.SetDateOverrideRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            schedule_id=schedule_id,
            date_override=pb.DateOverride(
                date=to_date(day),
                unavailable=closed,
                windows=[
                    TimeWindow(start=to_time_of_day(first), end=to_time_of_day(last))
                    for first, last in hours or ()
                ],
                note=note,
            ),
        ),
    )
    _show(session.output, answer.date_override)


@override.command("list", examples=["holdfast schedules override list studio-hours"])
@click.argument("schedule_id", metavar="SCHEDULE")
@click.option("--from", "first", type=param.DATE, help="From this date on.")
@click.option("--until", type=param.DATE, help="Up to this date, inclusive.")
@param.limit_option
@with_session
async def list_overrides(
    session: Session, schedule_id: str, first: date | None, until: date | None, limit: int | None
) -> None:
    """List overrides by date."""
    client = session.client
    request = pb.ListDateOverridesRequest(
        organization_id=session.organization,
        schedule_id=schedule_id,
        first_date=to_date(first) if first else None,
        last_date=to_date(until) if until else None,
    )
    pages = client.rows(
        client.catalog.ListDateOverrides, request, lambda page: page.date_overrides, limit=limit
    )
    found = await session.collect(pages)
    if session.output.is_json:
        session.output.json([record(each) for each in found])
    else:
        session.output.table(_COLUMNS, found, empty="No overrides.")


@override.command("delete", examples=["holdfast schedules override delete studio-hours 2027-12-24"])
@click.argument("schedule_id", metavar="SCHEDULE")
@click.argument("day", metavar="DATE", type=param.DATE)
@param.request_id_option
@with_session
async def delete_override(
    session: Session, schedule_id: str, day: date, request_id: UUID | None
) -> None:
    """Give one date its weekday's hours back."""
    await session.client.call(
        session.client.catalog.DeleteDateOverride,
        pb.DeleteDateOverrideRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            schedule_id=schedule_id,
            date=to_date(day),
        ),
    )
    if session.output.is_json:
        session.output.json({"schedule_id": schedule_id, "date": day.isoformat(), "deleted": True})
    else:
        session.output.line(f"{text.day(day)} has its weekday's hours again.")


def _show(output: Output, override: pb.DateOverride) -> None:
    if output.is_json:
        output.json(record(override))
        return
    output.facts(
        [
            ("Date", text.day(from_date(override.date))),
            ("Hours", _hours(override)),
            ("Note", override.note),
        ]
    )


def _hours(override: pb.DateOverride) -> str:
    if override.unavailable:
        return "closed"
    return text.windows(
        Window(from_time_of_day(window.start), from_time_of_day(window.end))
        for window in override.windows
    )


_COLUMNS: Final = (
    Column[pb.DateOverride]("DATE", lambda each: from_date(each.date).isoformat()),
    Column[pb.DateOverride]("HOURS", _hours),
    Column[pb.DateOverride]("NOTE", lambda each: each.note),
)
