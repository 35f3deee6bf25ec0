from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.availability.v1.availability_pb2 import FindAvailabilityResponse, FreeResource, Slot
from holdfast.availability.v1.booking_event_pb2 import (
    BOOKING_EVENT_KIND_CREATED,
    BOOKING_EVENT_KIND_RESCHEDULED,
    BOOKING_STATE_CONFIRMED,
    BOOKING_STATE_PENDING,
    BOOKING_STATE_PROVISIONAL,
    BookingEvent,
    BookingState,
)
from holdfast.availability.v1.booking_pb2 import (
    BOOKING_KIND_BLOCK,
    Booking,
    BookingItem,
    CreateBookingResponse,
)
from shared.client.cli import book, booking_view, bookings, find
from shared.client.cli.output import Output
from shared.client.value import to_timestamp
from shared.slots.zone import zone

_NINE = datetime(2027, 3, 9, 9, tzinfo=UTC)
_HOUR = timedelta(hours=1)
_BERLIN = zone("Europe/Berlin")


def _booking(state: BookingState.ValueType = BOOKING_STATE_CONFIRMED) -> Booking:
    return Booking(
        booking_id="b-1",
        items=[
            BookingItem(resource_id="studio-a", units=1),
            BookingItem(resource_id="mic", units=3),
        ],
        start_time=to_timestamp(_NINE),
        end_time=to_timestamp(_NINE + _HOUR),
        state=state,
    )


def _shown(booking: Booking) -> list[str]:
    stdout = io.StringIO()
    answer = CreateBookingResponse(booking=booking, management_token="secret")
    book._show(Output("table", stdout), answer, _BERLIN, "holdfast")
    return stdout.getvalue().splitlines()


def test_a_booking_is_told_with_what_its_token_is_for() -> None:
    assert _shown(_booking()) == [
        "Booked studio-a, mic x 3 for 1 h: Tue 9 March 2027, 10:00 to 11:00 (Europe/Berlin)",
        "Its id is b-1; to cancel it:",
        "  holdfast cancel b-1",
        "Whoever has its management token may see, move and cancel it (--token):",
        "  secret",
    ]


def test_a_provisional_booking_is_told_with_its_end() -> None:
    booking = _booking(BOOKING_STATE_PROVISIONAL)
    booking.expire_time.FromDatetime(_NINE - 23 * _HOUR)

    lines = _shown(booking)

    assert lines[0].startswith("Booked for now studio-a, mic x 3 for 1 h: ")
    assert lines[1:3] == [
        "It expires at 2027-03-08 11:00 unless it is confirmed:",
        "  holdfast confirm b-1",
    ]


def test_a_pending_booking_is_told_as_asked_for() -> None:
    lines = _shown(_booking(BOOKING_STATE_PENDING))

    assert lines[0].startswith("Asked for studio-a, mic x 3 for 1 h: ")
    assert lines[1] == "It waits for somebody to accept it, until its start at most:"


def test_what_each_resource_takes_beyond_the_booking_is_told_apart() -> None:
    booking = _booking()
    for item, buffer in zip(booking.items, (timedelta(0), _HOUR), strict=True):
        item.occupancy_start_time.FromDatetime(_NINE)
        item.occupancy_end_time.FromDatetime(_NINE + _HOUR + buffer)

    facts = dict(booking_view._facts(booking, _BERLIN))

    assert facts["Resources"] == "studio-a, mic x 3"
    assert facts["Takes"] == "mic: Tue 9 March 2027, 10:00 to 12:00"


def test_a_block_has_a_reason_and_no_booker() -> None:
    block = _booking()
    block.kind = BOOKING_KIND_BLOCK
    block.block_reason = "repair"

    facts = dict(booking_view._facts(block, _BERLIN))

    assert facts["Block"] == "b-1"
    assert facts["Why"] == "repair"
    assert not {"Booking", "Booker", "Event type"} & set(facts)


def test_history_says_who_why_and_what_was_overridden() -> None:
    events = [
        BookingEvent(
            kind=kind,
            state=BOOKING_STATE_CONFIRMED,
            actor_id=actor,
            reason=reason,
            event_time=to_timestamp(_NINE - _HOUR),
            start_time=to_timestamp(_NINE),
            overridden=bool(reason),
        )
        for kind, actor, reason in (
            (BOOKING_EVENT_KIND_CREATED, "", ""),
            (BOOKING_EVENT_KIND_RESCHEDULED, "ada", "the train is late"),
        )
    ]
    stdout = io.StringIO()

    columns = booking_view.history_columns(_BERLIN)
    Output("table", stdout).table(columns, events, empty="")

    rows = [re.split(" {2,}", line) for line in stdout.getvalue().splitlines()[1:]]
    assert rows == [
        ["2027-03-09 09:00", "created", "confirmed", "2027-03-09 10:00"],
        ["2027-03-09 09:00", "rescheduled, overridden", "confirmed", "2027-03-09 10:00", "ada",
         "the train is late"],
    ]  # fmt: skip


@pytest.mark.parametrize("state", BookingState.values())
def test_active_bookings_are_those_that_still_are_to_take_place(
    state: BookingState.ValueType,
) -> None:
    word = booking_view.state_word(_booking(state))

    assert bookings.fits("active")(_booking(state)) is (
        word in {"provisional", "pending", "confirmed"}
    )
    assert bookings.fits("any")(_booking(state))
    assert bookings.state_of("active") == bookings.state_of("any") == 0


def test_each_state_can_be_asked_for_by_its_word() -> None:
    assert [bookings.state_of(word) for word in booking_view.STATES] == [1, 2, 3, 4, 5, 6, 7]


def test_free_resources_have_a_row_for_each_start() -> None:
    slots = [
        Slot(start_time=to_timestamp(_NINE + number * _HOUR), units_free=2) for number in (0, 4)
    ]
    answer = FindAvailabilityResponse(
        resources=[
            FreeResource(resource_id="studio-a", slots=slots),
            FreeResource(resource_id="studio-b", slots=slots[1:]),
        ]
    )

    found = find.rows(answer, 2 * _HOUR, _BERLIN)

    assert [[column.cell(row) for column in find._COLUMNS] for row in found] == [
        ["studio-a", "2027-03-09 10:00+0100", "2027-03-09 12:00+0100", "2"],
        ["studio-a", "2027-03-09 14:00+0100", "2027-03-09 16:00+0100", "2"],
        ["studio-b", "2027-03-09 14:00+0100", "2027-03-09 16:00+0100", "2"],
    ]
