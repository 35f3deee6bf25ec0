"""``holdfast hold``: holds time for as long as it runs."""

from __future__ import annotations

import asyncio
import secrets
import signal
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import click
import grpc

from holdfast.availability.v1.availability_pb2 import Slot
from holdfast.catalog.v1.resource_pb2 import HOLD_POLICY_ADVISORY
from shared.client.cli import param, text
from shared.client.cli.choice import Choice, find_choice
from shared.client.cli.command import Command
from shared.client.cli.ending import End, Ending, ending
from shared.client.cli.free_start import free_start
from shared.client.cli.holding import holder, tell_holders
from shared.client.cli.live_day import Subject
from shared.client.cli.output import PipeClosed, Styled
from shared.client.cli.record import Json
from shared.client.cli.session import Session, with_session
from shared.client.cli.withdrawal import refuse_deleted, withdrawn
from shared.client.failure import HoldfastError
from shared.client.hold import ENDED, EXPIRED, UNREACHABLE, Hold, HoldState, HoldStatus
from shared.client.offer_watch import OfferWatch, watched_offer
from shared.client.selection import OFFERED, Selection, Verdict
from shared.client.value import from_timestamp

_ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# A terminal writes ^C when it is pressed.
_OVER_CTRL_C: Final = "\r\x1b[K"
_CAUSE: Final = "cause"
_NAME_BYTES: Final = 4
_SESSION_BYTES: Final = 16
_CODES: Final = {
    "INTERNAL": grpc.StatusCode.INTERNAL,
    "INVALID_FIELD": grpc.StatusCode.INVALID_ARGUMENT,
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "HOLD_TOO_LONG": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "TOO_MANY_HOLDS": grpc.StatusCode.RESOURCE_EXHAUSTED,
    UNREACHABLE: grpc.StatusCode.UNAVAILABLE,
}
_REFUSED: Final = {
    "BLOCKED": "the time was taken out of use",
    "BOOKED": "the time is booked now",
    "HOLD_TOO_LONG": "nothing of that length can be booked",
    "NOT_FOUND": "there is no such resource to hold",
    "SLOT_HELD": "somebody else is choosing this time",
    "TOO_MANY_HOLDS": "too many holds at once",
    UNREACHABLE: "presence did not answer in time",
}
_LOST: Final = {
    "BLOCKED": "the hold is lost: the time was taken out of use",
    "BOOKED": "the hold is over: the time is booked now, by you with its session or by another",
    "EXPIRED": "the hold has run out",
    "LEFT": "the hold is over: another call of its session has left it",
    "NOT_FOUND": "the hold is lost: its resource is gone",
}
# Why it ran out.
_RAN_OUT: Final = {
    "SLOT_HELD": "the hold ran out, and somebody else is choosing this time now",
    UNREACHABLE: "presence could not be reached in time: the hold has run out",
}


@click.command(
    cls=Command,
    examples=[
        "holdfast hold studio-a 2027-03-09T13:00 --duration 60 --for 1",
        "holdfast hold studio-b 2027-03-09T14:00+01:00 --duration 5h --for 1 -o json",
    ],
)
@click.argument("resource_id", metavar="RESOURCE")
@click.argument("start", metavar="TIME", type=param.MOMENT)
@param.duration_option
@param.event_type_option
@param.units_option("How many units of a pool.  [default: 1]")
@param.session_option(
    "Whose hold it is: 22 to 128 of A-Z a-z 0-9 _ -.  [default: a new one, which is printed]"
)
@param.zone_option("The clock of TIME.  [default: the schedule's zone]")
@param.for_option("How long to hold.")
@with_session
async def hold(
    session: Session,
    resource_id: str,
    start: datetime,
    duration: timedelta | None,
    event_type_id: str | None,
    units: int,
    secret: str | None,
    time_zone: ZoneInfo | None,
    seconds: float | None,
) -> None:
    """Hold time until Ctrl-C: others see it as reserved, and nobody else can book it.

    You can, with its session: holdfast book … --session SECRET, or HOLDFAST_SESSION, which `ps`
    does not show. With -o json the first object has the session. Of a pool everybody gets a hold,
    in order; it is good as long as enough units are free for all before it. Where the resource's
    holds are advisory, others see it and may book the time all the same.

    TIME is read as book reads it. What a booking would take is held, buffers included, and let
    go at the end. When the program is killed, the hold ends by itself a few seconds later.
    """
    choice = await find_choice(session, resource_id, start, event_type_id, duration, time_zone)
    slot = await free_start(session, choice, units)
    # A secret of its own: two holds of one session would be in nobody's way.
    mine = secret or secrets.token_hex(_SESSION_BYTES)
    teller = _Teller(session, choice, slot, "" if secret else mine)
    holding = session.client.hold(
        resource_id,
        choice.start,
        choice.offer.duration,
        units=units or 1,
        event_type_id=choice.offer.event_type_id,
        session=mine,
        # Another process may hold with the same session: by one name they would take turns.
        hold_id=secrets.token_hex(_NAME_BYTES),
    )
    changed = asyncio.Event()
    selection = Selection(resource_id, choice.offer.event_type_id, choice.offer.duration)
    async with (
        watched_offer(session.client.live, selection, changed.set) as watch,
        holding as held,
    ):
        with ending(session.output, _ENDING_SIGNALS) as end:
            await _keep(held, _Offers(watch, changed), teller, end, seconds)
        # From here on a second Ctrl-C does not wait for the farewell.
    teller.tell(held, held.status)
    if held.state is not HoldState.LEFT:
        error = _failure(held.status)
        await tell_holders(
            session.client, error, choice.zone, resource_id=resource_id, secret=secret
        )
        choice.advise(error, session.invocation.program)
        if UNREACHABLE in {error.reason, error.metadata.get(_CAUSE)}:
            error.add_note(f"`{session.invocation.program} doctor` shows what is up")
        raise error
    if end.reached.result() is Ending.PIPE_CLOSED:
        raise PipeClosed


async def _keep(
    held: Hold, offers: _Offers, teller: _Teller, end: End, seconds: float | None
) -> None:
    """Tells each state of a hold until it is over, or has to end; its time begins when it does.

    Raises:
        HoldfastError: What is held was deleted.
    """
    states = held.states()
    coming: asyncio.Future[HoldStatus] = asyncio.ensure_future(anext(states))
    changing: asyncio.Future[Any] = asyncio.ensure_future(offers.changed.wait())
    try:
        while not end.reached.done():
            if coming.done():
                status = coming.result()
                if status.state in ENDED:
                    return
                teller.tell(held, status)
                if status.state is HoldState.HELD:
                    end.after(seconds)
                coming = asyncio.ensure_future(anext(states))
            if changing.done():
                offers.changed.clear()
                changing = asyncio.ensure_future(offers.changed.wait())
            if held.state is HoldState.HELD:  # else its own answer says more
                teller.tell_offer(held, offers.watch.verdict)
            waited_for: set[asyncio.Future[Any]] = {coming, changing, end.reached}
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
    finally:
        coming.cancel()
        changing.cancel()
        await asyncio.gather(coming, changing, return_exceptions=True)


class _Offers(NamedTuple):
    """What the catalog makes of what is held, and what tells of changes."""

    watch: OfferWatch
    changed: asyncio.Event


class _Teller:
    """Says how a hold stands."""

    def __init__(self, session: Session, choice: Choice, slot: Slot, secret: str) -> None:
        """Says nothing yet.

        Args:
            session: What the command works with.
            choice: What is held.
            slot: As it is on offer.
            secret: Of the session, to be told; empty when its owner knows it.
        """
        self._output = session.output
        self._program = session.invocation.program
        self._choice = choice
        self._slot = slot
        self._secret = secret
        self._is_told = False
        self._is_begun = False
        self._offer = OFFERED

    def tell_offer(self, held: Hold, verdict: Verdict) -> None:
        """Says that what is held can be booked no more, or can again.

        Raises:
            HoldfastError: It was deleted.
        """
        if verdict == self._offer:
            return
        self._offer = verdict
        start, zone = self._choice.start, self._choice.zone
        offer = self._choice.offer
        day = start.astimezone(zone).date()
        subject = Subject(held.resource_id, offer.event_type_id, day, offer.duration, zone)
        why = withdrawn(verdict, subject)
        if self._output.is_json:
            self._output.json_line(self._record(held, held.status))
        elif why:
            self._output.line(
                Styled("Not on offer", "bold yellow"), f": {why}. It is held, and cannot be booked."
            )
        else:
            self._output.line(Styled("Offered again", "bold green"), ": it can be booked.")
        self._output.flush()
        refuse_deleted(verdict, subject)

    def tell(self, held: Hold, status: HoldStatus) -> None:
        """Says one state; why it was refused or lost, people are told on stderr."""
        if self._output.is_json:
            told = self._record(held, status)
            if not self._is_begun:
                told["session"] = self._secret or None
            self._is_begun = True
            self._output.json_line(told)
        elif status.state is HoldState.HOLDING:
            self._tell_wish()
        elif status.state is HoldState.HELD:
            self._tell_held(held)
        elif status.state is HoldState.LEFT:
            if self._output.can_redraw:
                self._output.control(_OVER_CTRL_C)
            self._output.line(Styled("Left", "bold"), ": others can have the time again.")
        self._output.flush()

    def _tell_wish(self) -> None:
        start, zone = self._choice.start, self._choice.zone
        end = start + self._choice.offer.duration
        self._output.line(
            f"Holding {self._choice.resource_id} for {text.length(end - start)}: ",
            Styled(text.span(start, end, zone), "bold"), f" ({zone.key})",
        )  # fmt: skip
        taken = self._occupancy()
        if taken != (start, end):
            self._output.line(f"With buffers: {text.span(*taken, zone)}")

    def _tell_held(self, held: Hold) -> None:
        if self._is_told:  # a move: there is none
            return
        self._is_told = True
        self._output.line(
            Styled("Held", "bold green"), f" as {holder(held.holder_id)}: others see it"
            f"{', and may book it all the same' if self._is_advice else ' as reserved'}."
            " Renewed until Ctrl-C lets it go.",
        )  # fmt: skip
        if held.units_ahead and not self._is_advice:
            self._tell_position(held)
        if self._secret:
            self._output.line("To book it meanwhile:")
            # Terminals fold long lines, and what is folded cannot be copied.
            gap = " " if self._output.width is None else " \\\n    "
            for line in gap.join(self._book_command(held)).split("\n"):
                self._output.line(Styled(f"  {line}", "cyan"))

    def _tell_position(self, held: Hold) -> None:
        free = self._slot.units_free
        is_good = free - held.units_ahead >= held.units
        words = "enough is left for you" if is_good else "too little is left for you"
        self._output.line(
            f"Others hold {text.count(held.units_ahead, 'unit')} before you, of {free} free: ",
            Styled(words, "green" if is_good else "yellow"),
        )

    @property
    def _is_advice(self) -> bool:
        """Whether holds are shown to others, and refuse nobody."""
        resource = self._choice.offering.resource
        return resource.hold_policy == HOLD_POLICY_ADVISORY and not resource.pool

    def _book_command(self, held: Hold) -> list[str]:
        start = self._choice.start.astimezone(self._choice.zone)
        minutes = self._choice.offer.duration // timedelta(minutes=1)
        name, extra = held.resource_id, f" --units {held.units}" if held.units > 1 else ""
        if not self._choice.offering.resource.standalone:  # an add-on is booked with another
            units = f":{held.units}" if held.units > 1 else ""
            name, extra = "RESOURCE", f" --with {held.resource_id}{units}"
        return [
            f"{self._program} book {name} {start.isoformat(timespec='minutes')}",
            f"--duration {minutes} --event-type {held.event_type_id}{extra}",
            f"--session {self._secret}",
        ]

    def _occupancy(self, held: Hold | None = None) -> tuple[datetime, datetime]:
        """What is held: as presence says, until then as it is on offer."""
        if held and held.occupancy_start and held.occupancy_end:
            return held.occupancy_start, held.occupancy_end
        slot = self._slot
        return from_timestamp(slot.occupancy_start_time), from_timestamp(slot.occupancy_end_time)

    def _record(self, held: Hold, status: HoldStatus) -> dict[str, Json]:
        taken_from, taken_until = self._occupancy(held)
        return {
            "state": status.state.value.lower(),
            "reason": status.reason,
            "offer": self._offer.state.value.lower(),
            "metadata": dict(status.metadata),
            "resource_id": held.resource_id,
            "event_type_id": self._choice.offer.event_type_id,
            "start_time": text.iso(self._choice.start),
            "end_time": text.iso(self._choice.start + self._choice.offer.duration),
            "occupancy_start_time": text.iso(taken_from),
            "occupancy_end_time": text.iso(taken_until),
            "units": held.units,
            "units_ahead": status.units_ahead,
            "holder_id": held.holder_id,
            "expire_time": text.iso(status.expires_at) if status.expires_at else None,
        }


def _failure(status: HoldStatus) -> HoldfastError:
    """Says why a hold was refused, or lost, as a call that does not succeed says it."""
    is_lost = status.state is HoldState.LOST
    known = _LOST if is_lost else _REFUSED
    words = known.get(status.reason, "the hold is lost" if is_lost else "it cannot be held")
    cause = status.reason
    if status.reason == EXPIRED:
        cause = status.metadata.get(_CAUSE, EXPIRED)
        words = _RAN_OUT.get(cause, words)
    code = _CODES.get(cause, grpc.StatusCode.FAILED_PRECONDITION)
    return HoldfastError(code, status.reason, words, metadata=status.metadata, service="presence")
