"""``holdfast schedules``: when things are open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import click

from holdfast.catalog.v1 import schedule_pb2 as pb
from holdfast.common.v1.time_pb2 import TimeWindow
from shared.client.cli import field, param, text
from shared.client.cli.command import Group
from shared.client.cli.field import Field, fields_options, fill, require_changes
from shared.client.cli.output import Column, Output
from shared.client.cli.override import override
from shared.client.cli.parse import DayWindow, Window
from shared.client.cli.record import record
from shared.client.cli.session import Session, with_session
from shared.client.cli.upcoming import NOT_AGREED, ask, refuse_without_terminal
from shared.client.client import new_request_id
from shared.client.value import from_time_of_day, to_time_of_day


def _write_hours(schedule: pb.Schedule, values: Sequence[Sequence[DayWindow]]) -> None:
    for weekday, window in (each for value in values for each in value):
        schedule.windows.append(
            pb.WeeklyWindow(
                day=weekday,
                window=TimeWindow(
                    start=to_time_of_day(window.start_minute),
                    end=to_time_of_day(window.end_minute),
                ),
            )
        )


_FIELDS: Final = (
    Field(("--name",), ("name",), field.plain("name"), {"help": "What people call it."}),
    Field(
        ("--time-zone",), ("time_zone",), field.zone_name("time_zone"),
        {"type": param.ZONE, "help": "Whose clock its hours speak, such as Europe/Berlin."},
    ),
    Field(
        ("--hours",), ("windows",), _write_hours,
        {
            "type": param.HOURS, "multiple": True,
            "help": "Days and hours: 'mon-fri 09:00-12:00,13:00-17:00', 'daily 00:00-24:00';"
            " repeatable.",
        },
        is_clearable=True,
    ),
    Field(
        ("--default/--no-default", "default"), ("is_default",), field.plain("is_default"),
        {"help": "Whether it holds where no other is named."},
    ),
)  # fmt: skip


@click.group(cls=Group)
def schedules() -> None:
    """Weekly opening hours, with exceptions by date."""


schedules.add_command(override)


@schedules.command("list", examples=["holdfast schedules list"])
@param.limit_option
@with_session
async def list_schedules(session: Session, limit: int | None) -> None:
    """List schedules."""
    client = session.client
    pages = client.rows(
        client.catalog.ListSchedules,
        pb.ListSchedulesRequest(organization_id=session.organization),
        lambda page: page.schedules,
        limit=limit,
    )
    found = await session.collect(pages)
    if session.output.is_json:
        session.output.json([record(schedule) for schedule in found])
    else:
        session.output.table(_COLUMNS, found, empty="No schedules.")


@schedules.command("show", examples=["holdfast schedules show studio-hours"])
@click.argument("schedule_id", metavar="SCHEDULE")
@with_session
async def show_schedule(session: Session, schedule_id: str) -> None:
    """Show one schedule."""
    answer = await session.client.call(
        session.client.catalog.GetSchedule,
        pb.GetScheduleRequest(organization_id=session.organization, schedule_id=schedule_id),
    )
    _show(session.output, answer.schedule)


@schedules.command(
    "create",
    examples=[
        "holdfast schedules create evenings --name Evenings --time-zone UTC --hours 'mon-fri 18:00-24:00'",  # noqa: E501  # one line to copy
    ],
)
@click.argument("schedule_id", metavar="[SCHEDULE]", default="")
@fields_options(_FIELDS, required=("name", "time_zone"))
@param.request_id_option
@with_session
async def create_schedule(
    session: Session, /, schedule_id: str, request_id: UUID | None, **given: Any
) -> None:
    """Create a schedule; its id is generated when none is given."""
    schedule = pb.Schedule(schedule_id=schedule_id)
    fill(schedule, _FIELDS, given)
    answer = await session.client.call(
        session.client.catalog.CreateSchedule,
        pb.CreateScheduleRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            schedule=schedule,
        ),
    )
    _show(session.output, answer.schedule)


@schedules.command(
    "update", examples=["holdfast schedules update evenings --hours 'daily 18:00-24:00'"]
)
@click.argument("schedule_id", metavar="SCHEDULE")
@fields_options(_FIELDS, can_clear=True)
@param.etag_option
@param.request_id_option
@with_session
async def update_schedule(
    session: Session, /, schedule_id: str, etag: str, request_id: UUID | None, **given: Any
) -> None:
    """Change what is named; the rest stays. Hours are replaced as a whole."""
    schedule = pb.Schedule(schedule_id=schedule_id, etag=etag)
    mask = fill(schedule, _FIELDS, given)
    require_changes(mask)
    answer = await session.client.call(
        session.client.catalog.UpdateSchedule,
        pb.UpdateScheduleRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            schedule=schedule,
            update_mask=mask,
        ),
    )
    _show(session.output, answer.schedule)


@schedules.command("delete", examples=["holdfast schedules delete evenings --yes"])
@click.argument("schedule_id", metavar="SCHEDULE")
@param.yes_option
@param.etag_option
@param.request_id_option
@with_session
async def delete_schedule(
    session: Session,
    schedule_id: str,
    yes: bool,  # noqa: FBT001  # click's way to hand a flag over
    etag: str,
    request_id: UUID | None,
) -> int | None:
    """Delete a schedule that nothing uses, for good; asks first."""
    if not yes:
        refuse_without_terminal("delete")
        if not ask(session, f"Delete schedule {schedule_id} and its overrides for good?"):
            return NOT_AGREED
    await session.client.call(
        session.client.catalog.DeleteSchedule,
        pb.DeleteScheduleRequest(
            organization_id=session.organization,
            request_id=str(request_id or new_request_id()),
            schedule_id=schedule_id,
            etag=etag,
        ),
    )
    if session.output.is_json:
        session.output.json({"schedule_id": schedule_id, "deleted": True})
    else:
        session.output.line(f"Deleted schedule {schedule_id}.")
    return None


def _show(output: Output, schedule: pb.Schedule) -> None:
    if output.is_json:
        output.json(record(schedule))
        return
    output.facts(
        [
            ("Schedule", schedule.schedule_id),
            ("Name", schedule.name),
            ("Zone", schedule.time_zone),
            ("Default", "yes" if schedule.is_default else "no"),
            ("Hours", "\n".join(_hours(schedule)) or "always closed"),
            ("Etag", schedule.etag),
        ]
    )


def _hours(schedule: pb.Schedule) -> list[str]:
    return text.hours(
        DayWindow(
            each.day,
            Window(from_time_of_day(each.window.start), from_time_of_day(each.window.end)),
        )
        for each in schedule.windows
    )


_COLUMNS: Final = (
    Column[pb.Schedule]("ID", lambda s: s.schedule_id),
    Column[pb.Schedule]("NAME", lambda s: s.name),
    Column[pb.Schedule]("HOURS", lambda s: "; ".join(_hours(s)) or "always closed"),
    Column[pb.Schedule]("ZONE", lambda s: s.time_zone),
    Column[pb.Schedule]("DEFAULT", lambda s: "yes" if s.is_default else ""),
)
