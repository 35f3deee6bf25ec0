"""F7: how fast a hold reaches everybody who looks at the day, against a bare fan-out."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, repeat
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2

from holdfast.presence.v1 import presence_pb2 as pb
from holdfast.presence.v1.holder_pb2 import HOLD_END_REASON_LEFT
from shared.client.value import to_duration
from tests.load.bench import Bench
from tests.load.echo import SERVICE
from tests.load.http2 import Method
from tests.load.measure import Spread, interleaved, percentile, ratios
from tests.load.process import cpu_of_process
from tests.load.report import Figure, Part, microseconds
from tests.load.watchers import Change, Seen, Watchers
from tests.load.world import World, resource_name, today

TITLE: Final = "hold to watchers"
_RATE_TARGET: Final = 0.7
_SECONDS_TARGET: Final = 0.120
# Changes under way at once where throughput counts; where time counts, one after the other.
_AT_ONCE: Final = 8
_SPAN_QUANTA: Final = 4
_QUANTUM: Final = timedelta(minutes=15)
_PRESENCE: Final = "/holdfast.presence.v1.PresenceService/"
_HEARTBEAT: Final = Method(_PRESENCE + "Heartbeat")
_LEAVE: Final = Method(_PRESENCE + "Leave")
_WATCH: Final = Method(_PRESENCE + "WatchPresence", seconds=0)
_PUBLISH: Final = Method(f"/{SERVICE}/Publish")
_BARE_WATCH: Final = Method(f"/{SERVICE}/Watch", seconds=0)
_TOO_BUSY: Final = "holds were overdue, seconds after their heartbeat: this machine is too busy"


@dataclass(frozen=True, slots=True)
class _Half:
    """One side of a pair: many changes at once, then one after the other."""

    busy: Seen
    calm: Seen

    @property
    def p99(self) -> float:
        return percentile(self.calm.latencies, 99)


def measure(bench: Bench) -> Figure:
    """Measures it.

    Raises:
        CallFailed: A call did, a watch ended, or a watcher was told something wrong.
    """
    day = World("watched", 1, today() + timedelta(days=1), 1)
    bench.add_world(day)
    return bench.run(_measure(bench, day))


async def _measure(bench: Bench, day: World) -> Figure:
    options = bench.options
    presence, echo = bench.system.presence, bench.system.echo
    sessions = [_Session(day, number) for number in range(_AT_ONCE)]
    bench.progress.step(f"F7: opening {options.watchers:,} watches on each side")
    own = await Watchers.open(presence.target, _WATCH, _watch(day), options.watchers)
    bare = await Watchers.open(echo.target, _BARE_WATCH, b"open", options.watchers)
    try:
        first = await _hold(own, sessions, partial(cpu_of_process, presence.pid), options.seconds)
        publish = Change(_PUBLISH, first.calm.message, _same_as(first.calm.message))
        await _publish(bare, publish, partial(cpu_of_process, echo.pid), options.seconds)
        found = await interleaved(
            options.pairs,
            partial(_hold, own, sessions, partial(cpu_of_process, presence.pid), options.seconds),
            partial(_publish, bare, publish, partial(cpu_of_process, echo.pid), options.seconds),
            lambda done: bench.progress.step(f"F7: pair {done + 1} of {options.pairs}"),
        )
    finally:
        own.close()
        bare.close()
    return _figure(found, options.watchers)


async def _hold(
    watchers: Watchers, sessions: Sequence[_Session], cpu: Callable[[], float], seconds: float
) -> _Half:
    """Lets sessions hold, move their holds, and leave before these are overdue."""
    await watchers.follow(
        iter([session.move() for session in sessions]), at_once=len(sessions), cpu=cpu
    )
    busy = await watchers.follow(
        (sessions[number % len(sessions)].move() for number in count()),
        at_once=len(sessions),
        cpu=cpu,
        seconds=seconds,
    )
    # Others' holds are let go: they would be overdue soon, and that is told, too.
    await watchers.follow(iter([sessions[0].move()]), at_once=1, cpu=cpu)
    left = [session.leave() for session in sessions[1:]]
    await watchers.follow(iter(left), at_once=len(left), cpu=cpu)
    calm = await watchers.follow(
        (sessions[0].move(is_alone=True) for _ in count()), at_once=1, cpu=cpu, seconds=seconds / 2
    )
    await watchers.follow(iter([sessions[0].leave()]), at_once=1, cpu=cpu)
    return _Half(busy, calm)


async def _publish(
    watchers: Watchers, change: Change, cpu: Callable[[], float], seconds: float
) -> _Half:
    busy = await watchers.follow(repeat(change), at_once=_AT_ONCE, cpu=cpu, seconds=seconds)
    calm = await watchers.follow(repeat(change), at_once=1, cpu=cpu, seconds=seconds / 2)
    return _Half(busy, calm)


class _Session:
    """A session with one hold, which it moves to and fro."""

    def __init__(self, day: World, number: int) -> None:
        midnight = datetime.combine(day.first, datetime.min.time(), UTC)
        first = midnight + 2 * number * _SPAN_QUANTA * _QUANTUM
        self._starts = [first, first + _SPAN_QUANTA * _QUANTUM]
        self._organization_id = day.organization_id
        self._hold_id = f"hold-{number}"
        self._secret = secrets.token_urlsafe(16)
        self._moves = 0

    def move(self, *, is_alone: bool = False) -> Change:
        """A heartbeat that takes a span in place of the one before: one change, one message.

        Args:
            is_alone: Nothing else changes meanwhile: what is told must be this.
        """
        start = self._starts[self._moves % 2]
        self._moves += 1
        request = pb.HeartbeatRequest(
            organization_id=self._organization_id,
            session=self._secret,
            resource_id=resource_name(0),
            hold_id=self._hold_id,
            start_time=_timestamp(start),
            duration=to_duration(_SPAN_QUANTA * _QUANTUM),
        )
        check = partial(_this_hold, request) if is_alone else _one_hold
        return Change(_HEARTBEAT, request.SerializeToString(), check)

    def leave(self) -> Change:
        """Lets it go."""
        request = pb.LeaveRequest(
            organization_id=self._organization_id,
            session=self._secret,
            resource_id=resource_name(0),
        )
        return Change(_LEAVE, request.SerializeToString(), _one_end)


def _one_hold(message: bytes) -> str:
    told = _told(message)
    if any(hold.overdue for hold in told.holds):
        return _TOO_BUSY
    holds = len(told.holds)
    return "" if holds == 1 else f"a watcher was told of {holds} holds by one heartbeat"


def _this_hold(request: pb.HeartbeatRequest, message: bytes) -> str:
    if wrong := _one_hold(message):
        return wrong
    (hold,) = _told(message).holds
    is_this = hold.hold_id == request.hold_id and hold.start_time == request.start_time
    return "" if is_this else "a watcher was told of another change than the last"


def _one_end(message: bytes) -> str:
    told = _told(message)
    if any(hold.overdue for hold in told.holds):
        return _TOO_BUSY
    reasons = [end.reason for end in told.ended]
    expected = [HOLD_END_REASON_LEFT]
    return "" if reasons == expected else f"a watcher was told the ends {reasons} of one hold left"


def _told(message: bytes) -> pb.ResourcePresence:
    (resource,) = pb.WatchPresenceResponse.FromString(message).resources
    return resource


def _same_as(expected: bytes) -> Callable[[bytes], str]:
    return lambda message: "" if message == expected else "the fan-out sent something else"


def _watch(day: World) -> bytes:
    first = day.first
    return pb.WatchPresenceRequest(
        organization_id=day.organization_id,
        resource_ids=[resource_name(0)],
        dates=[date_pb2.Date(year=first.year, month=first.month, day=first.day)],
    ).SerializeToString()


def _timestamp(instant: datetime) -> Timestamp:
    return Timestamp(seconds=int(instant.timestamp()))


def _figure(found: Sequence[tuple[_Half, _Half]], watchers: int) -> Figure:
    own, bare = [half for half, _ in found], [half for _, half in found]
    ratio = ratios([(a.busy.rate, b.busy.rate) for a, b in found])
    p99, bare_p99 = (Spread.of([half.p99 for half in side]) for side in (own, bare))
    rate, bare_rate = (Spread.of([half.busy.rate for half in side]) for side in (own, bare))
    cpu, bare_cpu = (
        Spread.of([half.busy.cpu_per_message for half in side]) for side in (own, bare)
    )
    return Figure(
        "F7",
        TITLE,
        [
            Part(
                f"{ratio.text()} x a bare fan-out",
                f">= {_RATE_TARGET} x",
                ratio.median >= _RATE_TARGET,
            ),
            Part(
                f"p99 {p99.scaled(1e3).text('.0f')} ms",
                f"<= {_SECONDS_TARGET * 1e3:.0f} ms",
                p99.median <= _SECONDS_TARGET,
            ),
        ],
        f"CPU {microseconds(cpu.median)} per message, bare {microseconds(bare_cpu.median)}",
        [
            f"{watchers:,} watchers; the ratio with {_AT_ONCE} changes at once, p99 one by one",
            f"{rate.text(',.0f')} messages/s, bare {bare_rate.text(',.0f')}",
            f"bare p99 {bare_p99.scaled(1e3).text('.0f')} ms",
        ],
        {
            "ratio": [ratio.median, ratio.low, ratio.high],
            "messages_per_second": [[a.busy.rate, b.busy.rate] for a, b in found],
            "cpu_seconds_per_message": [
                [a.busy.cpu_per_message, b.busy.cpu_per_message] for a, b in found
            ],
            "p99_seconds": [[a.p99, b.p99] for a, b in found],
        },
    )
