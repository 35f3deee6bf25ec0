"""Questions for holds: gathered while one is on its way, and each waited for only so long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from holdfast.presence.v1 import hold_check_pb2 as pb
from services.availability.app.hold_gate import CountedHold
from services.availability.domain.booking import BookingItem
from services.availability.upstream.hold_check import MOST_CHECKS, HoldChecks
from services.availability.upstream.hold_metrics import HoldMetrics
from services.availability.upstream.outage import Outage
from services.availability.upstream.store_clock import StoreClock
from shared.slots.held import HeldUnits
from shared.slots.quantum import Span

PATIENT_SECONDS = 10.0


class Answering:
    """A presence that answers when a test says so."""

    def __init__(self) -> None:
        self.requests: list[pb.CheckHoldsRequest] = []
        self.timeouts: list[float] = []
        self._asked = asyncio.Event()
        self._answers: list[asyncio.Future[pb.CheckHoldsResponse]] = []

    async def __call__(
        self, request: pb.CheckHoldsRequest, timeout: float
    ) -> pb.CheckHoldsResponse:
        self.requests.append(request)
        self.timeouts.append(timeout)
        answer: asyncio.Future[pb.CheckHoldsResponse] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        self._asked.set()
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            raise _failed(grpc.StatusCode.DEADLINE_EXCEEDED) from None

    async def asked(self, times: int) -> None:
        """Returns once it was asked so many times."""
        async with asyncio.timeout(PATIENT_SECONDS):
            while len(self.requests) < times:
                self._asked.clear()
                await self._asked.wait()

    def answer(self, number: int) -> None:
        """Answers a question: each resource is held by as many units as its name says."""
        response = pb.CheckHoldsResponse()
        for check in self.requests[number].checks:
            result = response.results.add()
            for place, item in enumerate(check.items):
                units = int(item.resource_id.removeprefix("room-"))
                if units:
                    result.holds.add(item=place, first_quantum=8, stop_quantum=12, units=units)
        response.store_time.FromSeconds(1_800_000_000)
        self._answers[number].set_result(response)

    def fail(self, number: int, code: grpc.StatusCode) -> None:
        self.break_down(number, _failed(code))

    def break_down(self, number: int, error: Exception) -> None:
        self._answers[number].set_exception(error)

    def babble(self, number: int) -> None:
        """Answers a question by a time that there is not."""
        response = pb.CheckHoldsResponse(results=[pb.HoldCheckResult()])
        response.store_time.seconds = 2**62
        self._answers[number].set_result(response)


def _failed(code: grpc.StatusCode) -> AioRpcError:
    return AioRpcError(code, Metadata(), Metadata())


class Desk:
    """Bookings that are checked."""

    def __init__(self, presence: Answering, budget_seconds: float = PATIENT_SECONDS) -> None:
        self.metrics = HoldMetrics()
        self.checks = HoldChecks(
            presence,
            StoreClock(),
            self.metrics,
            Outage(logging.getLogger("holdfast.test"), "no", "again"),
            budget_seconds=budget_seconds,
        )

    def ask(
        self, *units: int, organization_id: str = "org", session: str = ""
    ) -> asyncio.Task[Sequence[CountedHold]]:
        """Asks for rooms of which so many units are held."""
        items = [BookingItem(f"room-{count}", 1, Span(10, 14)) for count in units]
        return asyncio.create_task(self.checks.counted(organization_id, session, items))

    def counted(self) -> dict[str, float]:
        """What the metrics say of checks, those never counted left out."""
        (family,) = self.metrics.collectors[0].collect()
        return {
            sample.labels["outcome"]: sample.value
            for sample in family.samples
            if sample.name.endswith("_total") and sample.value
        }


@pytest.fixture
def presence() -> Answering:
    return Answering()


@pytest.fixture
def desk(presence: Answering) -> Desk:
    return Desk(presence)


async def test_a_lone_booking_is_asked_about_at_once(presence: Answering, desk: Desk) -> None:
    found = desk.ask(0, 3, session="mine")
    await presence.asked(1)
    presence.answer(0)

    (check,) = presence.requests[0].checks
    first = check.items[0]
    assert presence.requests[0].organization_id == "org"
    assert (check.session, len(check.items)) == ("mine", 2)
    assert (first.resource_id, first.first_quantum, first.stop_quantum) == ("room-0", 10, 14)
    assert await found == [CountedHold(1, HeldUnits(8, 12, 3))]
    assert desk.counted() == {"answered": 1}


async def test_who_comes_while_a_question_is_on_its_way_shares_the_next(
    presence: Answering, desk: Desk
) -> None:
    first = desk.ask(1)
    await presence.asked(1)
    later = [desk.ask(units) for units in (0, 2, 3)]
    await asyncio.sleep(0)
    presence.answer(0)
    await presence.asked(2)
    presence.answer(1)

    found = await asyncio.gather(first, *later)

    assert [len(request.checks) for request in presence.requests] == [1, 3]
    assert [[hold.held.units for hold in holds] for holds in found] == [[1], [], [2], [3]]


async def test_what_comes_in_one_turn_of_the_loop_is_one_question(
    presence: Answering, desk: Desk
) -> None:
    asked = [desk.ask(0) for _ in range(5)]
    await presence.asked(1)
    presence.answer(0)
    await asyncio.gather(*asked)

    assert len(presence.requests[0].checks) == 5


async def test_organizations_do_not_wait_for_one_another(presence: Answering, desk: Desk) -> None:
    stuck = desk.ask(0)
    await presence.asked(1)
    other = desk.ask(1, organization_id="other")
    await presence.asked(2)
    presence.answer(1)

    assert len(await other) == 1
    assert not stuck.done()
    presence.answer(0)
    await stuck


async def test_a_question_is_about_so_many_bookings_at_most(
    presence: Answering, desk: Desk
) -> None:
    first = desk.ask(0)
    await presence.asked(1)
    later = [desk.ask(0) for _ in range(MOST_CHECKS + 1)]
    await asyncio.sleep(0)
    for number in range(3):
        await presence.asked(number + 1)
        presence.answer(number)
    await asyncio.gather(first, *later)

    assert [len(request.checks) for request in presence.requests] == [1, MOST_CHECKS, 1]


async def test_who_has_left_is_not_asked_about(presence: Answering, desk: Desk) -> None:
    first = desk.ask(0)
    await presence.asked(1)
    left, stays = desk.ask(0), desk.ask(1)
    await asyncio.sleep(0)
    left.cancel()
    presence.answer(0)
    await presence.asked(2)
    presence.answer(1)
    await asyncio.gather(first, stays)

    assert len(presence.requests[1].checks) == 1


async def test_each_booking_waits_for_its_own_time_only(presence: Answering) -> None:
    desk = Desk(presence, budget_seconds=0.1)
    loop = asyncio.get_running_loop()
    first = desk.ask(1)
    await presence.asked(1)
    loop.call_later(0.06, lambda: late.append(desk.ask(2)))
    late: list[asyncio.Task[Sequence[CountedHold]]] = []

    began = loop.time()
    assert await first == ()
    assert loop.time() - began >= 0.08
    await presence.asked(2)
    presence.answer(1)

    assert len(await late[0]) == 1
    assert presence.timeouts[1] < 0.1
    assert desk.counted() == {"timeout": 1, "answered": 1}


async def test_of_one_question_the_oldest_booking_is_given_up_first(presence: Answering) -> None:
    desk = Desk(presence, budget_seconds=0.3)
    loop = asyncio.get_running_loop()
    blocking = desk.ask(0)
    await presence.asked(1)
    older = desk.ask(1)
    newer: list[asyncio.Task[Sequence[CountedHold]]] = []
    made = asyncio.Event()

    def ask() -> None:
        newer.append(desk.ask(2))
        made.set()

    loop.call_later(0.15, ask)
    await made.wait()
    await asyncio.sleep(0)
    presence.answer(0)
    await presence.asked(2)
    assert await older == ()
    assert not newer[0].done()
    presence.answer(1)

    assert len(await newer[0]) == 1
    assert len(await blocking) == 0
    assert desk.counted() == {"answered": 2, "timeout": 1}


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (grpc.StatusCode.UNAVAILABLE, "unavailable"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "refused"),
        (grpc.StatusCode.UNIMPLEMENTED, "refused"),
    ],
)
async def test_a_presence_that_fails_lets_bookings_past(
    presence: Answering, desk: Desk, code: grpc.StatusCode, outcome: str
) -> None:
    for number in range(7):
        found = desk.ask(1)
        await presence.asked(number + 1)
        presence.fail(number, code)
        assert await found == ()

    assert desk.counted() == {outcome: 7}


async def test_five_timeouts_in_a_row_make_a_pause_and_an_answer_begins_the_count_anew(
    presence: Answering,
) -> None:
    desk = Desk(presence, budget_seconds=0.01)
    for _ in range(4):
        assert await desk.ask(1) == ()
    desk.checks._budget_seconds = PATIENT_SECONDS
    answered = desk.ask(1)
    await presence.asked(5)
    presence.answer(4)
    assert len(await answered) == 1
    desk.checks._budget_seconds = 0.01
    for _ in range(6):
        assert await desk.ask(1) == ()

    assert len(presence.requests) == 10
    assert desk.counted() == {"timeout": 9, "answered": 1, "paused": 1}


async def test_a_pause_is_of_the_organization_whose_questions_were_not_answered(
    presence: Answering,
) -> None:
    desk = Desk(presence, budget_seconds=0.01)
    for _ in range(6):
        assert await desk.ask(1, organization_id="slow") == ()
    desk.checks._budget_seconds = PATIENT_SECONDS
    answered = desk.ask(1, organization_id="other")
    await presence.asked(6)
    presence.answer(5)

    assert len(await answered) == 1
    # Somebody else's answer says nothing of it.
    assert await desk.ask(1, organization_id="slow") == ()
    assert desk.counted() == {"timeout": 5, "paused": 2, "answered": 1}


async def test_an_answer_by_an_impossible_time_lets_bookings_past(
    presence: Answering, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    found = desk.ask(1)
    await presence.asked(1)
    with caplog.at_level(logging.WARNING, "holdfast.test"):
        presence.babble(0)
        assert await found == ()

    assert desk.counted() == {"refused": 1}
    assert [vars(record)["cause"] for record in caplog.records] == ["ValueError"]


async def test_whatever_goes_wrong_lets_bookings_past_and_the_next_are_asked_about(
    presence: Answering, desk: Desk
) -> None:
    first = desk.ask(1)
    await presence.asked(1)
    second = desk.ask(2)
    await asyncio.sleep(0)
    presence.break_down(0, ArithmeticError())
    await presence.asked(2)
    presence.answer(1)

    assert await first == ()
    assert len(await second) == 1
    assert desk.counted() == {"refused": 1, "answered": 1}


async def test_what_cannot_be_asked_lets_bookings_past(presence: Answering, desk: Desk) -> None:
    items = [BookingItem("room-1", 2**40, Span(10, 14))]

    assert await desk.checks.counted("org", "", items) == ()
    assert desk.counted() == {"refused": 1}
    assert not presence.requests


async def test_closing_lets_everybody_go_on(presence: Answering, desk: Desk) -> None:
    first = desk.ask(1)
    await presence.asked(1)
    second = desk.ask(1)
    await asyncio.sleep(0)

    await desk.checks.close()

    assert [await first, await second] == [(), ()]


async def test_closing_lets_those_go_on_whose_question_has_not_begun(
    presence: Answering, desk: Desk
) -> None:
    asked = desk.ask(1)
    # The one turn in which the booking asks, and its question's task is yet to begin.
    await asyncio.sleep(0)

    await desk.checks.close()

    assert await asked == ()
    assert not presence.requests


async def test_nothing_that_is_written_out_tells_a_session(presence: Answering, desk: Desk) -> None:
    asked = desk.ask(1, session="a secret")
    await presence.asked(1)
    waiting = repr(list(desk.checks._waiting.values()))
    presence.answer(0)
    await asked

    assert "a secret" not in waiting
