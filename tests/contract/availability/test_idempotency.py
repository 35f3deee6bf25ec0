"""Repeating a call: one effect and one answer, whatever has happened meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
import pytest

from tests.contract.availability.conftest import Serve
from tests.contract.availability.engine import (
    MONDAY,
    NINE,
    QUARTER,
    announced,
    at,
    block,
    blocking,
    clean,
    everything,
    items,
    move,
    moving,
    request,
    size,
    sizing,
    state_of,
)
from tests.contract.availability.world import (
    HOUR,
    NOW,
    Caller,
    FakeCatalog,
    civil,
    interval,
    length,
    stamp,
)


@dataclass(frozen=True)
class Desk:
    """A caller, and the catalog of its organization: two studios and four chairs."""

    caller: Caller
    catalog: FakeCatalog

    def offer(self, **rules: Any) -> None:
        """Offers everything by other rules."""
        for name in ("studio-a", "studio-b", "chairs"):
            facts = {"pool": name == "chairs"} | rules.get("resource", {})
            self.catalog.offer(self.caller.organization_id, name, **(rules | {"resource": facts}))
            self.catalog.offer(
                self.caller.organization_id,
                name,
                "asked",
                requires_confirmation=True,
                **(rules | {"resource": facts}),
            )

    def forget(self) -> None:
        """Deletes everything in the catalog."""
        for known in (self.catalog.offerings, self.catalog.resources):
            for key in [key for key in known if key[0] == self.caller.organization_id]:
                del known[key]  # type: ignore[arg-type]  # either kind of key


@pytest.fixture
async def desk(caller: Caller, catalog: FakeCatalog) -> Desk:
    found = Desk(caller, catalog)
    found.offer()
    await size(caller, "chairs", 4)
    return found


@dataclass(frozen=True)
class Case:
    """A call that is repeated.

    Attributes:
        method: Which.
        made: What must have happened before, and the request.
        other: Another content of the request.
        spoiled: What makes the call impossible by now.
    """

    method: str
    made: Callable[[Desk], Awaitable[Any]]
    other: Callable[[Any], None]
    spoiled: Callable[[Desk], Awaitable[object]]


async def ordered(desk: Desk) -> Any:
    return desk.caller.order(NINE, booking_id="b", items=items("studio-b", "studio-a", chairs=2))


async def ordered_by_chance(desk: Desk) -> Any:
    return desk.caller.order(NINE, provisional_duration=length(HOUR))


async def closing(desk: Desk) -> Any:
    return blocking(desk.caller, NINE, NINE + HOUR, resource_id="chairs", booking_id="b")


def booked(method: str, **fields: Any) -> Callable[[Desk], Awaitable[Any]]:
    """A booking, and what is to become of it."""

    async def made(desk: Desk) -> Any:
        await desk.caller.book(fields.get("start", NINE), booking_id="b", **fields.get("order", {}))
        if method == "RescheduleBooking":
            return moving(desk.caller, "b", NINE + 2 * HOUR)
        return request(desk.caller, method, booking_id="b", reason="why", actor_id="who")

    return made


async def sized(desk: Desk) -> Any:
    return sizing(desk.caller, "chairs", 7)


async def rebuilt(desk: Desk) -> Any:
    await desk.caller.book(NINE, items=items(chairs=2))
    return request(desk.caller, "RebuildDay", resource_id="chairs", date=civil(MONDAY))


def another_reason(asked: Any) -> None:
    asked.reason += "!"


def another_time(asked: Any) -> None:
    asked.start_time.CopyFrom(stamp(at(15)))


def another_range(asked: Any) -> None:
    asked.range.CopyFrom(interval(NINE, NINE + 2 * HOUR))


def another_number(asked: Any) -> None:
    asked.units += 1


def another_date(asked: Any) -> None:
    asked.date.day += 1


async def cancelled(desk: Desk) -> None:
    """Cancelled meanwhile, booked by others, and closed for ever."""
    for name in await ids(desk.caller):
        await desk.caller.cancel(name)
    await desk.caller.book(NINE, booking_id="rival", items=items("studio-a", chairs=4))
    await desk.caller.book(NINE + 2 * HOUR, booking_id="rival-2", items=items("studio-a", chairs=4))
    desk.offer(active=False, minimum_notice=length(timedelta(days=300)))


async def ids(caller: Caller) -> list[str]:
    found = await caller.send("ListBookings", caller.question("ListBookings", NINE))
    blocks = await caller.send(
        "ListBookings", caller.question("ListBookings", NINE, resource_id="chairs", kind=2)
    )
    return [row.booking_id for row in [*found.bookings, *blocks.bookings] if row.state != 2]


async def gone(desk: Desk) -> None:
    desk.forget()


async def ended(desk: Desk) -> None:
    """It has ended, or goes on from another state."""
    booking = await desk.caller.send(
        "GetBooking", desk.caller.question("GetBooking", NINE, booking_id="b")
    )
    if state_of(booking.booking) in {"CONFIRMED", "PENDING"}:
        await desk.caller.cancel("b")
    desk.forget()


PENDING = {"order": {"event_type_id": "asked"}}
CART = {"order": {"event_type_id": "asked", "provisional_duration": length(HOUR)}}
CASES = {
    "create": Case("CreateBooking", ordered, another_time, cancelled),
    "create, deleted": Case("CreateBooking", ordered, another_time, gone),
    "create, any id": Case("CreateBooking", ordered_by_chance, another_time, cancelled),
    "block": Case("CreateBlock", closing, another_range, cancelled),
    "block, deleted": Case("CreateBlock", closing, another_range, gone),
    "confirm": Case("ConfirmBooking", booked("ConfirmBooking", **PENDING), another_reason, ended),
    "ask": Case("ConfirmBooking", booked("ConfirmBooking", **CART), another_reason, ended),
    "decline": Case("DeclineBooking", booked("DeclineBooking", **PENDING), another_reason, ended),
    "cancel": Case("CancelBooking", booked("CancelBooking"), another_reason, ended),
    "complete": Case(
        "CompleteBooking", booked("CompleteBooking", start=NOW), another_reason, ended
    ),
    "reschedule": Case("RescheduleBooking", booked("RescheduleBooking"), another_time, cancelled),
    "reschedule, deleted": Case(
        "RescheduleBooking", booked("RescheduleBooking"), another_time, gone
    ),
    "size": Case("SetCapacity", sized, another_number, gone),
    "rebuild": Case("RebuildDay", rebuilt, another_date, gone),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_repeated_call_has_one_effect_and_one_answer(
    desk: Desk, availability_url: str, case: Case
) -> None:
    caller = desk.caller
    asked = await case.made(desk)
    events = len(announced(availability_url, caller))

    at_once = await asyncio.gather(*(caller.send(case.method, asked) for _ in range(5)))
    after = everything(availability_url, caller)
    again = await caller.send(case.method, asked)

    assert len(announced(availability_url, caller)) == events + 1
    assert [*at_once, again] == [again] * 6
    assert everything(availability_url, caller) == after
    await clean(caller)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_repeated_call_is_answered_though_it_could_not_be_done_by_now(
    desk: Desk,
    availability_url: str,
    serve: Serve,
    shared_catalog: tuple[FakeCatalog, str],
    case: Case,
) -> None:
    caller = desk.caller
    asked = await case.made(desk)
    first = await caller.send(case.method, asked)
    await case.spoiled(desk)
    before = everything(availability_url, caller)

    again = await caller.send(case.method, asked)
    async with serve(shared_catalog[1], administration=False) as server:
        elsewhere = await server.send(case.method, asked)
    fresh = type(asked)()
    fresh.CopyFrom(asked)
    fresh.request_id = request(caller, case.method).request_id

    assert again == elsewhere == first
    assert everything(availability_url, caller) == before
    if case.method != "RebuildDay":
        refusal = await caller.refusal_of(case.method, fresh)
        assert refusal.reason in {
            *("INACTIVE", "NOT_FOUND", "INVALID_STATE", "ID_TAKEN", "SLOT_UNAVAILABLE")
        }


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_other_content_under_a_request_id_is_refused_whatever_else_is_wrong(
    desk: Desk, availability_url: str, case: Case
) -> None:
    caller = desk.caller
    asked = await case.made(desk)
    await caller.send(case.method, asked)
    case.other(asked)
    before = everything(availability_url, caller)

    at_once = await caller.refusal_of(case.method, asked)
    unwritten = everything(availability_url, caller)
    await case.spoiled(desk)
    later = await caller.refusal_of(case.method, asked)

    assert (at_once.code, at_once.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "REQUEST_ID_REUSED",
    )
    assert later == at_once
    assert unwritten == before


async def test_a_refusal_is_decided_anew_once_its_cause_is_gone(desk: Desk) -> None:
    caller = desk.caller
    await caller.book(NINE, booking_id="rival", items=items("studio-a", chairs=3))
    await caller.book(at(12), booking_id="b")
    requests = [
        ("CreateBooking", caller.order(NINE), "SLOT_UNAVAILABLE"),
        ("CreateBlock", blocking(caller, NINE + HOUR, NINE + 2 * HOUR), "SLOT_UNAVAILABLE"),
        ("RescheduleBooking", moving(caller, "b", NINE + 2 * HOUR), "SLOT_UNAVAILABLE"),
        ("SetCapacity", sizing(caller, "chairs", 2), "IN_USE"),
        ("ConfirmBooking", request(caller, "ConfirmBooking", booking_id="late"), "NOT_FOUND"),
    ]
    await move(caller, "rival", NINE, duration=length(HOUR))
    others = [
        await block(caller, NINE + hour * HOUR, NINE + hour * HOUR + QUARTER) for hour in (1, 2)
    ]

    refused = [(await caller.refusal_of(method, asked)).reason for method, asked, _ in requests]
    for name in ("rival", *(other.booking_id for other in others)):
        await caller.cancel(name)
    await caller.book(at(15), booking_id="late", event_type_id="asked")
    answers = [await caller.send(method, asked) for method, asked, _ in requests]

    assert refused == [reason for *_, reason in requests]
    assert len(answers) == len(requests)
    await clean(caller)


async def test_one_request_id_under_several_methods_is_several_calls(desk: Desk) -> None:
    caller = desk.caller
    asked = caller.order(NINE, booking_id="b", event_type_id="asked")
    await caller.send("CreateBooking", asked)

    states = []
    for method in ("ConfirmBooking", "CancelBooking"):
        same = request(caller, method, booking_id="b", request_id=asked.request_id)
        states.append(state_of((await caller.send(method, same)).booking))

    assert states == ["CONFIRMED", "CANCELLED"]


async def test_one_request_id_of_two_organizations_is_two_calls(desk: Desk) -> None:
    other = Desk(desk.caller.elsewhere(), desk.catalog)
    other.offer()
    asked = desk.caller.order(NINE, booking_id="b")
    await desk.caller.send("CreateBooking", asked)
    theirs = other.caller.order(at(12), booking_id="b", request_id=asked.request_id)

    answer = await other.caller.send("CreateBooking", theirs)

    assert answer.booking.organization_id == other.caller.organization_id
    assert answer.booking.start_time == stamp(at(12))
