"""Short stories that a correct engine lives through, and each mutant does not."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import psycopg

from holdfast.availability.v1 import availability_pb2, booking_pb2
from tests.contract.availability.world import HOUR, civil, length, stamp
from tests.faults.history import Answered, Outcome
from tests.faults.mutant.gate import Gate, Meeting
from tests.faults.recorder import Recorder, look
from tests.faults.scene import Scene, at

NINE = at(7 * 96 + 4)
_SOON_SECONDS = 0.5


class Story:
    """A scene, whoever calls in it, and where its transactions wait."""

    def __init__(self, scene: Scene, recorder: Recorder, meeting: Meeting, gate: Gate) -> None:
        self.scene = scene
        self.recorder = recorder
        self.meeting = meeting
        self.gate = gate

    async def book(
        self, start: datetime, units: Mapping[str, int] | None = None, **fields: Any
    ) -> Outcome:
        """Books an hour of a room, or of what is named."""
        return await self.recorder.call("CreateBooking", self.order(start, units, **fields))

    def order(
        self, start: datetime, units: Mapping[str, int] | None = None, **fields: Any
    ) -> booking_pb2.CreateBookingRequest:
        """A request to book."""
        given: dict[str, Any] = {
            **self._header(),
            "booking_id": str(uuid.uuid4()),
            "items": [
                booking_pb2.BookingItem(resource_id=name, units=count)
                for name, count in (units or {"room-0": 1}).items()
            ],
            "event_type_id": "session",
            "start_time": stamp(start),
            "duration": length(HOUR),
            "booker": booking_pb2.Booker(booker_id="ann"),
        }
        return booking_pb2.CreateBookingRequest(**(given | fields))

    async def cancel(self, booked: Outcome) -> Outcome:
        """Cancels."""
        assert isinstance(booked, Answered)
        request = booking_pb2.CancelBookingRequest(
            **self._header(), booking_id=booked.message.booking.booking_id
        )
        return await self.recorder.call("CancelBooking", request)

    async def resize(self, units: int) -> Outcome:
        """Sets how many chairs there are."""
        request = availability_pb2.SetCapacityRequest(
            **self._header(), resource_id="chairs", units=units
        )
        return await self.recorder.call("SetCapacity", request)

    async def read_days(self) -> None:
        """Makes a server remember the rooms' days."""
        request = availability_pb2.GetDaysRequest(
            organization_id=self.scene.organization_id,
            resource_ids=["room-0"],
            first_date=civil(NINE.date()),
            last_date=civil(NINE.date()),
        )
        await self.recorder.call("GetDays", request)

    async def look(self) -> None:
        """Looks at the outbox."""
        async with await psycopg.AsyncConnection.connect(
            self.scene.url, autocommit=True
        ) as connection:
            await look(self.scene.history, connection, self.scene.organization_id)

    def _header(self) -> dict[str, str]:
        return {
            "organization_id": self.scene.organization_id,
            "request_id": str(uuid.uuid4()),
        }


async def two_want_one_slot(story: Story) -> None:
    """Of a day that exists, through two servers that have both read before either writes."""
    await story.book(NINE + 4 * HOUR)
    story.meeting.is_armed = True
    await asyncio.gather(story.book(NINE), story.book(NINE))


async def asked_again_by_others(story: Story) -> None:
    """Of a day that exists, one hour, by one after the other."""
    await story.book(NINE + 4 * HOUR)
    await story.book(NINE)
    await story.book(NINE)


async def written_again_while_one_waits(story: Story) -> None:
    """A day that its server remembers is written with the bits that it had, and then committed."""
    await story.book(NINE + 4 * HOUR)
    for _ in range(2):  # the servers take turns
        await story.read_days()
    organization = [story.scene.organization_id]
    async with await psycopg.AsyncConnection.connect(story.scene.url) as rival:
        await rival.execute(
            "update days set version = version where organization_id = %s", organization
        )
        waiting = asyncio.create_task(story.book(NINE))
        await story.meeting.somebody_waits()
    await waiting
    await story.book(NINE)


async def bundles_meet_crosswise(story: Story) -> None:
    """Two bundles of the same two rooms, at different times of one day."""
    rooms = {"room-0": 1, "room-1": 1}
    await story.book(NINE + 8 * HOUR, rooms)
    story.meeting.is_armed = True
    await asyncio.gather(story.book(NINE, rooms), story.book(NINE + 4 * HOUR, rooms))


async def one_is_slow(story: Story) -> None:
    """One transaction pauses before it writes; meanwhile another one begins and ends."""
    await story.book(NINE)
    story.gate.is_armed = True
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(story.book(NINE + timedelta(days=1)))
        await story.gate.reached.wait()
        await asyncio.wait({slow}, timeout=_SOON_SECONDS)
        await story.look()
        await story.book(NINE + timedelta(days=2))
        await story.look()
        story.gate.opened.set()
    await story.look()


async def cancelled_again_after_it_was_rebooked(story: Story) -> None:
    """The second cancellation must not touch who has the time by then."""
    first = await story.book(NINE)
    await story.cancel(first)
    await story.book(NINE)
    await story.cancel(first)


async def booked_and_cancelled(story: Story) -> None:
    """Frees all of its time, buffers included."""
    await story.cancel(await story.book(NINE))


async def more_chairs_than_there_are(story: Story) -> None:
    """Four of them, wanted twice by three."""
    await story.resize(4)
    await story.book(NINE, {"chairs": 3})
    await story.book(NINE, {"chairs": 3})


async def a_bundle(story: Story) -> None:
    """All of it, or nothing."""
    await story.book(NINE, {"room-0": 1, "chairs": 1})


async def back_to_back(story: Story) -> None:
    """One ends, buffers and all, where the other one begins."""
    await story.book(NINE + 2 * HOUR)
    await story.book(NINE + HOUR / 2)


async def asked_twice(story: Story) -> None:
    """A caller who did not hear the answer asks again."""
    order = story.order(NINE)
    for _ in range(2):
        await story.recorder.call("CreateBooking", order)
