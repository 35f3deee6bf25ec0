"""How the messages of a watch of the catalog become a state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from holdfast.catalog.v1 import event_type_pb2, resource_pb2, schedule_pb2, watch_pb2
from holdfast.common.v1.watch_pb2 import (
    WATCH_EVENT_BOOKMARK,
    WATCH_EVENT_CHANGES,
    WATCH_EVENT_RESET,
    WATCH_EVENT_SNAPSHOT,
)
from shared.catalog.fold import CatalogFold
from shared.catalog.state import CatalogState, Hours
from shared.client.value import to_duration

HOUR = timedelta(hours=1)


def told(event: Any, version: int, **fields: Any) -> watch_pb2.WatchCatalogResponse:
    return watch_pb2.WatchCatalogResponse(event=event, version=version, **fields)


def studio(key: str = "studio", **facts: Any) -> resource_pb2.Resource:
    return resource_pb2.Resource(resource_id=key, active=True, time_zone="UTC", **facts)


def session(*lengths: timedelta, key: str = "session", **facts: Any) -> event_type_pb2.EventType:
    return event_type_pb2.EventType(
        event_type_id=key,
        active=True,
        duration_options=map(to_duration, lengths or (HOUR,)),
        **facts,
    )


def link(resource_id: str = "studio", event_type_id: str = "session") -> watch_pb2.CatalogLink:
    return watch_pb2.CatalogLink(resource_id=resource_id, event_type_id=event_type_id)


def snapshot(version: int = 1, **fields: Any) -> watch_pb2.WatchCatalogResponse:
    given = {"resources": [studio()], "event_types": [session()], "links": [link()]}
    return told(WATCH_EVENT_SNAPSHOT, version, **(given | fields))


def changes(version: int, **fields: Any) -> watch_pb2.WatchCatalogResponse:
    return told(WATCH_EVENT_CHANGES, version, after_version=version - 1, **fields)


def folded(*messages: watch_pb2.WatchCatalogResponse) -> CatalogState:
    fold = CatalogFold(CatalogState)
    for message in messages:
        fold.take(message)
    assert fold.state is not None
    return fold.state


def test_a_state_in_parts_counts_when_it_is_whole() -> None:
    fold = CatalogFold(CatalogState)

    assert not fold.take(told(WATCH_EVENT_SNAPSHOT, 1, resources=[studio("a")], more=True))
    assert fold.state is None
    assert fold.take(told(WATCH_EVENT_SNAPSHOT, 1, resources=[studio("b")]))

    assert fold.state is not None
    assert set(fold.state.resources) == {"a", "b"}


def test_the_state_before_stays_until_the_new_one_is_whole() -> None:
    fold = CatalogFold(CatalogState)
    fold.take(snapshot())

    fold.take(told(WATCH_EVENT_RESET, 9, resources=[studio("a")], more=True))

    assert fold.state is not None
    assert (set(fold.state.resources), fold.state.version) == ({"studio"}, 1)


def test_a_state_that_broke_off_leaves_nothing_behind() -> None:
    fold = CatalogFold(CatalogState)
    fold.take(told(WATCH_EVENT_SNAPSHOT, 1, resources=[studio("deleted-since")], more=True))

    fold.break_off()
    fold.take(told(WATCH_EVENT_SNAPSHOT, 2, resources=[studio("a")]))

    assert fold.state is not None
    assert set(fold.state.resources) == {"a"}


def test_changes_that_do_not_follow_are_refused_and_change_nothing() -> None:
    fold = CatalogFold(CatalogState)
    with pytest.raises(ValueError, match="before a state"):
        fold.take(changes(2))
    fold.take(snapshot())

    with pytest.raises(ValueError, match="missing"):
        fold.take(changes(3, resources=[studio("b")]))

    assert fold.state is not None
    assert set(fold.state.resources) == {"studio"}


def test_a_bookmark_moves_the_version() -> None:
    state = folded(snapshot(), told(WATCH_EVENT_BOOKMARK, 7))

    assert state.version == 7


def test_a_link_outlives_a_deletion_and_counts_again_after_it() -> None:
    removed = watch_pb2.CatalogRemovals(resource_ids=["studio"])
    gone = folded(snapshot(), changes(2, removed=removed))
    back = folded(snapshot(), changes(2, removed=removed), changes(3, resources=[studio()]))

    assert gone.basis("studio", "session").resource is None
    assert back.basis("studio", "session") == folded(snapshot()).basis("studio", "session")
    assert back.booking("studio") == {"session"}


def test_a_link_that_ended_is_known_to_both_of_its_ends() -> None:
    state = folded(snapshot(), changes(2, removed=watch_pb2.CatalogRemovals(links=[link()])))

    assert not state.booked_by("session")
    assert not state.booking("studio")
    assert not state.basis("studio", "session").is_linked


@pytest.mark.parametrize(
    ("event_type", "resource", "default", "deciding"),
    [
        ("evening", "morning", "default", "evening"),
        ("", "morning", "default", "morning"),
        ("", "", "default", "default"),
        ("", "", None, None),
    ],
)
def test_the_first_schedule_that_is_named_decides(
    event_type: str, resource: str, default: str | None, deciding: str | None
) -> None:
    schedules = [
        schedule_pb2.Schedule(schedule_id=key, is_default=key == default)
        for key in ("evening", "morning", "default")
    ]
    state = folded(
        snapshot(
            5,
            resources=[studio(schedule_id=resource)],
            event_types=[session(schedule_id=event_type)],
            schedules=schedules,
        )
    )

    expected = Hours(deciding, 5 if deciding else 0)
    assert state.basis("studio", "session").hours == expected


@pytest.mark.parametrize(
    "change",
    [
        changes(2, schedules=[schedule_pb2.Schedule(schedule_id="hours", is_default=True)]),
        changes(2, date_overrides=[watch_pb2.ScheduleDateOverride(schedule_id="hours")]),
        changes(
            2,
            removed=watch_pb2.CatalogRemovals(dates=[watch_pb2.ScheduleDate(schedule_id="hours")]),
        ),
        changes(2, removed=watch_pb2.CatalogRemovals(schedule_ids=["hours"])),
        changes(2, event_types=[session(buffer_after=to_duration(HOUR / 6))]),
        changes(2, resources=[studio(schedule_id="other")]),
    ],
    ids=["schedule", "override", "override ended", "schedule ended", "buffer", "other schedule"],
)
def test_what_decides_of_starts_changes_the_basis(change: watch_pb2.WatchCatalogResponse) -> None:
    hours = schedule_pb2.Schedule(schedule_id="hours", is_default=True)
    before = folded(snapshot(schedules=[hours])).basis("studio", "session")

    after = folded(snapshot(schedules=[hours]), change).basis("studio", "session")

    assert after != before


def test_what_decides_of_no_start_leaves_the_basis() -> None:
    before = folded(snapshot())
    after = folded(
        snapshot(),
        changes(2, resources=[studio(name="Grand", description="With a piano"), studio("other")]),
        changes(3, schedules=[schedule_pb2.Schedule(schedule_id="of-nobody")]),
    )

    assert after.basis("studio", "session") == before.basis("studio", "session")


def test_the_longest_length_is_that_of_the_options_or_of_the_range() -> None:
    one, five = to_duration(HOUR), to_duration(5 * HOUR)
    flexible = event_type_pb2.FlexibleDuration(minimum=one, maximum=five, step=one)
    event_type = event_type_pb2.EventType(event_type_id="any", flexible_duration=flexible)
    state = folded(snapshot(event_types=[session(3 * HOUR, HOUR), event_type]))

    lengths = {key: found.longest for key, found in state.event_types.items()}

    assert lengths == {"session": 3 * HOUR, "any": 5 * HOUR}
