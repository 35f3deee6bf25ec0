"""``holdfast watch``: a live day."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from shared.client.cli import param
from shared.client.cli.command import Command
from shared.client.cli.ending import End, Ending, ending
from shared.client.cli.live_day import Subject
from shared.client.cli.offer import find_offer
from shared.client.cli.opening import open_quanta
from shared.client.cli.output import Output, PipeClosed
from shared.client.cli.screen import Screen
from shared.client.cli.session import Session, with_session
from shared.client.cli.watching import Drawn, Lines, Objects, Show
from shared.client.cli.withdrawal import refuse_deleted
from shared.client.client import Client
from shared.client.day_view import DayView

# No watch tells opening hours.
_HOURS_SECONDS: Final = 15.0


@click.command(
    cls=Command,
    examples=[
        "holdfast watch studio-a 2027-03-09 --duration 300 --for 1",
        "holdfast watch studio-b 2027-03-09 --duration 2h --time-zone Asia/Tokyo --for 1",
        "holdfast watch studio-a 2027-03-09 --duration 60 --for 1 -o json",
    ],
)
@click.argument("resource_id", metavar="RESOURCE")
@click.argument("day", metavar="DATE", type=param.DATE)
@param.duration_option
@param.event_type_option
@param.units_option("How many units of a pool.  [default: 1]")
@param.session_option("Whose holds are yours.")
@param.zone_option("Whose day, and the clock shown.  [default: the schedule's zone]")
@param.for_option("How long to watch.")
@with_session
async def watch(
    session: Session,
    resource_id: str,
    day: date,
    duration: timedelta | None,
    event_type_id: str | None,
    units: int,
    secret: str | None,
    time_zone: ZoneInfo | None,
    seconds: float | None,
) -> None:
    """Watch a day: what is available, reserved and booked, as it changes.

    A terminal is drawn anew in its place. A pipe gets a line for each start that becomes
    reserved, available, booked or free, and with -o json an object a line for each picture. When
    nothing can be booked any more, the reason is shown; it ends when what is watched was deleted.
    """
    offer = await find_offer(session, resource_id, event_type_id, duration)
    name = time_zone.key if time_zone else ""
    view = session.client.day_view(
        resource_id,
        offer.event_type_id,
        day,
        offer.duration,
        units=units or 1,
        time_zone=name,
        session=secret,
    )
    async with view:
        zone = param.zone_or_utc(view.picture.time_zone)
        session.invocation.shown_zone = zone.key
        subject = Subject(resource_id, offer.event_type_id, day, offer.duration, zone, units or 1)
        # Ctrl-C ends it as it ends every command.
        with (
            ending(session.output, {signal.SIGTERM}) as end,
            _show(session.output, subject) as show,
        ):
            learning = asyncio.ensure_future(_learn_hours(session.client, subject, show))
            try:
                await _follow(view, subject, show, end, seconds, learning)
            finally:
                learning.cancel()
                await asyncio.gather(learning, return_exceptions=True)


@contextmanager
def _show(output: Output, subject: Subject) -> Iterator[Show]:
    if output.is_json:
        yield Objects(output, subject)
    elif not output.can_redraw:
        yield Lines(output, subject)
    else:
        screen = Screen(output)
        drawn = Drawn(output, subject, screen)
        loop = asyncio.get_running_loop()
        with screen.shown():
            loop.add_signal_handler(signal.SIGWINCH, drawn.tick)
            loop.add_signal_handler(signal.SIGCONT, screen.forget)
            try:
                yield drawn
            finally:
                loop.remove_signal_handler(signal.SIGWINCH)
                loop.remove_signal_handler(signal.SIGCONT)


async def _follow(
    view: DayView,
    subject: Subject,
    show: Show,
    end: End,
    seconds: float | None,
    learning: asyncio.Future[None],
) -> None:
    """Shows each picture, the first in any case, until it has to end.

    Raises:
        HoldfastError: There is nothing to watch any more.
        PipeClosed: Nobody looks any more.
    """
    pictures = view.__aiter__()
    show.take(await anext(pictures))
    end.after(seconds)
    coming = asyncio.ensure_future(anext(pictures))
    try:
        while not end.reached.done():
            if coming.done():
                show.take(coming.result())
                refuse_deleted(coming.result().offer, subject)
                await asyncio.sleep(show.pause_seconds)
                coming = asyncio.ensure_future(anext(pictures))
            elif learning.done():
                learning.result()
            else:
                show.tick()
            waited_for: set[asyncio.Future[Any]] = {coming, end.reached, learning}
            await asyncio.wait(
                waited_for, timeout=show.wait_seconds(), return_when=asyncio.FIRST_COMPLETED
            )
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
    if end.reached.result() is Ending.PIPE_CLOSED:
        raise PipeClosed


async def _learn_hours(client: Client, subject: Subject, show: Show) -> None:
    """Looks now and then when the resource is open."""
    while True:
        hours = (subject.resource_id, subject.event_type_id, subject.date)
        show.learn(await open_quanta(client, *hours))
        await asyncio.sleep(_HOURS_SECONDS)
