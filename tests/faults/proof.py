"""Runs that prove promises C1 to C6, in a dose of the caller's choice."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from holdfast.availability.v1 import booking_pb2
from services.availability.bootstrap import migrate
from shared.embedded.postgres import EmbeddedPostgres
from tests.contract.availability.world import HOUR, length, stamp
from tests.faults import fault
from tests.faults.checker import check
from tests.faults.history import Answered, Lost, Outcome, Refused
from tests.faults.recorder import Recorder
from tests.faults.scene import POOLS, ROOMS, Scene, at, furnished
from tests.faults.tables import read_tables
from tests.faults.violation import Violation
from tests.faults.workload import Manners, Workload
from tests.integration.availability.database import settings_for

Progress = Callable[[int], None]

_CUT_LIKELIHOOD = 0.02
_COPIES = 5
_DATABASE = "faults"
_FOR_EVER = 1 << 30
_UNTIL_KILLED = 200


@dataclass(slots=True)
class Proof:
    """What a run came to."""

    operations: int = 0
    bookings: int = 0
    violations: list[Violation] = field(default_factory=list)
    differences: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    deadlocks: int = 0
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.violations and not self.differences


def silent(_: int) -> None:
    """Tells nobody how far it is."""


async def mixed(
    scene: Scene, *, seed: int, operations: int, faulty: bool, progress: Progress = silent
) -> Proof:
    """C1, C2, C3: everything that callers do, at once, through two servers of one store.

    With faults: replies cut after the commit, connections ended, callers that lose interest.
    """
    cutter = fault.Cutter(scene.url, seed, _CUT_LIKELIHOOD)
    manners = Manners(gives_up=0.05 if faulty else 0.0)
    ended: list[int] = []
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(cutter.address()) if faulty else ""
        recorder = await stack.enter_async_context(scene.recording(servers=2, url=address))
        if faulty:
            ended = await stack.enter_async_context(fault.terminating(scene.url, seed))
        cutter.is_armed = faulty
        workload = Workload(scene, recorder, seed, manners, progress=progress)
        await workload.run(operations)
        cutter.is_armed = False
    proof = await judged(scene)
    proof.faults += len(ended) + cutter.cuts
    return proof


async def rush(scene: Scene, clients: int) -> Proof:
    """C1: so many creates of one slot at once."""
    async with scene.recording(servers=2) as recorder:
        await asyncio.gather(
            *(recorder.call("CreateBooking", order(scene, 8)) for _ in range(clients))
        )
    return await judged(scene)


async def cancel_against_move(scene: Scene, rounds: int, seed: int) -> Proof:
    """C3: cancelling twice, cancelling while it is moved, and rivals for the time it frees."""
    source = random.Random(seed)
    async with scene.recording(servers=2) as recorder:
        for number in range(rounds):
            # Each round has a time of its own.
            room, quarter = ROOMS[number % len(ROOMS)], 8 + 16 * (number // len(ROOMS))
            wanted = order(scene, quarter, room)
            await recorder.call("CreateBooking", wanted)
            calls = [
                ("CancelBooking", cancellation(scene, wanted.booking_id)),
                ("CancelBooking", cancellation(scene, wanted.booking_id)),
                ("RescheduleBooking", move(scene, wanted.booking_id, quarter + 2)),
                ("CreateBooking", order(scene, quarter, room)),
                ("CreateBooking", order(scene, quarter + 3, room)),
            ]
            source.shuffle(calls)
            await asyncio.gather(*(recorder.call(*call) for call in calls))
            scene.clock.advance(timedelta(seconds=1))
    return await judged(scene)


async def killed(folder: Path, *, times: int, seed: int, progress: Progress = silent) -> Proof:
    """C4: the database is killed under load, again and again; what was acknowledged is there."""
    server = EmbeddedPostgres.start(folder)
    kills = 0
    try:
        server.create_database(_DATABASE)
        url = server.url(_DATABASE)
        migrate(settings_for(url))
        async with AsyncExitStack() as stack:
            scene = await stack.enter_async_context(furnished(url))
            recorder = await stack.enter_async_context(
                scene.recording(servers=2, throwaway_data=False)
            )
            for number in range(times):
                workload = Workload(scene, recorder, seed + number, Manners(clients=16))
                async with _busy(workload):
                    kills += bool(fault.kill(folder / "cluster"))
                    _stopped(server)
                    # Not in a thread: the kernel ends a child with the thread that started it.
                    server = EmbeddedPostgres.start(folder)
                progress(number + 1)
        proof = await judged(scene)
    finally:
        _stopped(server)
    proof.faults = kills
    return proof


async def copied(scene: Scene, requests: int) -> Proof:
    """C5: requests of which five copies come at once."""
    async with scene.recording(servers=2) as recorder:
        for begin in range(0, requests, 100):
            orders = [
                order(scene, 8 + 2 * number // len(ROOMS) * 4, ROOMS[number % len(ROOMS)])
                for number in range(begin, min(begin + 100, requests))
            ]
            await asyncio.gather(
                *(recorder.call("CreateBooking", one) for one in orders for _ in range(_COPIES))
            )
    return await judged(scene)


async def cut(scene: Scene, *, cuts: int, seed: int, progress: Progress = silent) -> Proof:
    """C5: replies that are cut after the commit; every caller asks until it knows."""
    cutter = fault.Cutter(scene.url, seed, 0.5)
    async with cutter.address() as address, scene.recording(servers=2, url=address) as recorder:
        cutter.is_armed = True
        manners = Manners(clients=4, asks_again=1.0)
        number = 0
        while cutter.cuts < cuts:
            workload = Workload(scene, recorder, seed + number, manners)
            await workload.run(50)
            number += 1
            progress(min(cutter.cuts, cuts))
        cutter.is_armed = False
    proof = await judged(scene)
    proof.faults = cutter.cuts
    return proof


async def bundles(
    scene: Scene, *, seconds: float, clients: int, seed: int, progress: Progress = silent
) -> Proof:
    """C6: random bundles of 1 to 10 resources over 1 to 7 days, made, moved and cancelled."""
    began = time.monotonic()
    names = ROOMS + POOLS

    async def client(recorder: Recorder, source: random.Random) -> None:
        while (passed := time.monotonic() - began) < seconds:
            chosen = source.sample(names, source.randint(1, 10))
            wanted = order(
                scene,
                8 + 96 * source.randrange(40),
                *chosen,
                days=source.randint(1, 7),
            )
            if isinstance(await recorder.call("CreateBooking", wanted), Answered):
                start = 8 + 96 * source.randrange(40)
                await recorder.call("RescheduleBooking", move(scene, wanted.booking_id, start))
                await recorder.call("CancelBooking", cancellation(scene, wanted.booking_id))
            progress(int(passed))

    async with scene.recording(servers=2) as recorder, asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(recorder, random.Random(f"{seed}/{number}")))
    return await judged(scene)


async def judged(scene: Scene) -> Proof:
    """Judges what a scene's servers, all stopped by now, have left behind."""
    tables = read_tables(scene.url, scene.organization_id)
    found = check(scene.history, tables)
    verification = await scene.verification()
    return Proof(
        operations=len(scene.history.calls),
        bookings=len(tables.bookings),
        violations=found,
        differences=verification.difference_count,
        outcomes=Counter(_word(call.outcome) for call in scene.history.calls),
        deadlocks=scene.history.deadlocks,
        seconds=scene.history.calls[-1].ended - scene.history.calls[0].started,
    )


def order(
    scene: Scene, quarter: int, *resources: str, days: int = 0
) -> booking_pb2.CreateBookingRequest:
    """A request to book so many quarter hours after the beginning: an hour, or days."""
    return booking_pb2.CreateBookingRequest(
        organization_id=scene.organization_id,
        request_id=str(uuid.uuid4()),
        booking_id=str(uuid.uuid4()),
        items=[booking_pb2.BookingItem(resource_id=name) for name in resources or ROOMS[:1]],
        event_type_id="session",
        start_time=stamp(at(quarter)),
        duration=length(timedelta(days=days) if days else HOUR),
        booker=booking_pb2.Booker(booker_id="ann"),
    )


def cancellation(scene: Scene, booking_id: str) -> booking_pb2.CancelBookingRequest:
    """A request to cancel."""
    return booking_pb2.CancelBookingRequest(
        organization_id=scene.organization_id,
        request_id=str(uuid.uuid4()),
        booking_id=booking_id,
    )


def move(scene: Scene, booking_id: str, quarter: int) -> booking_pb2.RescheduleBookingRequest:
    """A request to move."""
    return booking_pb2.RescheduleBookingRequest(
        organization_id=scene.organization_id,
        request_id=str(uuid.uuid4()),
        booking_id=booking_id,
        start_time=stamp(at(quarter)),
    )


@asynccontextmanager
async def scenes(url: str) -> AsyncIterator[Callable[[], Scene]]:
    """Scenes of organizations of their own, one catalog for all."""
    async with furnished(url) as first:

        def another() -> Scene:
            scene = Scene(url, first.catalog, first.catalog_address)
            scene.furnish()
            return scene

        yield another


@asynccontextmanager
async def _busy(workload: Workload) -> AsyncIterator[None]:
    """Clients at work, who have been for a while."""
    is_busy = asyncio.Event()
    workload.progress = partial(_after, _UNTIL_KILLED, is_busy)
    load = asyncio.create_task(workload.run(_FOR_EVER))
    try:
        await is_busy.wait()
        yield
    finally:
        workload.stop()
        await load


def _after(operations: int, event: asyncio.Event, left: int) -> None:
    if _FOR_EVER - left >= operations:
        event.set()


def _stopped(server: EmbeddedPostgres) -> None:
    # One that was killed has nothing left to say.
    with suppress(Exception):
        server.stop()


def _word(outcome: Outcome) -> str:
    if isinstance(outcome, Refused):
        return outcome.reason
    return f"lost: {outcome.code.name}" if isinstance(outcome, Lost) else "OK"
