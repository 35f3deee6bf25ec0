"""Bookings, claims and refusals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.availability.domain.admission import Wanted, admit
from services.availability.domain.booking import (
    Booker,
    Booking,
    BookingItem,
    BookingState,
)
from services.availability.domain.claim import DayKey, DayState, Taken, conflicts, refusal, touched
from services.availability.domain.day_bytes import from_bytes, to_bytes
from services.availability.domain.offering import Offering, OfferingName
from services.availability.domain.refusal import (
    DurationNotOffered,
    Inactive,
    InvalidState,
    NotLinked,
    NotOfferedStart,
    NotStandalone,
    OutsideSchedule,
    SlotUnavailable,
    TooFar,
    TooSoon,
)
from shared.runtime.failure import Failure, InvalidFields
from shared.slots import bitmap
from shared.slots.quantum import Span
from shared.slots.rule import BookingRules, DurationRange
from shared.slots.schedule import Schedule, Window
from shared.slots.zone import zone

NOW = datetime(2027, 3, 1, 8, tzinfo=UTC)
NINE = datetime(2027, 3, 8, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
BOOKING = Booking(
    organization_id="org",
    booking_id="mine",
    items=(BookingItem("studio-a", 1, Span(96, 100)),),
    event_type_id="session",
    event_type_title="Session",
    start=NOW,
    end=NOW + HOUR,
    booker=Booker("ann", "Ann", "ann@example.com"),
    location="",
    time_zone="",
    state=BookingState.CONFIRMED,
    cancel_reason="",
    created_at=NOW,
    updated_at=NOW,
    revision=0,
)
BITMAPS = st.integers(min_value=0, max_value=bitmap.FULL)


def test_a_cancelled_booking_differs_in_state_reason_time_and_revision_only() -> None:
    cancelled = BOOKING.cancelled(NOW + HOUR, "rained off")

    assert cancelled == replace(
        BOOKING,
        state=BookingState.CANCELLED,
        cancel_reason="rained off",
        updated_at=NOW + HOUR,
        revision=1,
    )
    assert (BOOKING.occupies, cancelled.occupies) == (True, False)


def test_a_cancelled_booking_cannot_be_cancelled() -> None:
    with pytest.raises(InvalidState, match="is cancelled") as refused:
        BOOKING.cancelled(NOW, "").cancelled(NOW, "")

    assert refused.value.metadata == {"state": "CANCELLED"}


def test_no_text_of_a_booking_shows_who_booked() -> None:
    shown = f"{BOOKING.cancelled(NOW, 'secret')!r}"

    for personal in ("ann", "Ann", "example", "secret"):
        assert personal not in shown


def test_days_sort_in_the_order_in_which_they_are_locked() -> None:
    span = Span(3 * 96 - 1, 4 * 96 + 1)

    keys = touched([BookingItem(name, 1, span) for name in ("b", "a", "B")])

    assert sorted(keys) == [DayKey(name, day) for name in ("B", "a", "b") for day in (2, 3, 4)]


def test_conflicts_are_the_taken_quanta_by_date() -> None:
    days = {1: DayState(bitmap.mask(90, 96), 7), 2: DayState(bitmap.mask(10, 12), 8)}

    assert conflicts(Span(96 + 94, 2 * 96 + 5), days) == {date(1970, 1, 2): [94, 95]}


def test_a_refusal_names_the_first_resource_in_the_way_only() -> None:
    found = refusal(
        [
            Taken(DayKey("b", 1), 0b11),
            Taken(DayKey("a", 2), 0b100),
            Taken(DayKey("a", 1), 0b1),
        ]
    )

    assert found.metadata == {
        "resource_id": "a",
        "quanta.1970-01-02": "0",
        "quanta.1970-01-03": "2",
    }


def test_a_refusal_of_many_dates_says_how_many_it_does_not_name() -> None:
    full = range(96)
    days = {date(2027, 3, day): full for day in range(1, 32)}

    told = SlotUnavailable("r" * 128, days).metadata

    assert sum(len(key) + len(value) for key, value in told.items()) < 2_000
    named = [key for key in told if key.startswith("quanta.")]
    assert len(named) + int(told["more_dates"]) == 31
    assert named == [f"quanta.2027-03-{day:02}" for day in range(1, len(named) + 1)]


def test_quantum_0_is_the_highest_bit_of_the_first_byte() -> None:
    assert to_bytes(1) == bytes([0x80, *[0] * 11])
    assert to_bytes(1 << 95) == bytes([*[0] * 11, 0x01])
    assert to_bytes(bitmap.mask(56, 96)) == bytes([*[0] * 7, *[0xFF] * 5])


@given(BITMAPS)
def test_bytes_give_back_their_bitmap(bits: int) -> None:
    assert from_bytes(to_bytes(bits)) == bits
    assert int.from_bytes(to_bytes(bits), "big") == int(bitmap.to_bits(bits), 2)


def offering(**changes: Any) -> Offering:
    facts: dict[str, Any] = {
        "name": OfferingName("org", "studio-a", "session"),
        "resource_active": True,
        "standalone": True,
        "event_type_active": True,
        "linked": True,
        "title": "Session",
        "locations": (),
        "zone_lock": None,
        "schedule": Schedule(zone("UTC"), {1: (Window(540, 1020),)}),
        "rules": BookingRules(durations=(HOUR,)),
    }
    return Offering(**(facts | changes))


def test_an_admitted_start_is_answered_with_its_occupancy() -> None:
    rules = BookingRules(durations=(HOUR,), buffer_after=timedelta(minutes=20))

    (item,) = admit([offering(rules=rules)], [1], Wanted(NINE, HOUR, ""), NOW)

    assert len(item.occupancy) == 6


REFUSED: dict[str, tuple[dict[str, Any], datetime, str, type[Failure]]] = {
    "resource": ({"resource_active": False, "linked": False}, NINE, "", Inactive),
    "event type": ({"event_type_active": False, "linked": False}, NINE, "", Inactive),
    "link": ({"linked": False, "standalone": False}, NINE, "", NotLinked),
    "add-on": ({"standalone": False}, NINE, "x", NotStandalone),
    "location": ({"rules": BookingRules(durations=(2 * HOUR,))}, NINE, "x", InvalidFields),
    "length": ({"rules": BookingRules(durations=(2 * HOUR,))}, NINE, "", DurationNotOffered),
    "hours": ({}, NINE + timedelta(days=1), "", OutsideSchedule),
    "start": ({}, NINE + HOUR / 4, "", NotOfferedStart),
    "past": ({}, NINE - timedelta(days=14), "", TooSoon),
    "horizon": (
        {"rules": BookingRules(durations=(HOUR,), horizon=HOUR)},
        NINE,
        "",
        TooFar,
    ),
}


@pytest.mark.parametrize(("facts", "start", "location", "kind"), REFUSED.values(), ids=REFUSED)
def test_what_may_not_be_booked_is_refused(
    facts: dict[str, Any], start: datetime, location: str, kind: type[Failure]
) -> None:
    with pytest.raises(kind):
        admit([offering(**facts)], [1], Wanted(start, HOUR, location), NOW)


def test_a_range_of_lengths_is_told_with_its_step() -> None:
    flexible = DurationRange(HOUR, 8 * HOUR, HOUR / 2)

    found = offering(rules=BookingRules(flexible=flexible)).length_refusal()

    assert found.metadata == {"offered": "60m to 480m in steps of 30m"}


def test_dates_are_read_in_the_locked_zone_else_the_viewers_else_the_schedules() -> None:
    tokyo, paris = zone("Asia/Tokyo"), zone("Europe/Paris")

    assert offering(zone_lock=tokyo).viewed_in(paris) is tokyo
    assert offering().viewed_in(paris) is paris
    assert offering().viewed_in(None) is zone("UTC")
