"""Runs that prove promises C7 and C8, in a dose of the caller's choice."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import grpc

from shared.slots.quantum import QUANTA_PER_DAY, number
from tests.faults.watch.claim import judge
from tests.faults.watch.reading import Reader, misread
from tests.faults.watch.recorder import Manners, Recorder, Stalls
from tests.faults.watch.session import Crowd, Place
from tests.faults.watch.stage import SMALL_WINDOW, Stage, channels, staged
from tests.faults.watch.trace import Event, Position, Watch
from tests.faults.watch.truth import EXPIRED, Truth, expected
from tests.faults.watch.validator import validate
from tests.faults.watch.violation import Violation
from tests.faults.watch.witness import Witness

Progress = Callable[[int], None]

KILLS: Final = ("service", "store without data", "store with data")
COUNTED: Final = ("resumptions", "resets", "bookmarks", "states of slow readers", "readings")

_RESOURCES: Final = tuple(f"room-{number}" for number in range(6))
_DAYS: Final = 2
# So little time that sessions are in one another's way.
_NARROW_QUANTA: Final = 40
_CONNECTIONS: Final = 8
_LAST_OPERATIONS: Final = 20
_FOR_EVER: Final = 1 << 60


@dataclass(slots=True)
class Proof:
    """What a run came to."""

    operations: int = 0
    messages: int = 0
    violations: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Dose:
    """How much of C8.

    Attributes:
        watchers: How many; every fifth is slow, every fifth is often away.
        sessions: Who hold.
        seconds: How long.
        fault_every_seconds: Between two kills.
        pause_seconds: Of a session between two calls, on average.
        timeout: Of a hold.
        slow_seconds: How long slow readers read nothing, again and again.
        away_seconds: How long those are away who often are, at most.
        log_length: Changes that the store keeps: older tokens end in a RESET.
        patience_seconds: Until everybody has been told all of it, in the end.
    """

    watchers: int
    sessions: int
    seconds: float
    fault_every_seconds: float
    pause_seconds: float
    timeout: timedelta = timedelta(seconds=2)
    slow_seconds: float = 8.0
    away_seconds: float = 8.0
    log_length: int = 500
    patience_seconds: float = 20.0


def silent(_: int) -> None:
    """Tells nobody how far it is."""


async def claimed(
    folder: Path,
    *,
    operations: int,
    sessions: int,
    timeout: timedelta,
    seed: int,
    progress: Progress = silent,
) -> Proof:
    """C7: random operations of many sessions through two replicas, and all of it judged."""
    async with staged(folder, hold_timeout_seconds=timeout.total_seconds()) as stage:
        targets = [replica.target for replica in stage.replicas]
        return await claimed_through(
            targets,
            stage.url,
            operations=operations,
            sessions=sessions,
            timeout=timeout,
            seed=seed,
            progress=progress,
        )


async def claimed_through(
    targets: Sequence[str],
    store_url: str,
    *,
    operations: int,
    sessions: int,
    timeout: timedelta,
    seed: int,
    progress: Progress = silent,
) -> Proof:
    """The same, through servers that run already."""
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        open_channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(target)) for target in targets
        ]
        place = _place(open_channels, timeout, quanta=_NARROW_QUANTA)
        witness = Witness(store_url, place.organization_id, _RESOURCES)
        await stack.enter_async_context(witness.reading())
        crowd = Crowd(place, seed, progress=progress)
        await crowd.run(operations, sessions)
        # Whatever was left behind expires, and is to be gone.
        await asyncio.sleep(timeout.total_seconds() + 1.2)
        await witness.caught_up()
        ended_at = witness.read_at
    found = judge(witness.truth, crowd.claims, ended_at)
    return Proof(
        operations=operations,
        violations=found,
        outcomes=crowd.done,
        counts=_ends(witness.truth),
        seconds=time.monotonic() - began,
    )


async def watched(folder: Path, dose: Dose, *, seed: int, progress: Progress = silent) -> Proof:
    """C8: watchers of all manners, while sessions hold, and servers and store are killed."""
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(
            staged(
                folder,
                hold_timeout_seconds=dose.timeout.total_seconds(),
                hold_log_length=dose.log_length,
            )
        )
        prompt = await stack.enter_async_context(channels(stage, _CONNECTIONS))
        narrow = await stack.enter_async_context(channels(stage, _CONNECTIONS, *SMALL_WINDOW))

        async def hurt() -> Counter[str]:
            done = await _killed(stage, dose, random.Random(seed), progress)
            for replica in stage.replicas:
                await replica.ready()
            return done

        return await watched_through(prompt, narrow, stage.url, dose, hurt, seed=seed)


async def watched_through(
    prompt: Sequence[grpc.aio.Channel],
    narrow: Sequence[grpc.aio.Channel],
    store_url: str,
    dose: Dose,
    hurt: Callable[[], Awaitable[Counter[str]]],
    *,
    seed: int,
) -> Proof:
    """The same, through servers that run already.

    Args:
        prompt: Connections for everybody.
        narrow: Connections for those who are to be slow.
        store_url: Of the servers' store.
        dose: How much.
        hurt: Does what is to be done meanwhile, and returns when all serve again.
        seed: Of sessions and watchers.
    """
    began = time.monotonic()
    place = _place(prompt[:2], dose.timeout)
    days = frozenset(range(place.first // QUANTA_PER_DAY, place.first // QUANTA_PER_DAY + _DAYS))
    async with AsyncExitStack() as stack:
        witness = Witness(store_url, place.organization_id, _RESOURCES)
        await stack.enter_async_context(witness.reading())
        stalls = Stalls()
        reader = Reader(place.organization_id, prompt[:2], witness, random.Random(seed))
        for beside in (stalls.run(), reader.run(_RESOURCES, days)):
            await stack.enter_async_context(_meanwhile(beside))
        crowd = Crowd(place, seed, pause_seconds=dose.pause_seconds)
        holding = asyncio.create_task(crowd.run(_FOR_EVER, dose.sessions))
        recorders = _recorders(place, days, (prompt, narrow), dose, seed)
        finish = _Finish(witness)
        watching = [asyncio.create_task(one.run(finish.is_reached)) for one in recorders]
        faults = await hurt()
        crowd.stop()
        await holding
        # Once all of it has expired, everybody is to hear of what comes last.
        await witness.all_gone()
        last = Crowd(place, seed + 1)
        await last.run(_LAST_OPERATIONS, 2)
        await witness.all_gone()
        finish.set(await witness.end())
        for recorder in recorders:
            recorder.hurries = True
        # Whoever has been told all of it ends at the next message.
        await last.touch_everything()
        _, late = await asyncio.wait(watching, timeout=dose.patience_seconds)
        for task in late:
            task.cancel()
        for ended in await asyncio.gather(*watching, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
    found = misread(reader.found, witness.truth)
    for recorder in recorders:
        found += validate(recorder.watch, witness.truth, stalls.found, finish.wanted(recorder))
    return _proof(recorders, found, crowd, reader, faults, time.monotonic() - began)


class _Finish:
    """When a watcher has been told all."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._end: dict[str, Position] | None = None
        self._wanted: dict[str, dict[str, Position]] = {}

    def set(self, end: dict[str, Position]) -> None:
        """Nothing comes any more."""
        self._end = end

    def wanted(self, recorder: Recorder) -> dict[str, Position]:
        """The last change of each resource that touches a day of the watcher's."""
        assert self._end is not None
        known = self._wanted.get(recorder.watch.name)
        if known is None:
            known = self._wanted[recorder.watch.name] = {}
            for resource in recorder.watch.resources:
                line = self._witness.truth.line(resource, self._end[resource].epoch)
                assert line is not None
                for entry in reversed(line.entries):
                    if any(expected([entry], recorder.watch.days)):
                        known[resource] = entry.position
                        break
        return known

    def is_reached(self, recorder: Recorder) -> bool:
        """Whether a watcher has been told up to there."""
        if self._end is None:
            return False
        told = recorder.told
        return all(
            resource in told and told[resource] >= position
            for resource, position in self.wanted(recorder).items()
        )


async def _killed(
    stage: Stage, dose: Dose, source: random.Random, progress: Progress
) -> Counter[str]:
    """Kills one thing after the other, for as long as the run lasts; all three in turns."""
    done: Counter[str] = Counter()
    began = time.monotonic()
    number = 0
    while (passed := time.monotonic() - began) < dose.seconds:
        progress(int(passed))
        await asyncio.sleep(min(dose.fault_every_seconds, dose.seconds - passed))
        if time.monotonic() - began >= dose.seconds:
            break
        kind = KILLS[number % len(KILLS)]
        number += 1
        if kind == "service":
            source.choice(stage.replicas).restart()
        else:
            await stage.restart_store(keeps_data=kind == "store with data")
        done[kind] += 1
    return done


def _recorders(
    place: Place,
    days: frozenset[int],
    through: tuple[Sequence[grpc.aio.Channel], Sequence[grpc.aio.Channel]],
    dose: Dose,
    seed: int,
) -> list[Recorder]:
    """Of each five one is slow, one hangs up again and again, one forgets, and one is away."""
    found = []
    for number_ in range(dose.watchers):
        source = random.Random(f"{seed}/watcher/{number_}")
        kind = number_ % 5
        # Whoever is slow watches everything: more comes than is kept for one watcher.
        count = len(_RESOURCES) if kind == 0 else source.randint(1, 4)
        resources = source.sample(_RESOURCES, count)
        watched_days = days
        if kind != 0:
            watched_days = frozenset(source.sample(sorted(days), source.randint(1, len(days))))
        manners = Manners(
            resumes_after=8 if kind == 1 else 80,
            pause_seconds=dose.slow_seconds if kind == 0 else 0.0,
            forgets=0.3 if kind == 2 else 0.0,
            away_seconds=dose.away_seconds if kind == 3 else 0.0,
        )
        watch = Watch(f"watcher {number_}", resources, watched_days)
        channels_ = through[kind == 0]
        found.append(Recorder(place.organization_id, channels_, watch, manners, source))
    return found


def _place(
    open_channels: Sequence[grpc.aio.Channel],
    timeout: timedelta,
    quanta: int = _DAYS * QUANTA_PER_DAY,
) -> Place:
    tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Place(
        f"org-{secrets.token_hex(6)}",
        open_channels,
        _RESOURCES,
        number(tomorrow + timedelta(days=1)),
        quanta,
        timeout // timedelta(microseconds=1),
        rests_seconds=1.5 * timeout.total_seconds(),
    )


def _ends(truth: Truth) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in truth.lines.values():
        for entry in line.entries:
            found["changes"] += len(entry.changes)
            found["expired"] += sum(c.reason == EXPIRED for c in entry.changes.values())
    return found


def _proof(
    recorders: Sequence[Recorder],
    violations: list[Violation],
    crowd: Crowd,
    reader: Reader,
    faults: Counter[str],
    seconds: float,
) -> Proof:
    proof = Proof(violations=violations, counts=faults, outcomes=crowd.done, seconds=seconds)
    proof.operations = sum(crowd.done[name] for name in ("take", "renew", "leave", "turn"))
    proof.counts["readings"] = len(reader.found)
    for recorder in recorders:
        for segment in recorder.watch.segments:
            proof.messages += len(segment.messages)
            proof.counts["resumptions"] += segment.resumed is not None
            events = [message.event for message in segment.messages]
            proof.counts["resets"] += events.count(Event.RESET)
            proof.counts["bookmarks"] += events.count(Event.BOOKMARK)
            proof.counts["states of slow readers"] += events[1:].count(Event.SNAPSHOT)
    return proof


@asynccontextmanager
async def _meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
