"""The original scenario: ten viewers of one day, each with a hold that is renewed every 5 s."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Final

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2

from holdfast.common.v1 import watch_pb2
from holdfast.presence.v1 import presence_pb2 as pb
from shared.client.value import to_duration
from tests.load.http2 import Answer, Connection, Method, connect, framed
from tests.load.world import World, resource_name

_PRESENCE: Final = "/holdfast.presence.v1.PresenceService/"
_HOLD_STREAM: Final = Method(_PRESENCE + "HoldStream", seconds=0)
_WATCH: Final = Method(_PRESENCE + "WatchPresence", seconds=0)
_PERIOD_SECONDS: Final = 5
_PERIODS: Final = 4
_HOUR_SECONDS: Final = 3_600
_QUANTUM: Final = timedelta(minutes=15)
_SETTLE_SECONDS: Final = 0.5


@dataclass(slots=True)
class Traffic:
    """Messages of so many periods, and what comes once: at the beginning and at the end.

    Attributes:
        steady: By kind, of all viewers together.
        once: Likewise.
    """

    VIEWERS: ClassVar[int] = 10
    steady: Counter[str] = field(default_factory=Counter)
    once: Counter[str] = field(default_factory=Counter)

    @property
    def of_an_hour(self) -> dict[str, int]:
        """What an hour comes to."""
        factor = _HOUR_SECONDS / (_PERIODS * _PERIOD_SECONDS)
        return {
            kind: round(self.steady[kind] * factor) + self.once[kind]
            for kind in sorted({*self.steady, *self.once})
        }

    @property
    def pushed(self) -> int:
        """What watchers are sent in an hour."""
        return sum(
            count for kind, count in self.of_an_hour.items() if kind in {"told", "bookmarks"}
        )

    @property
    def pushed_per_beat(self) -> int:
        """What they would be sent with a push to every viewer per heartbeat."""
        return self.VIEWERS * self.VIEWERS * _HOUR_SECONDS // _PERIOD_SECONDS

    def lines(self) -> list[str]:
        """For people."""
        found = self.of_an_hour
        seconds = _PERIODS * _PERIOD_SECONDS
        saved = self.pushed_per_beat / self.pushed
        told, bookmarks = found.get("told", 0), found.get("bookmarks", 0)
        per_beat = f"{self.pushed_per_beat:,} with a push per heartbeat: {saved:.1f} x"
        return [
            f"{self.VIEWERS} viewers with a hold each, an hour (counted for {seconds} s):",
            f"  {told:,} states and changes and {bookmarks:,} bookmarks, {per_beat}",
            f"  beside them {found.get('renewals', 0):,} renewals and as many answers",
        ]

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {**self.of_an_hour, "pushed": self.pushed, "push_per_beat": self.pushed_per_beat}


async def counted(target: str, day: World) -> Traffic:
    """Lets the viewers come, stay for some periods, and leave; counts every message.

    Raises:
        CallFailed: A stream ended.
    """
    traffic = Traffic()
    counts = traffic.once
    connections = [await connect(target) for _ in range(Traffic.VIEWERS)]

    def told(message: bytes) -> None:
        is_bookmark = message.startswith(bytes((0x08, watch_pb2.WATCH_EVENT_BOOKMARK)))
        counts["bookmarks" if is_bookmark else "told"] += 1

    def answered(_: bytes) -> None:
        counts["answers"] += 1

    streams = []
    for number, connection in enumerate(connections):
        connection.start(_WATCH, framed(_watch(day)), _ignored, told)
        opening = framed(_opening(day, number))
        counts["renewals"] += 1
        streams.append(connection.start(_HOLD_STREAM, opening, _ignored, answered, goes_on=True))
    await asyncio.sleep(_SETTLE_SECONDS)
    counts = traffic.steady
    for _ in range(_PERIODS):
        await _renew(connections, streams)
        counts["renewals"] += len(streams)
    counts = traffic.once
    for connection, stream in zip(connections, streams, strict=True):
        connection.say(stream, framed(_leaving()))
    await asyncio.sleep(_SETTLE_SECONDS)
    for connection in connections:
        connection.close()
    return traffic


async def _renew(connections: list[Connection], streams: list[int]) -> None:
    for connection, stream in zip(connections, streams, strict=True):
        connection.say(stream, framed(b""))
        await asyncio.sleep(_PERIOD_SECONDS / len(streams))


def _opening(day: World, number: int) -> bytes:
    start = datetime.combine(_date(day), datetime.min.time(), UTC) + (80 + number) * _QUANTUM
    span = pb.HoldSpan(
        resource_id=resource_name(0),
        start_time=Timestamp(seconds=int(start.timestamp())),
        duration=to_duration(_QUANTUM),
    )
    return pb.HoldStreamRequest(
        organization_id=day.organization_id, session=secrets.token_urlsafe(16), keep=[span]
    ).SerializeToString()


def _leaving() -> bytes:
    return pb.HoldStreamRequest(
        leave=[pb.HoldName(resource_id=resource_name(0))]
    ).SerializeToString()


def _watch(day: World) -> bytes:
    first = _date(day)
    return pb.WatchPresenceRequest(
        organization_id=day.organization_id,
        resource_ids=[resource_name(0)],
        dates=[date_pb2.Date(year=first.year, month=first.month, day=first.day)],
    ).SerializeToString()


def _date(day: World) -> date:
    """A date of which nobody else holds anything."""
    return day.first + timedelta(days=1)


def _ignored(_: Answer) -> None:
    """The connections are closed here."""
