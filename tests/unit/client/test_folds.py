from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from holdfast.availability.v1.availability_pb2 import Day, WatchDaysResponse
from holdfast.common.v1 import watch_pb2
from holdfast.presence.v1 import holder_pb2
from holdfast.presence.v1 import presence_pb2 as pb
from shared.client import days_fold, presence_fold
from shared.client.days_fold import DayKey, DaysState, DayState
from shared.client.presence_fold import PresenceState
from shared.client.watch_event import WatchKind

START = int(datetime(2027, 3, 9, 14, tzinfo=UTC).timestamp())
TUESDAY = date(2027, 3, 9)

SNAPSHOT = watch_pb2.WATCH_EVENT_SNAPSHOT
CHANGES = watch_pb2.WATCH_EVENT_CHANGES
RESET = watch_pb2.WATCH_EVENT_RESET
BOOKMARK = watch_pb2.WATCH_EVENT_BOOKMARK


def hold(
    holder: str, hold_id: str = "", *, quanta: int = 4, overdue: bool = False
) -> holder_pb2.Hold:
    return holder_pb2.Hold(
        resource_id="studio-a",
        holder_id=holder,
        hold_id=hold_id,
        start_time=Timestamp(seconds=START),
        end_time=Timestamp(seconds=START + quanta * 900),
        expire_time=Timestamp(seconds=START - 7),
        overdue=overdue,
    )


def told(event: Any, *resources: pb.ResourcePresence) -> pb.WatchPresenceResponse:
    return pb.WatchPresenceResponse(event=event, resources=resources)


def of(
    resource_id: str = "studio-a", holds: Any = (), ended: Any = (), revision: int = 1
) -> pb.ResourcePresence:
    return pb.ResourcePresence(resource_id=resource_id, revision=revision, holds=holds, ended=ended)


def gone(holder: str, hold_id: str = "") -> pb.EndedHold:
    return pb.EndedHold(
        holder_id=holder, hold_id=hold_id, reason=holder_pb2.HOLD_END_REASON_EXPIRED
    )


def folded(*messages: pb.WatchPresenceResponse) -> PresenceState:
    state = PresenceState()
    for message in messages:
        state, _ = presence_fold.fold(state, message)
    return state


def holders(state: PresenceState) -> list[tuple[str, str, int]]:
    return [(each.holder_id, each.name.hold_id, len(each.span)) for each in state]


def test_a_snapshot_replaces_what_was_known_of_the_resources_it_names() -> None:
    state = folded(
        told(SNAPSHOT, of("studio-a", [hold("a")]), of("studio-b", [hold("b")])),
        told(SNAPSHOT, of("studio-a", [hold("c")])),
    )

    assert holders(state) == [("c", "", 4), ("b", "", 4)]


def test_changes_add_move_and_end_holds() -> None:
    state = folded(
        told(SNAPSHOT, of(holds=[hold("a"), hold("b"), hold("b", "two")])),
        told(CHANGES, of(holds=[hold("a", quanta=8), hold("c")], ended=[gone("b")])),
    )

    assert holders(state) == [("a", "", 8), ("b", "two", 4), ("c", "", 4)]


def test_an_end_of_an_unknown_hold_changes_nothing() -> None:
    assert holders(folded(told(CHANGES, of(ended=[gone("x")])))) == []


def test_an_overdue_hold_is_known_as_such() -> None:
    state = folded(
        told(SNAPSHOT, of(holds=[hold("a")])), told(CHANGES, of(holds=[hold("a", overdue=True)]))
    )

    (found,) = state
    assert found.is_overdue
    assert found.expires_at == datetime.fromtimestamp(START - 7, UTC)


def test_events_say_what_was_told() -> None:
    state, event = presence_fold.fold(PresenceState(), told(RESET, of(holds=[hold("a")])))
    assert event is not None
    assert event.kind is WatchKind.RESET
    after, event = presence_fold.fold(state, told(CHANGES, of(ended=[gone("a")])))
    assert event is not None
    assert [(end.name.holder_id, end.reason) for end in event.ended] == [("a", "EXPIRED")]
    same, nothing = presence_fold.fold(after, told(BOOKMARK))
    assert (same, nothing) == (after, None)
    # A fold makes a new state: whoever shows the old one is not disturbed.
    assert holders(state) == [("a", "", 4)]


def day(resource_id: str, busy: bytes, version: int) -> Day:
    return Day(
        resource_id=resource_id, date=Date(year=2027, month=3, day=9), busy=busy, version=version
    )


def test_days_are_folded_with_the_first_quarter_hour_as_the_lowest_bit() -> None:
    state, event = days_fold.fold(
        DaysState(),
        WatchDaysResponse(
            event=SNAPSHOT, days=[day("a", b"\x80" + bytes(10) + b"\x01", 3)], version=3
        ),
    )

    assert event is not None
    assert state.of("a", TUESDAY) == DayState(1 | 1 << 95, 3)
    assert state.version == 3


def test_changed_days_replace_their_own_and_a_reset_replaces_all() -> None:
    first, _ = days_fold.fold(
        DaysState(),
        WatchDaysResponse(event=SNAPSHOT, days=[day("a", bytes(12), 0), day("b", bytes(12), 0)]),
    )
    changed, event = days_fold.fold(
        first, WatchDaysResponse(event=CHANGES, days=[day("a", b"\xff" * 12, 7)], version=7)
    )
    assert event is not None
    assert event.days == (DayKey("a", TUESDAY),)
    assert changed.of("a", TUESDAY) == DayState((1 << 96) - 1, 7)
    assert changed.of("b", TUESDAY) == DayState(0, 0)

    reset, event = days_fold.fold(
        changed, WatchDaysResponse(event=RESET, days=[day("a", bytes(12), 2)], version=2)
    )
    assert event is not None
    assert event.kind is WatchKind.RESET
    assert dict(reset.days) == {DayKey("a", TUESDAY): DayState(0, 2)}
    assert days_fold.fold(reset, WatchDaysResponse(event=BOOKMARK)) == (reset, None)
