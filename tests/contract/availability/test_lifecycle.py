"""Every state and every transition: what is allowed, what is refused, what is told of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest

from tests.contract.availability.conftest import Serve
from tests.contract.availability.engine import (
    MONDAY,
    NINE,
    announced,
    block,
    clean,
    everything,
    got,
    moving,
    request,
    state_of,
    told,
)
from tests.contract.availability.events import change
from tests.contract.availability.world import HOUR, NOW, Caller, FakeCatalog, length

MINUTE = timedelta(minutes=1)
A_MICROSECOND = timedelta(microseconds=1)
CALLS = {
    "confirm": "ConfirmBooking",
    "decline": "DeclineBooking",
    "cancel": "CancelBooking",
    "complete": "CompleteBooking",
    "move": "RescheduleBooking",
}
# From a state, by a call, to a state; what is not here is refused.
ALLOWED = {
    ("PROVISIONAL", "confirm"): "CONFIRMED",
    ("PROVISIONAL", "cancel"): "CANCELLED",
    ("PROVISIONAL", "move"): "PROVISIONAL",
    ("PROVISIONAL ASKED", "confirm"): "PENDING",
    ("PROVISIONAL ASKED", "cancel"): "CANCELLED",
    ("PROVISIONAL ASKED", "move"): "PROVISIONAL",
    ("PENDING", "confirm"): "CONFIRMED",
    ("PENDING", "decline"): "DECLINED",
    ("PENDING", "cancel"): "CANCELLED",
    ("PENDING", "move"): "PENDING",
    ("CONFIRMED", "cancel"): "CANCELLED",
    ("CONFIRMED", "complete"): "COMPLETED",
    ("CONFIRMED", "move"): "CONFIRMED",
    ("BLOCK", "cancel"): "CANCELLED",
}
FROM = (
    "PROVISIONAL",
    "PROVISIONAL ASKED",
    "PENDING",
    "CONFIRMED",
    "CANCELLED",
    "DECLINED",
    "EXPIRED",
    "COMPLETED",
    "BLOCK",
)
OCCUPYING = {"PROVISIONAL", "PENDING", "CONFIRMED", "COMPLETED"}
EVENTS = {"move": "RESCHEDULED"}
# A booking that has started can be completed, and all else, too.
STARTED = NOW
LATER = NOW + HOUR


async def bring(caller: Caller, catalog: FakeCatalog, serve: Serve, address: str, to: str) -> str:
    """Brings a booking into a state; returns its state's name."""
    catalog.offer(caller.organization_id)
    catalog.offer(caller.organization_id, event_type_id="asked", requires_confirmation=True)
    name, fields = "b", dict[str, Any](booking_id="b")
    start = LATER
    if to == "BLOCK":
        await block(caller, LATER, LATER + HOUR, booking_id=name, reason="paint")
        return "CONFIRMED"
    if to in {"PROVISIONAL", "PROVISIONAL ASKED", "EXPIRED"}:
        fields["provisional_duration"] = length(MINUTE)
    if to in {"PROVISIONAL ASKED", "PENDING", "DECLINED"}:
        fields["event_type_id"] = "asked"
    if to in {"CONFIRMED", "COMPLETED"}:
        start = STARTED
    await caller.book(start, **fields)
    ending = {"CANCELLED": "CancelBooking", "DECLINED": "DeclineBooking"}
    ending["COMPLETED"] = "CompleteBooking"
    if to in ending:
        await change(caller, ending[to], name)
    if to == "EXPIRED":
        async with serve(address, present=NOW + MINUTE):
            await stored(caller, name, 6)
    return to.split(maxsplit=1)[0]


async def stored(caller: Caller, booking_id: str, state: int) -> None:
    """Returns once the booking is in a state for a server that has yet to see it end."""
    async with asyncio.timeout(5):
        while (await got(caller, booking_id)).booking.state != state:  # noqa: ASYNC110  # polled
            await asyncio.sleep(0.02)


def called(caller: Caller, call: str) -> Any:
    """A request of a transition, of studio-a's booking b."""
    if call == "move":
        return moving(caller, "b", LATER + 3 * HOUR, reason="why", actor_id="who")
    return request(caller, CALLS[call], booking_id="b", reason="why", actor_id="who")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("state", FROM)
async def test_every_transition_is_told_or_refused(
    caller: Caller,
    catalog: FakeCatalog,
    serve: Serve,
    shared_catalog: tuple[FakeCatalog, str],
    availability_url: str,
    state: str,
    call: str,
) -> None:
    stands = await bring(caller, catalog, serve, shared_catalog[1], state)
    known = await got(caller, "b")
    before = everything(availability_url, caller)
    taken = await caller.busy(NOW.date(), NOW.date())
    assert bool(taken[NOW.date()]) is (stands in OCCUPYING)

    if (state, call) not in ALLOWED:
        refusal = await caller.refusal_of(CALLS[call], called(caller, call))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "INVALID_STATE",
        )
        assert refusal.metadata == {"state": stands}
        assert everything(availability_url, caller) == before
        return

    becomes = ALLOWED[state, call]
    event = EVENTS.get(call, becomes)
    answer = (await caller.send(CALLS[call], called(caller, call))).booking
    now = await got(caller, "b")

    assert answer == now.booking
    assert state_of(answer) == becomes
    assert answer.revision == known.booking.revision + 1
    assert answer.sequence == int(call == "move")
    assert told(now.history) == [*told(known.history), (event, becomes, "who", "why")]
    assert now.history[-1].event_time.ToDatetime(NOW.tzinfo) == NOW
    assert announced(availability_url, caller)[-1] == (event.lower(), "b", answer.revision)
    freed = await caller.busy(NOW.date(), NOW.date())
    if call == "move":
        assert [quantum - 12 for quantum in freed[NOW.date()]] == [*range(36, 40)]
    else:
        assert freed == (taken if becomes in OCCUPYING else {NOW.date(): []})
    await clean(caller)


@pytest.mark.parametrize(
    ("state", "call"),
    [
        ("PENDING", "DeclineBooking"),
        *[(state, "CancelBooking") for state in ("PROVISIONAL", "PENDING", "CONFIRMED")],
    ],
)
async def test_a_booking_says_why_it_was_declined_or_cancelled(
    caller: Caller,
    catalog: FakeCatalog,
    serve: Serve,
    shared_catalog: tuple[FakeCatalog, str],
    state: str,
    call: str,
) -> None:
    await bring(caller, catalog, serve, shared_catalog[1], state)

    answer = await change(caller, call, "b", reason="rained off")

    assert answer.cancel_reason == "rained off"


async def test_who_books_is_the_actor_unless_another_is_named(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id)

    await caller.book(NINE, booking_id="own")
    await caller.book(NINE + HOUR, booking_id="desk", actor_id="front desk")

    assert told((await got(caller, "own")).history) == [("CREATED", "CONFIRMED", "ann", "")]
    assert told((await got(caller, "desk")).history) == [("CREATED", "CONFIRMED", "front desk", "")]


async def test_a_provisional_booking_goes_by_what_its_event_type_required_when_it_was_booked(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id, requires_confirmation=True)
    await caller.book(NINE, booking_id="b", provisional_duration=length(HOUR))
    catalog.offer(caller.organization_id, requires_confirmation=False)

    pending = await change(caller, "ConfirmBooking", "b")
    confirmed = await change(caller, "ConfirmBooking", "b")

    assert (state_of(pending), state_of(confirmed)) == ("PENDING", "CONFIRMED")
    assert not pending.HasField("expire_time")
    assert [row[0] for row in told((await got(caller, "b")).history)] == [
        "CREATED",
        "PENDING",
        "CONFIRMED",
    ]


async def test_a_booking_can_be_completed_from_its_start_on_and_not_before(
    caller: Caller, catalog: FakeCatalog, serve: Serve, shared_catalog: tuple[FakeCatalog, str]
) -> None:
    catalog.offer(caller.organization_id)
    await caller.book(NINE, booking_id="b")
    complete = request(caller, "CompleteBooking", booking_id="b")

    async with serve(shared_catalog[1], present=NINE - A_MICROSECOND) as before:
        refusal = await before.refusal_of("CompleteBooking", complete)
    async with serve(shared_catalog[1], present=NINE) as then:
        answer = await then.send("CompleteBooking", complete)

    assert (refusal.reason, refusal.metadata) == ("INVALID_STATE", {"state": "CONFIRMED"})
    assert state_of(answer.booking) == "COMPLETED"
    assert await caller.busy(MONDAY, MONDAY) == {MONDAY: [36, 37, 38, 39]}
