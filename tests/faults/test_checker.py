"""The checker passes what is right, and names each thing that is not."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import grpc
import pytest

from holdfast.availability.v1 import booking_pb2
from tests.faults.checker import check, report
from tests.faults.history import Answered, Call, Lost, Refused, Sighting
from tests.faults.occupancy import Occupancy, days_of
from tests.faults.scribe import DAY, Scribe
from tests.faults.tables import CANCELLED, COMPLETED, DayRow, ItemRow, counts_of
from tests.faults.violation import Rule, quanta_text

MONDAY = ("room", (DAY.toordinal() - 719_163))
CHAIRS = ("chairs", MONDAY[1])


def busy_day() -> Scribe:
    """A day on which everything happened once, and rightly."""
    scribe = Scribe()
    scribe.create("first", 9)
    scribe.refuse(9, [36, 37])
    scribe.resize(10)
    scribe.create("bundle", 12, {"room": 1, "chairs": 4})
    scribe.create("chairs", 12, {"chairs": 6})
    scribe.refuse(12, [50], "chairs")
    scribe.cancel("first")
    scribe.create("second", 9)
    scribe.move("bundle", 15)
    scribe.create("third", 12)
    scribe.cancel("chairs")
    scribe.resize(4)
    scribe.history.sightings += [
        Sighting(at, at + 0.1, 1, seen, seen) for at, seen in ((2.7, 2), (12.6, 10))
    ]
    return scribe


def test_what_is_right_is_no_violation() -> None:
    scribe = busy_day()

    found = check(scribe.history, scribe.tables)

    assert not found, report(found)


def test_nothing_at_all_is_right() -> None:
    scribe = Scribe()

    assert check(scribe.history, scribe.tables) == []


LIFE = timedelta(minutes=5)


def expired(*, at: timedelta) -> Scribe:
    """A provisional booking that the server ends; meanwhile another one of its id is refused.

    Whoever sent that gave up before it was told.
    """
    scribe = Scribe()
    made = scribe.create("waits", 9)
    request = booking_pb2.CreateBookingRequest(
        request_id=str(uuid.uuid4()), booking_id="waits", items=made.request.items
    )
    request.provisional_duration.FromTimedelta(2 * LIFE)
    scribe.note("CreateBooking", request, Lost(grpc.StatusCode.CANCELLED))
    scribe.expire(made, LIFE, at=at)
    return scribe


def test_who_gave_up_on_a_taken_id_says_nothing_of_how_long_it_lives() -> None:
    scribe = expired(at=LIFE)

    found = check(scribe.history, scribe.tables)

    assert not found, report(found)


def test_what_expires_too_soon_is_named() -> None:
    scribe = expired(at=LIFE - timedelta(minutes=1))

    found = check(scribe.history, scribe.tables)

    assert [each.rule for each in found] == [Rule.STATE], report(found)


def call_of(scribe: Scribe, method: str, booking_id: str) -> Call:
    return next(
        call
        for call in scribe.history.calls
        if (call.method, getattr(call.request, "booking_id", "")) == (method, booking_id)
    )


def swap(scribe: Scribe, old: Call, **changes: Any) -> Call:
    new = replace(old, **changes)
    scribe.history.calls[scribe.history.calls.index(old)] = new
    return new


def forget(scribe: Scribe, booking_id: str) -> None:
    for table in (scribe.tables.bookings, scribe.tables.items, scribe.tables.history):
        table.pop(booking_id)


def _lost_booking(scribe: Scribe) -> None:
    forget(scribe, "third")
    scribe.tables.outbox.pop(7)


def _refused_and_there(scribe: Scribe) -> None:
    swap(scribe, call_of(scribe, "CreateBooking", "third"), outcome=Refused("TOO_SOON", {}))


def _by_no_call(scribe: Scribe) -> None:
    scribe.history.calls.remove(call_of(scribe, "CreateBooking", "third"))


def _two_answers(scribe: Scribe) -> None:
    first = call_of(scribe, "CreateBooking", "third")
    other = call_of(scribe, "CreateBooking", "second")
    again = scribe.note(first.method, first.request, other.outcome)
    assert again.intent == first.intent


def _one_effect_for_two(scribe: Scribe) -> None:
    first = call_of(scribe, "CancelBooking", "first")
    request = booking_pb2.CancelBookingRequest(request_id="another", booking_id="first")
    scribe.note("CancelBooking", request, first.outcome)
    scribe.tables.keys.add(("CancelBooking", "another"))


def _answer_then_refusal(scribe: Scribe) -> None:
    first = call_of(scribe, "CreateBooking", "third")
    scribe.note(first.method, first.request, Refused("SLOT_UNAVAILABLE", {}))


def _key_forgotten(scribe: Scribe) -> None:
    scribe.tables.keys.remove(call_of(scribe, "CreateBooking", "third").intent)


def _key_and_nothing_else(scribe: Scribe) -> None:
    request = booking_pb2.CreateBookingRequest(request_id="half", booking_id="half")
    scribe.note("CreateBooking", request, Lost(grpc.StatusCode.UNAVAILABLE))
    scribe.tables.keys.add(("CreateBooking", "half"))


def _two_at_once(scribe: Scribe) -> None:
    items = scribe.tables.items["third"]
    scribe.tables.history["third"][0] = scribe.tables.history["third"][0]._replace(
        start_time=DAY + timedelta(hours=9), end_time=DAY + timedelta(hours=10)
    )
    scribe.tables.items["third"] = [item._replace(first=0, stop=6) for item in items]


def _too_many_chairs(scribe: Scribe) -> None:
    scribe.tables.items["bundle"][1] = ItemRow("chairs", 12, *scribe.tables.items["bundle"][1][2:])


def _bit_too_many(scribe: Scribe) -> None:
    row = scribe.tables.days[MONDAY]
    scribe.tables.days[MONDAY] = row._replace(busy=row.busy | 1)


def _bit_too_few(scribe: Scribe) -> None:
    row = scribe.tables.days[MONDAY]
    scribe.tables.days[MONDAY] = row._replace(busy=row.busy & ~(1 << 61))


def _miscounted(scribe: Scribe) -> None:
    row = scribe.tables.days[CHAIRS]
    assert row.counts is not None
    counts = [count + (place == 3) for place, count in enumerate(row.counts)]
    scribe.tables.days[CHAIRS] = DayRow(row.busy, row.version, counts)


def _day_lost(scribe: Scribe) -> None:
    del scribe.tables.days[MONDAY]


def _freed(scribe: Scribe, place: int, busy: int) -> None:
    row = scribe.tables.outbox[place]
    days = [[name, day, f"{busy:096b}"[::-1], *rest] for name, day, _, *rest in row.payload["days"]]
    scribe.tables.outbox[place] = row._replace(payload={"days": days})


def _freed_too_little(scribe: Scribe) -> None:
    _freed(scribe, 4, 1 << 35 | 0b111111 << 47)


def _freed_too_much(scribe: Scribe) -> None:
    _freed(scribe, 4, 0)


def _never_told(scribe: Scribe) -> None:
    row = scribe.tables.outbox[4]
    scribe.tables.outbox[4] = row._replace(payload={})


def _feed_gap(scribe: Scribe) -> None:
    scribe.tables.outbox = [
        row._replace(feed=row.feed + (row.feed > 4)) for row in scribe.tables.outbox
    ]
    scribe.tables.feed += 1


def _feed_swapped(scribe: Scribe) -> None:
    rows = scribe.tables.outbox
    rows[0], rows[5] = rows[5]._replace(feed=1), rows[0]._replace(feed=6)


def _feed_seen_with_a_hole(scribe: Scribe) -> None:
    scribe.history.sightings.append(Sighting(20, 20.1, 1, 10, 9))


def _feed_seen_too_late(scribe: Scribe) -> None:
    scribe.history.sightings[1] = Sighting(12.6, 12.7, 1, 8, 8)


def _events_of_others(scribe: Scribe) -> None:
    scribe.tables.outbox[0] = scribe.tables.outbox[0]._replace(kind="cancelled")


def _event_missing(scribe: Scribe) -> None:
    scribe.tables.outbox.pop()
    scribe.tables.outbox.pop()
    scribe.tables.feed -= 2


def _revision_missing(scribe: Scribe) -> None:
    scribe.tables.bookings["bundle"] = scribe.tables.bookings["bundle"]._replace(revision=2)


def _state_unlike_history(scribe: Scribe) -> None:
    scribe.tables.bookings["third"] = scribe.tables.bookings["third"]._replace(state=CANCELLED)


def _cancelled_twice(scribe: Scribe) -> None:
    scribe.cancel("first")


def _completed_early(scribe: Scribe) -> None:
    scribe.tables.history["third"][1] = scribe.tables.history["third"][0]._replace(
        event="completed", state=COMPLETED
    )
    scribe.tables.bookings["third"] = scribe.tables.bookings["third"]._replace(
        revision=1, state=COMPLETED
    )


def _half_a_bundle(scribe: Scribe) -> None:
    scribe.tables.items["bundle"].pop()


def _refused_for_nothing(scribe: Scribe) -> None:
    scribe.refuse(20, [80, 81])


def _refused_for_one_chair(scribe: Scribe) -> None:
    scribe.refuse(12, [50], "chairs")


def _state_never_had(scribe: Scribe) -> None:
    request = booking_pb2.CancelBookingRequest(request_id="late", booking_id="third")
    told = {"state": "CANCELLED"}
    scribe.note("CancelBooking", request, Refused("INVALID_STATE", told))


def _not_found(scribe: Scribe) -> None:
    request = booking_pb2.CancelBookingRequest(request_id="late", booking_id="third")
    scribe.note("CancelBooking", request, Refused("NOT_FOUND", {"kind": "booking"}))


def _id_of_nobody(scribe: Scribe) -> None:
    request = booking_pb2.CreateBookingRequest(request_id="x", booking_id="x")
    scribe.note("CreateBooking", request, Refused("ID_TAKEN", {}))


def _read_too_old(scribe: Scribe) -> None:
    request = booking_pb2.GetBookingRequest(booking_id="bundle")
    created = call_of(scribe, "CreateBooking", "bundle").outcome
    assert isinstance(created, Answered)
    scribe.note("GetBooking", request, created)


def _read_nothing(scribe: Scribe) -> None:
    request = booking_pb2.GetBookingRequest(booking_id="third")
    scribe.note("GetBooking", request, Refused("NOT_FOUND", {"kind": "booking"}))


def _deadlock(scribe: Scribe) -> None:
    scribe.history.deadlocks = 1


DAMAGES: dict[Callable[[Scribe], None], Rule] = {
    _lost_booking: Rule.LOST,
    _refused_and_there: Rule.REFUSED,
    _by_no_call: Rule.INVENTED,
    _two_answers: Rule.TWICE,
    _one_effect_for_two: Rule.SHARED,
    _answer_then_refusal: Rule.TWICE,
    _key_forgotten: Rule.LOST,
    _key_and_nothing_else: Rule.PARTIAL,
    _two_at_once: Rule.OVERLAP,
    _too_many_chairs: Rule.OVERLAP,
    _bit_too_many: Rule.DAY,
    _bit_too_few: Rule.DAY,
    _miscounted: Rule.DAY,
    _day_lost: Rule.DAY,
    _freed_too_little: Rule.RELEASE,
    _freed_too_much: Rule.RELEASE,
    _never_told: Rule.RELEASE,
    _feed_gap: Rule.FEED,
    _feed_swapped: Rule.FEED,
    _feed_seen_with_a_hole: Rule.FEED,
    _feed_seen_too_late: Rule.EARLY,
    _events_of_others: Rule.EVENT,
    _event_missing: Rule.EVENT,
    _revision_missing: Rule.REVISION,
    _state_unlike_history: Rule.EVENT,
    _cancelled_twice: Rule.STATE,
    _completed_early: Rule.STATE,
    _half_a_bundle: Rule.PARTIAL,
    _refused_for_nothing: Rule.UNEXPLAINED,
    _refused_for_one_chair: Rule.UNEXPLAINED,
    _state_never_had: Rule.UNEXPLAINED,
    _not_found: Rule.UNEXPLAINED,
    _id_of_nobody: Rule.UNEXPLAINED,
    _read_too_old: Rule.EARLY,
    _read_nothing: Rule.EARLY,
    _deadlock: Rule.DEADLOCK,
}


@pytest.mark.parametrize(
    ("damage", "rule"),
    DAMAGES.items(),
    ids=[damage.__name__.strip("_") for damage in DAMAGES],
)
def test_each_damage_is_named(damage: Callable[[Scribe], None], rule: Rule) -> None:
    scribe = busy_day()
    damage(scribe)

    found = check(scribe.history, scribe.tables)

    assert rule in {violation.rule for violation in found}, report(found)


def test_a_refusal_that_a_rival_explains_at_some_moment_of_the_call_is_right() -> None:
    scribe = busy_day()
    refused = scribe.refuse(9, [40])
    rival = call_of(scribe, "CreateBooking", "first")
    # Free before and after, and taken for a moment between.
    swap(scribe, refused, started=rival.started, ended=rival.ended)
    scribe.cancel("second")

    assert not check(scribe.history, scribe.tables)


def test_a_refusal_that_a_smaller_pool_explains_is_right() -> None:
    scribe = Scribe()
    scribe.resize(5)
    scribe.create("most", 9, {"chairs": 4})
    shrunk = scribe.resize(4)
    scribe.resize(5)
    scribe.create("later", 12)
    refused = scribe.refuse(9, [36], "chairs")
    assert check(scribe.history, scribe.tables)

    swap(scribe, refused, started=shrunk.started, ended=shrunk.ended)

    assert not check(scribe.history, scribe.tables)


def test_a_retry_may_come_at_a_bad_time() -> None:
    scribe = busy_day()
    first = call_of(scribe, "CreateBooking", "third")
    scribe.note(first.method, first.request, Refused("OVERLOADED", {}))

    assert not check(scribe.history, scribe.tables)


def test_an_unknown_outcome_may_be_either() -> None:
    for booking_id in ("third", "nobody"):
        scribe = busy_day()
        call = call_of(scribe, "CreateBooking", "third")
        lost = Lost(grpc.StatusCode.UNAVAILABLE)
        if booking_id == "third":
            swap(scribe, call, outcome=lost)
        else:
            request = booking_pb2.CreateBookingRequest(request_id="x", booking_id=booking_id)
            scribe.note("CreateBooking", request, lost)

        assert not check(scribe.history, scribe.tables)


def test_wide_counts_are_plain_counts() -> None:
    occupancy = Occupancy()
    items = [ItemRow("r", 1000, 90, 200, pool=True), ItemRow("r", 3, 95, 97, pool=True)]
    occupancy.take("a", items[:1])
    occupancy.take("b", items[1:])

    assert list(occupancy.counts(("r", 0)))[88:] == [0, 0, 1000, 1000, 1000, 1000, 1000, 1003]
    assert list(occupancy.counts(("r", 0), without="a"))[94:] == [0, 3]
    occupancy.release("a")
    assert sum(occupancy.counts(("r", 1))) == 3
    assert list(days_of(items[1])) == [(("r", 0), 1 << 95), (("r", 1), 1)]


def test_planes_and_quanta_are_read_as_they_are_written() -> None:
    assert counts_of(b"\x80" + bytes(11) + b"\xc0" + bytes(11)) == [3, 2] + [0] * 94
    assert counts_of(b"") is None
    assert quanta_text([1, 2, 3, 7]) == "1-3,7"
