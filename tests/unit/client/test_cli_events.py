from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import grpc

from holdfast.availability.v1.booking_event_pb2 import (
    BOOKING_EVENT_KIND_CANCELLED,
    BOOKING_STATE_CANCELLED,
    BookingEvent,
)
from holdfast.availability.v1.booking_pb2 import BOOKING_KIND_BLOCK, Booking, BookingItem
from shared.client.booking_watch import BookingsEvent
from shared.client.cli.events import Teller
from shared.client.cli.output import Output
from shared.client.failure import HoldfastError
from shared.client.value import to_timestamp
from shared.client.watch_event import WatchKind
from shared.slots.zone import zone

_NINE = datetime(2027, 3, 9, 9, tzinfo=UTC)


def _cancelled(actor_id: str = "", reason: str = "") -> BookingsEvent:
    event = BookingEvent(
        booking_id="b-1",
        revision=1,
        kind=BOOKING_EVENT_KIND_CANCELLED,
        state=BOOKING_STATE_CANCELLED,
        event_time=to_timestamp(_NINE - timedelta(hours=1)),
        start_time=to_timestamp(_NINE),
        end_time=to_timestamp(_NINE + timedelta(hours=1)),
        actor_id=actor_id,
        reason=reason,
    )
    booking = Booking(booking_id="b-1", items=[BookingItem(resource_id="studio-a", units=1)])
    return BookingsEvent(WatchKind.CHANGES, b"\x01\xff", event, booking)


def _told(kind: str, *news: BookingsEvent) -> tuple[list[str], list[str]]:
    """What was written to stdout and to stderr."""
    streams = io.StringIO(), io.StringIO()
    teller = Teller(Output(kind, *streams), zone("Europe/Berlin"))
    for each in news:
        teller.tell(each)
    teller.close("holdfast")
    out, err = (stream.getvalue().splitlines() for stream in streams)
    return out, err


def test_an_event_is_a_line_and_the_end_says_how_to_go_on() -> None:
    out, err = _told("table", _cancelled(actor_id="ada", reason="ill"))

    (line,) = out
    assert line.split("  ") == [
        "2027-03-09T08:00:00.000Z",
        "booking cancelled",
        "b-1",
        "studio-a",
        "2027-03-09 10:00+0100",
        "2027-03-09 11:00+0100",
        "by ada",
        "ill",
    ]
    assert err == ["To go on from here:", "    holdfast events --after 01ff"]


def test_what_nobody_did_for_no_reason_is_told_without_either() -> None:
    (line,), _ = _told("table", _cancelled())

    assert line.endswith("2027-03-09 11:00+0100")


def test_an_event_of_a_block_says_so() -> None:
    news = _cancelled()
    assert news.booking is not None
    news.booking.kind = BOOKING_KIND_BLOCK

    (line,), _ = _told("table", news)

    assert "  block cancelled  " in line


def test_for_scripts_each_line_has_the_token_after_it() -> None:
    out, err = _told("json", BookingsEvent(WatchKind.LIVE, b"\x01"), _cancelled(reason="ill"))

    first, second = map(json.loads, out)
    assert first == {"event": None, "booking": None, "resume_token": "01"}
    assert second["event"]["kind"] == "cancelled"
    assert second["event"]["reason"] == "ill"
    assert second["booking"]["booking_id"] == "b-1"
    assert second["resume_token"] == "01ff"
    assert err == []


def test_a_server_that_is_not_heard_is_said_beside_the_result() -> None:
    failure = HoldfastError(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "drains")
    lost = BookingsEvent(WatchKind.STALE, b"", failure=failure)

    assert _told("table", lost) == ([], ["reconnecting: availability is not heard"])
    assert _told("json", lost) == ([], [])
