from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from google.protobuf.message import Message

from holdfast.availability.v1 import availability_pb2, booking_event_pb2, booking_pb2
from holdfast.catalog.v1 import catalog_pb2, event_type_pb2, resource_pb2, schedule_pb2
from holdfast.common.v1.time_pb2 import TimeWindow
from holdfast.presence.v1 import presence_pb2
from shared.client.cli.record import record
from shared.client.value import to_date, to_duration, to_time_of_day, to_timestamp

_INSTANT = datetime(2027, 3, 9, 9, tzinfo=UTC)


def test_a_booking_has_every_field_of_the_contract() -> None:
    booking = booking_pb2.Booking(
        booking_id="b1",
        items=[booking_pb2.BookingItem(resource_id="studio-a", units=1)],
        start_time=to_timestamp(_INSTANT),
        state=booking_event_pb2.BOOKING_STATE_CONFIRMED,
    )

    assert record(booking) == {
        "booking_id": "b1",
        "organization_id": "",
        "items": [
            {
                "resource_id": "studio-a",
                "units": 1,
                "occupancy_start_time": None,
                "occupancy_end_time": None,
            }
        ],
        "event_type_id": "",
        "event_type_title": "",
        "start_time": "2027-03-09T09:00:00Z",
        "end_time": None,
        "booker": None,
        "location": "",
        "time_zone": "",
        "state": "confirmed",
        "cancel_reason": "",
        "create_time": None,
        "update_time": None,
        "kind": "unspecified",
        "sequence": 0,
        "revision": 0,
        "expire_time": None,
        "block_reason": "",
    }


def test_lengths_are_minutes_in_fields_that_say_so() -> None:
    event_type = event_type_pb2.EventType(
        duration_options=[to_duration(timedelta(hours=1)), to_duration(timedelta(days=2))],
        buffer_before=to_duration(timedelta(0)),
        flexible_duration=event_type_pb2.FlexibleDuration(step=to_duration(timedelta(minutes=5))),
    )

    found = record(event_type)

    assert found["duration_options_minutes"] == [60, 2880]
    assert found["buffer_before_minutes"] == 0
    assert found["buffer_after_minutes"] is None
    assert found["flexible_duration"] == {
        "minimum_minutes": None,
        "maximum_minutes": None,
        "step_minutes": 5,
    }


def test_hours_are_weekdays_and_wall_times() -> None:
    window = TimeWindow(start=to_time_of_day(540), end=to_time_of_day(1440))
    schedule = schedule_pb2.Schedule(windows=[schedule_pb2.WeeklyWindow(day=1, window=window)])

    assert record(schedule)["windows"] == [
        {"day": "monday", "window": {"start": "09:00", "end": "24:00"}}
    ]


def test_large_numbers_stay_numbers_and_dates_are_iso() -> None:
    version = availability_pb2.DayVersion(date=to_date(_INSTANT.date()), version=2**60)

    assert record(version) == {"resource_id": "", "date": "2027-03-09", "version": 2**60}


def test_a_map_is_a_map_sorted_by_key() -> None:
    resource = resource_pb2.Resource(metadata={"b": "2", "a": "1"})

    assert list(record(resource)["metadata"].items()) == [("a", "1"), ("b", "2")]  # type: ignore[union-attr]  # a map it is


def test_a_flag_that_was_not_sent_is_null_and_one_that_was_is_not() -> None:
    assert record(resource_pb2.Resource())["active"] is None
    assert record(resource_pb2.Resource(active=False))["active"] is False


def test_an_enum_value_of_a_newer_service_is_its_number() -> None:
    resource = resource_pb2.Resource()
    resource.type = 99  # type: ignore[assignment]  # as a newer service would send it

    assert record(resource)["type"] == "99"


def test_every_message_of_the_contracts_becomes_json() -> None:
    files = [
        availability_pb2.DESCRIPTOR,
        booking_pb2.DESCRIPTOR,
        event_type_pb2.DESCRIPTOR,
        presence_pb2.DESCRIPTOR,
        resource_pb2.DESCRIPTOR,
        schedule_pb2.DESCRIPTOR,
    ]
    modules = [
        availability_pb2,
        booking_pb2,
        event_type_pb2,
        presence_pb2,
        resource_pb2,
        schedule_pb2,
    ]

    for file, module in zip(files, modules, strict=True):
        for name in file.message_types_by_name:
            message: Message = getattr(module, name)()
            assert json.loads(json.dumps(record(message))) == record(message)
    assert catalog_pb2.DESCRIPTOR.message_types_by_name == {}
