"""``holdfast events``: what happens to bookings, as it happens."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from shared.client.booking_watch import BookingsEvent
from shared.client.cli import param
from shared.client.cli.booking_view import event_word, is_block, items
from shared.client.cli.change import stamp
from shared.client.cli.clock import clock_of
from shared.client.cli.command import Command
from shared.client.cli.ending import End, Ending, ending
from shared.client.cli.output import Output, PipeClosed
from shared.client.cli.record import record
from shared.client.cli.session import Session, with_session
from shared.client.value import from_timestamp
from shared.client.watch_event import WatchKind

_ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Teller:
    """Writes events as they come."""

    def __init__(self, output: Output, zone: ZoneInfo) -> None:
        self._output = output
        self._zone = zone
        self._token = b""

    def tell(self, news: BookingsEvent) -> None:
        """Writes what a watch told.

        Raises:
            PipeClosed: Nobody reads any more.
        """
        self._token = news.resume_token
        if self._output.is_json:
            if news.kind is not WatchKind.STALE:
                self._output.json_line({
                    "event": record(news.event) if news.event else None,
                    "booking": record(news.booking) if news.booking else None,
                    "resume_token": news.resume_token.hex(),
                })  # fmt: skip
        elif news.kind is WatchKind.STALE:
            self._output.note("reconnecting: availability is not heard")
        elif news.kind is WatchKind.CHANGES:
            self._output.line(self._line(news))
            self._output.flush()

    def close(self, program: str) -> None:
        """Says how to go on."""
        if self._token:
            self._output.remark("To go on from here:")
            self._output.remark(f"    {program} events --after {self._token.hex()}")

    def _line(self, news: BookingsEvent) -> str:
        event, booking = news.event, news.booking
        assert event is not None  # of CHANGES
        assert booking is not None
        first, last = (
            from_timestamp(each).astimezone(self._zone)
            for each in (event.start_time, event.end_time)
        )
        noun = "block" if is_block(booking) else "booking"
        parts = [
            stamp(from_timestamp(event.event_time)),
            f"{noun} {event_word(event)}",
            event.booking_id,
            items(booking),
            f"{first:%Y-%m-%d %H:%M%z}",
            f"{last:%Y-%m-%d %H:%M%z}",
        ]
        parts += [f"by {event.actor_id}"] if event.actor_id else []
        parts += [event.reason] if event.reason else []
        return "  ".join(parts)


@click.command(
    cls=Command,
    examples=[
        "holdfast events --from-oldest --for 1",
        "holdfast events --from-oldest --for 1 -o json",
    ],
)
@click.option(
    "--from-oldest", is_flag=True, help="Begin with the oldest event that is kept.  [default: now]"
)
@click.option(
    "--after", type=param.WATCH_TOKEN,
    help="Go on after this token, which an earlier run printed.",
)  # fmt: skip
@param.for_option("How long to watch.")
@param.zone_option("The clock of the bookings' times.  [default: the default schedule's]")
@with_session
async def events(
    session: Session,
    from_oldest: bool,  # noqa: FBT001  # click's way to hand a flag over
    after: bytes | None,
    seconds: float | None,
    time_zone: ZoneInfo | None,
) -> None:
    """Tell what happens to bookings and blocks, in order, until Ctrl-C.

    A line for each event, and at the end how to go on from there. With -o json an object a line,
    each with the token after it; one without an event tells a newer token. An event may be told
    twice: booking_id and revision name it.
    """
    if from_oldest and after is not None:
        raise click.UsageError("--from-oldest and --after exclude each other")
    zone = time_zone or await clock_of(session.client, "")
    teller = Teller(session.output, zone)
    news = session.client.watch_bookings(after=after or b"", from_oldest=from_oldest)
    with ending(session.output, _ENDING_SIGNALS) as end:
        try:
            await _follow(news, teller, end, seconds)
        finally:
            teller.close(session.invocation.program)
    if end.reached.result() is Ending.PIPE_CLOSED:
        raise PipeClosed


async def _follow(
    news: AsyncIterator[BookingsEvent], teller: Teller, end: End, seconds: float | None
) -> None:
    """Tells each event until it has to end.

    Raises:
        HoldfastError: The watch was refused, or its token is no longer good.
        PipeClosed: Nobody reads any more.
    """
    coming = asyncio.ensure_future(anext(news))
    try:
        while not end.reached.done():
            waited_for: set[asyncio.Future[Any]] = {coming, end.reached}
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                teller.tell(coming.result())
                # Only what is heard counts: it may take a while to be reached.
                end.after(seconds)
                seconds = None
                coming = asyncio.ensure_future(anext(news))
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
