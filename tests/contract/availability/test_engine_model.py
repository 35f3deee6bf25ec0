"""Random walks through every call, each checked against a model that anybody can read."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, TypeVar

import grpc
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from holdfast.availability.v1 import availability_pb2, booking_event_pb2, booking_pb2
from tests.contract.availability.engine_model import (
    OCCUPYING,
    POOL,
    QUARTER,
    RESOURCES,
    ROOMS,
    Entry,
    Model,
    Refused,
)
from tests.contract.availability.world import (
    NOW,
    Caller,
    civil,
    interval,
    length,
    read_refusal,
    set_quanta,
    stamp,
)
from tests.faults.scene import Scene, furnished

T = TypeVar("T")
IS_FULL_DOSE = os.environ.get("HOLDFAST_TEST_DOSE") == "full"
DOSE = settings(
    max_examples=200 if IS_FULL_DOSE else 8,
    stateful_step_count=50 if IS_FULL_DOSE else 30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
DAYS = 3
# The server's pauses are random, and pass while Hypothesis draws.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the .random. module")
_SWEPT_SECONDS = 5.0

UNITS = st.one_of(
    st.sampled_from(ROOMS).map(lambda name: {name: 1}),
    st.integers(1, 3).map(lambda units: {POOL: units}),
    st.integers(1, 2).map(lambda units: {ROOMS[0]: 1, ROOMS[1]: 1, POOL: units}),
)
# Few of them: what random calls want must often be the same time.
STARTS = st.integers(-2, 24).map(lambda number: NOW + (5 + 2 * number) * QUARTER)
LENGTHS = st.sampled_from([1, 2, 4, 70]).map(lambda number: number * QUARTER)
TYPES = st.sampled_from(["session", "visit"])


class Driver:
    """A server, its catalog and clock, in a loop of their own: Hypothesis has none."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._stack = AsyncExitStack()
        self.scene: Scene
        self._channel: grpc.aio.Channel

    def start(self) -> None:
        """Serves."""
        self._thread.start()
        self.run(self._serve())

    def stop(self) -> None:
        """Stops serving."""
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Waits for a coroutine."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def caller(self) -> Caller:
        """Calls for an organization that nobody has called for, on the first morning."""
        self.scene.clock.set(NOW)
        self.scene.organization_id = f"org-{uuid.uuid4().hex}"
        self.scene.furnish()
        return Caller(self._channel, self.scene.organization_id)

    async def _serve(self) -> None:
        self.scene = await self._stack.enter_async_context(furnished(self._url))
        self._channel = await self._stack.enter_async_context(self.scene.served())


@pytest.fixture(scope="module")
def driver(availability_url: str) -> Iterator[Driver]:
    found = Driver(availability_url)
    found.start()
    yield found
    found.stop()


class EngineMachine(RuleBasedStateMachine):
    """Says the same to engine and model, and compares what both say."""

    bookings = Bundle("bookings")
    requests = Bundle("requests")

    driver: Driver

    def __init__(self) -> None:
        super().__init__()
        self.caller = self.driver.caller()
        self.model = Model(NOW)

    @rule(
        targets=(bookings, requests),
        units=UNITS,
        start=STARTS,
        lasting=LENGTHS,
        event_type_id=TYPES,
        minutes=st.one_of(st.none(), st.integers(1, 60)),
    )
    def create(
        self,
        units: Mapping[str, int],
        start: datetime,
        lasting: timedelta,
        event_type_id: str,
        minutes: int | None,
    ) -> Any:
        life = timedelta(minutes=minutes) if minutes else None
        state = "PENDING" if event_type_id == "visit" else "CONFIRMED"
        entry = Entry(
            event_type_id,
            units,
            start,
            lasting,
            "PROVISIONAL" if life else state,
            self.model.now + life if life else None,
        )
        request = self._request(
            "CreateBooking",
            str(uuid.uuid4()),
            items=[
                booking_pb2.BookingItem(resource_id=name, units=count)
                for name, count in units.items()
            ],
            event_type_id=event_type_id,
            start_time=stamp(start),
            duration=length(lasting),
            booker=booking_pb2.Booker(booker_id="ann"),
            provisional_duration=length(life) if life else None,
        )
        expected = self.model.create(request.booking_id, entry)
        return self._told("CreateBooking", request, expected)

    @rule(
        targets=(bookings, requests),
        resource_id=st.sampled_from(RESOURCES),
        units=st.integers(0, 1),
        start=STARTS,
        lasting=LENGTHS,
    )
    def block(self, resource_id: str, units: int, start: datetime, lasting: timedelta) -> Any:
        request = self._request(
            "CreateBlock",
            str(uuid.uuid4()),
            resource_id=resource_id,
            units=units,
            range=interval(start, start + lasting),
            reason="repairs",
        )
        entry = Entry("", {resource_id: units}, start, lasting, "CONFIRMED")
        expected = self.model.block(request.booking_id, entry)
        return self._told("CreateBlock", request, expected)

    @rule(target=requests, booking=bookings, start=STARTS, lasting=LENGTHS)
    def move(self, booking: Any, start: datetime, lasting: timedelta) -> Any:
        request = self._request(
            "RescheduleBooking",
            booking[1].booking_id,
            start_time=stamp(start),
            duration=length(lasting),
        )
        expected = self.model.move(request.booking_id, start, lasting)
        return self._told("RescheduleBooking", request, expected)

    @rule(
        target=requests,
        booking=bookings,
        method=st.sampled_from(["Confirm", "Decline", "Cancel", "Cancel", "Complete"]),
    )
    def change(self, booking: Any, method: str) -> Any:
        request = self._request(f"{method}Booking", booking[1].booking_id)
        expected = getattr(self.model, method.lower())(request.booking_id)
        return self._told(f"{method}Booking", request, expected)

    @rule(target=requests, units=st.integers(1, 5))
    def resize(self, units: int) -> Any:
        request = availability_pb2.SetCapacityRequest(
            organization_id=self.caller.organization_id,
            request_id=str(uuid.uuid4()),
            resource_id=POOL,
            units=units,
        )
        return self._told("SetCapacity", request, self.model.resize(units))

    @rule(earlier=requests)
    def repeat(self, earlier: Any) -> None:
        method, request, answer = earlier

        assert self.driver.run(self.caller.send(method, request)) == answer

    @rule(minutes=st.integers(1, 90))
    def wait(self, minutes: int) -> None:
        by = timedelta(minutes=minutes)
        ended = self.model.wait(by)
        self.driver.scene.clock.advance(by)

        # At once for whoever asks about it; its time is free once the server got round to it.
        self._compare_bookings(ended)
        self.driver.run(self._swept(ended))

    @invariant()
    def days_are_what_the_model_counts(self) -> None:
        first = int(NOW.timestamp()) // 86_400
        request = availability_pb2.GetDaysRequest(
            organization_id=self.caller.organization_id,
            resource_ids=RESOURCES,
            first_date=civil(NOW.date()),
            last_date=civil(NOW.date() + timedelta(days=DAYS - 1)),
        )
        answer = self.driver.run(self.caller.send("GetDays", request))
        for index, day in enumerate(answer.days):
            begin = 96 * (first + index % DAYS)
            counts = [self.model.count(day.resource_id, begin + place) for place in range(96)]
            capacity = self.model.free(day.resource_id)
            full = [place for place, count in enumerate(counts) if count >= capacity]
            assert set_quanta(day.busy) == full
            if day.resource_id == POOL:
                assert list(day.units_taken or [0] * 96) == counts

    def teardown(self) -> None:
        self._compare_bookings(self.model.entries)
        found = self.driver.run(self.caller.verification())
        assert not found.difference_count
        assert found.bookings_checked == sum(
            entry.state in OCCUPYING for entry in self.model.entries.values()
        )

    def _request(self, method: str, booking_id: str, **fields: Any) -> Any:
        return getattr(booking_pb2, f"{method}Request")(
            organization_id=self.caller.organization_id,
            request_id=str(uuid.uuid4()),
            booking_id=booking_id,
            **fields,
        )

    def _told(self, method: str, request: Any, expected: Refused | None) -> Any:
        """Compares an answer with the model's; returns the call where it succeeded."""
        try:
            answer = self.driver.run(self.caller.send(method, request))
        except grpc.aio.AioRpcError as error:
            refusal = read_refusal(error)
            assert expected is not None, f"{method} was refused: {refusal}"
            assert refusal.reason == expected[0], refusal
            assert expected[1].items() <= refusal.metadata.items(), refusal
            return multiple()
        assert expected is None, f"{method} was not refused: {expected}"
        if method != "SetCapacity":
            self._compare_bookings([request.booking_id])
            self.driver.run(self._swept([request.booking_id]))
        return method, request, answer

    def _compare_bookings(self, booking_ids: Any) -> None:
        for booking_id in booking_ids:
            request = booking_pb2.GetBookingRequest(
                organization_id=self.caller.organization_id, booking_id=booking_id
            )
            booking = self.driver.run(self.caller.send("GetBooking", request)).booking
            entry = self.model.entries[booking_id]
            state = booking_event_pb2.BookingState.Name(booking.state)
            assert state == f"BOOKING_STATE_{entry.state}"
            assert booking.sequence == entry.sequence
            # What ends by itself has ended at once, and is an event once the server wrote it.
            assert 0 <= len(entry.events) - 1 - booking.revision <= 1
            assert booking.start_time == stamp(entry.start)
            assert booking.end_time == stamp(entry.start + entry.length)

    async def _swept(self, booking_ids: list[str]) -> None:
        """Waits until the server has ended what ended by itself, and compares the history."""
        async with asyncio.timeout(_SWEPT_SECONDS):
            for booking_id in booking_ids:
                expected = self.model.entries[booking_id].events
                # No call waits for what the server does by itself.
                while await self._events(booking_id) != expected:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    async def _events(self, booking_id: str) -> list[str]:
        request = booking_event_pb2.ListBookingHistoryRequest(
            organization_id=self.caller.organization_id, booking_id=booking_id
        )
        answer = await self.caller.send("ListBookingHistory", request)
        names = [booking_event_pb2.BookingEventKind.Name(event.kind) for event in answer.events]
        return [name.removeprefix("BOOKING_EVENT_KIND_") for name in names]


@pytest.mark.timeout(3600 if IS_FULL_DOSE else 120)
def test_the_engine_does_what_the_model_does(driver: Driver) -> None:
    class Machine(EngineMachine):
        pass

    Machine.driver = driver
    run_state_machine_as_test(Machine, settings=DOSE)
