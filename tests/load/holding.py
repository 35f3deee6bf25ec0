"""F6: holds kept alive by streams and by unary heartbeats, and what it costs others to be told."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2

from holdfast.presence.v1 import presence_pb2 as pb
from shared.client.value import to_duration
from tests.load.bench import Bench
from tests.load.holders import Beats, Holders, Renewed
from tests.load.http2 import Method
from tests.load.measure import Spread, interleaved, ratios
from tests.load.report import Figure, Part, microseconds
from tests.load.traffic import Traffic, counted
from tests.load.world import World, resource_name, today

TITLE: Final = "holds kept alive"
_TARGET: Final = 5.0
_PERIOD_SECONDS: Final = 5
_SESSIONS: Final = 64
_HOLDS: Final = 10  # of each session
_QUANTUM: Final = timedelta(minutes=15)
_PRESENCE: Final = "/holdfast.presence.v1.PresenceService/"
HEARTBEAT: Final = Method(_PRESENCE + "Heartbeat")
HOLD_STREAM: Final = Method(_PRESENCE + "HoldStream", seconds=0)
WATCH: Final = Method(_PRESENCE + "WatchPresence", seconds=0)


@dataclass(frozen=True, slots=True)
class _Session:
    """One holder: its holds lie at one time on resources next to one another."""

    day: World
    number: int
    secret: str

    def spans(self, count: int) -> list[pb.HoldSpan]:
        """So many holds; nobody else's are in their way."""
        start = datetime.combine(self.day.first, datetime.min.time(), UTC) + self.number * _QUANTUM
        stamp = Timestamp(seconds=int(start.timestamp()))
        return [
            pb.HoldSpan(
                resource_id=resource_name((self.number + place) % self.day.resources),
                start_time=stamp,
                duration=to_duration(_QUANTUM),
            )
            for place in range(count)
        ]

    def opening(self, count: int) -> bytes:
        """The first message of a stream."""
        return pb.HoldStreamRequest(
            organization_id=self.day.organization_id, session=self.secret, keep=self.spans(count)
        ).SerializeToString()

    def beats(self, count: int) -> list[bytes]:
        """A heartbeat for each hold."""
        return [
            pb.HeartbeatRequest(
                organization_id=self.day.organization_id,
                session=self.secret,
                resource_id=span.resource_id,
                start_time=span.start_time,
                duration=span.duration,
            ).SerializeToString()
            for span in self.spans(count)
        ]


def measure(bench: Bench) -> Figure:
    """Measures it.

    Raises:
        CallFailed: A call did, or a stream ended.
    """
    day = World("held", _SESSIONS, today() + timedelta(days=1), 0)
    bench.add_world(day)
    return bench.run(_measure(bench, day))


async def _measure(bench: Bench, day: World) -> Figure:
    presence = bench.system.presence
    sessions = [_Session(day, number, secrets.token_urlsafe(16)) for number in range(_SESSIONS)]
    spent = bench.system.cpu_beside(presence)

    def cpu() -> float:
        seconds = spent()
        return seconds[0] + seconds[-1]  # its own, and the store's

    # In this order: of fewer holds, those left over would expire meanwhile, and be told.
    single = await _pairs(bench, sessions, cpu, 1)
    found = await _pairs(bench, sessions, cpu, _HOLDS)
    bench.progress.step(f"F6: the traffic of {Traffic.VIEWERS} viewers")
    traffic = await counted(presence.target, day)
    return _figure(found, single, traffic)


_Pairs = Sequence[tuple[Renewed, Renewed]]


async def _pairs(
    bench: Bench, sessions: Sequence[_Session], cpu: Callable[[], float], count: int
) -> _Pairs:
    options, target = bench.options, bench.system.presence.target
    openings = [session.opening(count) for session in sessions]
    beats = [beat for session in sessions for beat in session.beats(count)]
    watch = _watch(sessions[0].day)
    return await interleaved(
        options.pairs,
        partial(
            Holders(target, HOLD_STREAM, (WATCH, watch), openings, count).run, options.seconds, cpu
        ),
        partial(Beats(target, HEARTBEAT, beats, _SESSIONS).run, options.seconds, cpu),
        lambda done: bench.progress.step(
            f"F6: {count} holds a session, pair {done + 1} of {options.pairs}"
        ),
    )


def _watch(day: World) -> bytes:
    first = day.first
    return pb.WatchPresenceRequest(
        organization_id=day.organization_id,
        resource_ids=[resource_name(number) for number in range(day.resources)],
        dates=[date_pb2.Date(year=first.year, month=first.month, day=first.day)],
    ).SerializeToString()


def _figure(found: _Pairs, single: _Pairs, traffic: Traffic) -> Figure:
    ratio, of_one = (
        ratios([(own.per_cpu_second, unary.per_cpu_second) for own, unary in pairs])
        for pairs in (found, single)
    )
    kept, kept_by_beats = (
        Spread.of([side.per_cpu_second * _PERIOD_SECONDS for side in sides])
        for sides in zip(*found, strict=True)
    )
    renewals = sum(own.renewals for own, _ in found) + sum(own.renewals for own, _ in single)
    told = sum(own.told for own, _ in found) + sum(own.told for own, _ in single)
    cpu, cpu_of_beats = (
        1 / (kept.median / _PERIOD_SECONDS),
        1 / (kept_by_beats.median / _PERIOD_SECONDS),
    )
    return Figure(
        "F6",
        TITLE,
        [
            Part(
                f"{ratio.text()} x unary heartbeats", f">= {_TARGET:g} x", ratio.median >= _TARGET
            ),
            Part(f"{told} watch messages of {renewals:,} renewals", "0", told == 0),
        ],
        f"CPU {microseconds(cpu)} per renewal, by heartbeats {microseconds(cpu_of_beats)},"
        " the store's included",
        [
            f"{_SESSIONS} sessions of {_HOLDS} holds each; of one hold each {of_one.text()} x",
            f"kept alive per core, renewed every {_PERIOD_SECONDS} s: {kept.text(',.0f')} holds",
            f"  by heartbeats {kept_by_beats.text(',.0f')}",
            *traffic.lines(),
        ],
        {
            "ratio": [ratio.median, ratio.low, ratio.high],
            "ratio_of_one": [of_one.median, of_one.low, of_one.high],
            "holds_per_core": [kept.median, kept_by_beats.median],
            "watch_messages": told,
            "renewals": renewals,
            "traffic": traffic.document(),
        },
    )
