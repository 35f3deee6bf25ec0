"""The validators of watches would notice: an honest record passes, each damaged one is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults.watch.scribe import DAY, HALL, ROOM, Scribe, hour, name
from tests.faults.watch.trace import Event, Message, Position, Segment, Stall, Told
from tests.faults.watch.truth import BOOKED, EXPIRED, LEFT
from tests.faults.watch.validator import validate
from tests.faults.watch.violation import Rule

ANN, BEN, CAT = name("ann"), name("ben"), name("cat")
Damage = Callable[[Scribe], None]


def story() -> Scribe:
    """Holds, swaps and ends; calls that change several; a loss, resumptions, a quiet while."""
    scribe = Scribe()
    scribe.change(ROOM, {ANN: hour(9)})
    scribe.change(ROOM, {BEN: hour(10), CAT: hour(11)})
    scribe.change(HALL, {ANN: hour(9)})
    scribe.change(ROOM, {ANN: hour(9, day=DAY + 3)})
    scribe.change(HALL, {BEN: hour(12, day=DAY + 3)})
    scribe.idle()
    scribe.change(ROOM, {BEN: BOOKED, CAT: BOOKED})
    scribe.away((ROOM, {BEN: hour(8)}), (HALL, {ANN: LEFT}), (ROOM, {BEN: hour(7)}))
    scribe.change(ROOM, {CAT: hour(14)})
    scribe.away((HALL, {BEN: hour(9)}), (HALL, {BEN: LEFT}))
    scribe.change(HALL, {CAT: hour(15)})
    scribe.lose({BEN: hour(7)})
    scribe.change(ROOM, {BEN: EXPIRED})
    scribe.idle()
    scribe.change(HALL, {ANN: hour(9), BEN: hour(10)})
    return scribe.finish()


def rules(scribe: Scribe, *stalls: Stall) -> set[Rule]:
    return {v.rule for v in validate(scribe.watch, scribe.truth, stalls, scribe.end)}


def test_an_honest_watch_passes() -> None:
    scribe = story()

    assert validate(scribe.watch, scribe.truth, (), scribe.end) == []


def messages(scribe: Scribe, segment: int = 0) -> list[Message]:
    return scribe.watch.segments[segment].messages


def drop_a_change(scribe: Scribe) -> None:
    del messages(scribe)[2]


def drop_the_last_change(scribe: Scribe) -> None:
    messages(scribe, 2).pop()


def swap_two(scribe: Scribe) -> None:
    told = messages(scribe)
    told[1], told[2] = (
        replace(told[2], at=told[1].at),
        replace(told[1], at=told[2].at),
    )


def tell_twice(scribe: Scribe) -> None:
    messages(scribe).insert(2, messages(scribe)[1])


def split_a_batch(scribe: Scribe) -> None:
    whole = messages(scribe)[2]
    (told,) = whole.told
    halves = [replace(told, holds={hold: held}) for hold, held in told.holds.items()]
    messages(scribe)[2:3] = [
        replace(whole, told=[halves[0]]),
        replace(whole, told=[replace(halves[1], after=told.revision)]),
    ]


def split_a_batch_and_number_it(scribe: Scribe) -> None:
    """Each half says that it is the whole."""
    whole = messages(scribe)[2]
    (told,) = whole.told
    messages(scribe)[2:3] = [
        replace(whole, told=[replace(told, holds={hold: held})])
        for hold, held in told.holds.items()
    ]


def resume_from_an_older_token(scribe: Scribe) -> None:
    """Tells what the token's owner had been told already, once more."""
    _resumed(scribe, lambda told: replace(told, after=told.after - 1))


def resume_from_a_newer_token(scribe: Scribe) -> None:
    _resumed(scribe, lambda told: replace(told, after=told.after + 1))


def _resumed(scribe: Scribe, change: Callable[[Told], Told]) -> None:
    first = messages(scribe, 1)[0]
    messages(scribe, 1)[0] = replace(first, told=[change(told) for told in first.told])


def resume_with_a_bookmark(scribe: Scribe) -> None:
    """As if nothing had been missed."""
    first = messages(scribe, 1)[0]
    messages(scribe, 1)[0] = replace(first, event=Event.BOOKMARK, told=[])


def resume_as_if_it_were_new(scribe: Scribe) -> None:
    scribe.watch.segments[1].resumed = None


def _reset_at(segment: Segment) -> int:
    return [message.event for message in segment.messages].index(Event.RESET)


def lose_silently(scribe: Scribe) -> None:
    segment = scribe.watch.segments[2]
    del segment.messages[_reset_at(segment)]


def call_a_reset_a_snapshot(scribe: Scribe) -> None:
    segment = scribe.watch.segments[2]
    number = _reset_at(segment)
    segment.messages[number] = replace(segment.messages[number], event=Event.SNAPSHOT)


def call_a_reset_a_bookmark(scribe: Scribe) -> None:
    segment = scribe.watch.segments[2]
    number = _reset_at(segment)
    bookmark = replace(segment.messages[number], event=Event.BOOKMARK, told=[])
    segment.messages[number] = bookmark


def forget_a_resource_in_a_reset(scribe: Scribe) -> None:
    segment = scribe.watch.segments[2]
    number = _reset_at(segment)
    reset = segment.messages[number]
    segment.messages[number] = replace(reset, told=reset.told[:1])


def leave_a_bookmark_out(scribe: Scribe) -> None:
    for segment in scribe.watch.segments:
        segment.messages = [m for m in segment.messages if m.event is not Event.BOOKMARK]
    _later(scribe, 2.0)


def _later(scribe: Scribe, seconds: float) -> None:
    told = messages(scribe)
    told[-1] = replace(told[-1], at=told[-1].at + seconds)


def bookmark_ahead(scribe: Scribe) -> None:
    """A token that stands for a change not told yet."""
    told = messages(scribe)
    ahead = {name: Position(at.epoch, at.revision + 1) for name, at in told[1].positions.items()}
    told[1] = replace(told[1], positions=ahead)


def let_the_token_go_back(scribe: Scribe) -> None:
    told = messages(scribe)
    bookmark = next(i for i, m in enumerate(told) if m.event is Event.BOOKMARK)
    told[bookmark] = replace(told[bookmark], positions=told[1].positions)


def tell_another_span(scribe: Scribe) -> None:
    first = messages(scribe)[1]
    (told,) = first.told
    messages(scribe)[1] = replace(first, told=[replace(told, holds={ANN: hour(8)})])


def tell_what_never_was(scribe: Scribe) -> None:
    first = messages(scribe)[1]
    (told,) = first.told
    messages(scribe)[1] = replace(first, told=[replace(told, holds={**told.holds, BEN: hour(8)})])


def begin_with_a_hold_too_few(scribe: Scribe) -> None:
    segment = scribe.watch.segments[2]
    number = _reset_at(segment)
    reset = segment.messages[number]
    room, hall = reset.told
    segment.messages[number] = replace(reset, told=[replace(room, holds={}), hall])


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (drop_a_change, {Rule.RELIABLE}),
        (drop_the_last_change, {Rule.RELIABLE}),
        (swap_two, {Rule.ORDERED}),
        (tell_twice, {Rule.UNIQUE}),
        (split_a_batch, {Rule.ATOMIC}),
        (split_a_batch_and_number_it, {Rule.ATOMIC, Rule.UNIQUE}),
        (resume_from_an_older_token, {Rule.RESUMABLE}),
        (resume_from_a_newer_token, {Rule.RESUMABLE}),
        (resume_with_a_bookmark, {Rule.RELIABLE}),
        (resume_as_if_it_were_new, {Rule.RESUMABLE}),
        (lose_silently, {Rule.RESET}),
        (call_a_reset_a_snapshot, {Rule.RESET}),
        (call_a_reset_a_bookmark, {Rule.RESET}),
        (forget_a_resource_in_a_reset, {Rule.RESET}),
        (leave_a_bookmark_out, {Rule.BOOKMARK}),
        (bookmark_ahead, {Rule.RELIABLE}),
        (let_the_token_go_back, {Rule.ORDERED}),
        (tell_another_span, {Rule.CONVERGENT}),
        (tell_what_never_was, {Rule.INVENTED}),
        (begin_with_a_hold_too_few, {Rule.CONVERGENT}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_damaged_watch_is_caught(damage: Damage, expected: set[Rule]) -> None:
    scribe = story()
    damage(scribe)

    assert rules(scribe) >= expected


def test_who_reads_slowly_is_not_called_silent() -> None:
    scribe = story()
    leave_a_bookmark_out(scribe)
    scribe.watch.segments[0].is_prompt = False

    assert Rule.BOOKMARK not in rules(scribe)


def test_a_reader_that_was_busy_itself_calls_nobody_silent() -> None:
    scribe = story()
    _later(scribe, 6.0)
    scribe.watch.segments[0].ended_at = None
    stalled = Stall(messages(scribe)[-2].at, 4.0)

    assert Rule.BOOKMARK in rules(scribe)
    assert Rule.BOOKMARK not in rules(scribe, stalled)


def test_what_nobody_saw_of_the_truth_is_not_judged() -> None:
    scribe = story()
    tell_another_span(scribe)
    for line in scribe.truth.lines.values():
        line.known_to = line.base

    assert Rule.CONVERGENT not in rules(scribe)
