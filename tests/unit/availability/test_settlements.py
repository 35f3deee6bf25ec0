"""Settlements: each organization's are told on their own, and again as they were told before."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from holdfast.presence.v1 import hold_check_pb2 as pb
from services.availability.domain.booking import BookingItem
from services.availability.upstream.hold_metrics import HoldMetrics
from services.availability.upstream.settlement import Settlements, SettlementTerms
from services.availability.upstream.store_clock import StoreClock
from shared.runtime.background import running
from shared.slots.quantum import Span

PATIENT_SECONDS = 10.0
ROOM = (BookingItem("studio-a", 1, Span(10, 14)),)
AHEAD_SECONDS = 1_800_000_000


class Told:
    """A presence that some organizations' calls never get an answer from."""

    def __init__(self) -> None:
        self.requests: list[pb.SettleHoldsRequest] = []
        self.stuck: set[str] = set()
        self.lost = 0
        self._asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(
        self, request: pb.SettleHoldsRequest, timeout: float
    ) -> pb.SettleHoldsResponse:
        self.requests.append(request)
        self._asked.set()
        if request.organization_id in self.stuck:
            await asyncio.sleep(timeout)
            raise _failed(grpc.StatusCode.DEADLINE_EXCEEDED)
        await self.may_answer.wait()
        if self.lost:
            self.lost -= 1
            raise _failed(grpc.StatusCode.UNAVAILABLE)
        return pb.SettleHoldsResponse()

    async def told(self, organization_id: str, times: int = 1) -> None:
        """Returns once it was told so many times of an organization."""
        async with asyncio.timeout(PATIENT_SECONDS):
            while self.count(organization_id) < times:
                self._asked.clear()
                await self._asked.wait()

    def count(self, organization_id: str) -> int:
        return [request.organization_id for request in self.requests].count(organization_id)


def _failed(code: grpc.StatusCode) -> AioRpcError:
    return AioRpcError(code, Metadata(), Metadata())


async def now_there(request: Any, timeout: float) -> pb.CheckHoldsResponse:
    """Answers what the store's clock says."""
    del request, timeout
    response = pb.CheckHoldsResponse()
    response.store_time.FromSeconds(AHEAD_SECONDS)
    return response


@pytest.fixture
def presence() -> Told:
    return Told()


@pytest.fixture
def clock() -> StoreClock:
    return StoreClock()


@pytest.fixture
def settlements(presence: Told, clock: StoreClock) -> Settlements:
    terms = SettlementTerms(
        gather_seconds=0, pause_seconds=0.01, answer_seconds=0.2, again_seconds=0.01
    )
    return Settlements(presence, now_there, clock, HoldMetrics(), terms)


async def test_those_that_fail_keep_no_other_waiting(
    presence: Told, settlements: Settlements
) -> None:
    presence.stuck = {f"stuck-{number}" for number in range(30)}
    for name in presence.stuck:
        settlements.add(name, "", ROOM, is_block=False)
    async with running(settlements.run()):
        # Each has failed once, and whichever comes next waits for none of them any more.
        for name in presence.stuck:
            await presence.told(name)
        before = len(presence.requests)
        settlements.add("good", "", ROOM, is_block=False)
        await presence.told("good")
        between = len(presence.requests) - before
    await settlements.close()

    # The last eight are on their first attempt still, and two on a further one.
    assert between <= 8 + 2 * 2


async def test_one_that_fails_is_tried_ever_more_seldom(
    presence: Told, settlements: Settlements
) -> None:
    presence.lost = 4
    loop = asyncio.get_running_loop()
    settlements.add("org", "", ROOM, is_block=False)
    began = loop.time()
    async with running(settlements.run()):
        await presence.told("org", 5)

    assert loop.time() - began >= 0.01 + 0.02 + 0.04 + 0.08


async def test_the_commit_is_told_again_as_it_was_told_first(
    presence: Told, settlements: Settlements, clock: StoreClock
) -> None:
    presence.lost = 1
    settlements.add("org", "", ROOM, is_block=False)
    await settlements.close()
    # By what is known now, it was a minute later.
    now = asyncio.get_running_loop().time()
    clock.learn((AHEAD_SECONDS + 60) * 1_000_000, now)
    await settlements.close()

    first, again = presence.requests
    assert again == first


async def test_who_doubts_has_everything_told_at_once_and_then_nothing(
    presence: Told, settlements: Settlements
) -> None:
    settlements.add("org", "", ROOM, is_block=False)
    async with settlements.told("org") as is_told:
        before = presence.count("org")
        settlements.add("org", "", ROOM, is_block=False)
        closing = asyncio.create_task(settlements.close())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        during = presence.count("org")
    await closing

    assert is_told
    assert (before, during, presence.count("org")) == (1, 1, 2)
    assert not settlements.has_any("org")


async def test_who_doubts_waits_for_a_moment_only(presence: Told, settlements: Settlements) -> None:
    presence.stuck = {"org"}
    settlements.add("org", "", ROOM, is_block=False)
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with settlements.told("org") as is_told:
        took = loop.time() - began

    assert not is_told
    assert took < 0.19
    await settlements.close()


async def test_no_failure_is_waited_out(presence: Told, settlements: Settlements) -> None:
    presence.lost = 2
    settlements.add("org", "", ROOM, is_block=False)

    async with settlements.told("org") as is_told:
        pass

    assert not is_told
    assert presence.count("org") == 1


async def test_an_organization_of_which_nothing_waits_is_forgotten(
    presence: Told, settlements: Settlements
) -> None:
    settlements.add("org", "", ROOM, is_block=False)
    async with settlements.told("org"), settlements.told("other"):
        pass
    await asyncio.sleep(0)

    assert presence.count("org") == 1
    assert not settlements._queues


async def test_an_outage_ends_when_nothing_fails_any_more(
    presence: Told, settlements: Settlements, caplog: pytest.LogCaptureFixture
) -> None:
    presence.stuck = {"stuck"}
    with caplog.at_level(logging.INFO, "holdfast.availability.holds"):
        settlements.add("stuck", "", ROOM, is_block=False)
        await settlements.close()
        settlements.add("good", "", ROOM, is_block=False)
        await settlements.close()
        during = caplog.messages.copy()
        presence.stuck.clear()
        await settlements.close()

    assert during == ["holds are not settled"]
    assert caplog.messages == ["holds are not settled", "holds are settled again"]


async def test_nothing_that_is_written_out_tells_a_session(
    presence: Told, settlements: Settlements
) -> None:
    settlements.add("org", "a secret", ROOM, is_block=False)

    assert "a secret" not in repr([queue.waiting for queue in settlements._queues.values()])
    await settlements.close()
    assert presence.requests[0].settlements[0].session == "a secret"
