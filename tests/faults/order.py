"""When each transaction can have been committed, by what clients saw; and if that can be."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from math import inf

from tests.faults.answer import event_of, intents_of
from tests.faults.history import Answered, History
from tests.faults.story import Event
from tests.faults.tables import Tables
from tests.faults.violation import Rule, Violation


class Commits:
    """Bounds of the moment of each commit, by feed number."""

    def __init__(self, history: History, tables: Tables) -> None:
        self._first = tables.trimmed + 1
        size = max(tables.feed - tables.trimmed, 0)
        # Committed after this moment, and before that one.
        self._after = [-inf] * size
        self._before = [inf] * size
        self.feeds = {
            Event(row.booking_id, row.revision): row.feed for row in tables.outbox if row.booking_id
        }
        self._learn_from_calls(history)
        self._learn_from_sightings(history)
        # Feed order is the order of commits: each bound holds for those beyond it, too.
        for index in range(1, size):
            self._after[index] = max(self._after[index], self._after[index - 1])
        for index in range(size - 2, -1, -1):
            self._before[index] = min(self._before[index], self._before[index + 1])

    def surely_before(self, moment: float) -> int:
        """The newest feed number that was surely committed before a moment."""
        return self._first + bisect_left(self._before, moment) - 1

    def perhaps_before(self, moment: float) -> int:
        """The newest feed number that may have been committed by then."""
        return self._first + bisect_right(self._after, moment) - 1

    def contradictions(self) -> Iterator[Violation]:
        """Yields feed numbers that came after ones that are higher."""
        for index, (after, before) in enumerate(zip(self._after, self._before, strict=True)):
            if after > before:
                yield Violation(
                    Rule.FEED,
                    f"feed {self._first + index}: what has this number or a lower one was begun"
                    " after what has it or a higher one was acknowledged",
                )
                return

    def _learn_from_calls(self, history: History) -> None:
        for calls in intents_of(history).values():
            answered = [call for call in calls if isinstance(call.outcome, Answered)]
            if not answered or not hasattr(answered[0].answer, "booking"):
                continue
            feed = self.feeds.get(event_of(answered[0]))
            if feed is not None:
                index = feed - self._first
                self._after[index] = max(self._after[index], min(call.started for call in calls))
                self._before[index] = min(self._before[index], *(call.ended for call in answered))

    def _learn_from_sightings(self, history: History) -> None:
        for sighting in history.sightings:
            seen = sighting.highest - self._first
            if 0 <= seen < len(self._before):
                self._before[seen] = min(self._before[seen], sighting.ended)
            if 0 <= seen + 1 < len(self._after):
                self._after[seen + 1] = max(self._after[seen + 1], sighting.started)


def violations(history: History, commits: Commits) -> Iterator[Violation]:
    """Yields what was seen out of order."""
    yield from commits.contradictions()
    newest = 0
    for sighting in history.sightings:
        if sighting.number != sighting.highest - sighting.lowest + 1:
            yield Violation(
                Rule.FEED,
                f"feed numbers {sighting.lowest} to {sighting.highest} were seen, and only"
                f" {sighting.number} of them",
            )
        if sighting.highest < newest:
            yield Violation(Rule.LOST, f"feed number {newest} was seen, and later was not there")
        newest = max(newest, sighting.highest)
    yield from _told_too_early(history, commits)


def _told_too_early(history: History, commits: Commits) -> Iterator[Violation]:
    """Yields answers that a later look at the outbox does not show."""
    looks = sorted(history.sightings)
    started = [sighting.started for sighting in looks]
    for call in history.writes():
        if not isinstance(call.outcome, Answered) or not hasattr(call.answer, "booking"):
            continue
        index = bisect_right(started, call.ended)
        event = event_of(call)
        feed = commits.feeds.get(event)
        if index < len(looks) and feed is not None and looks[index].highest < feed:
            yield Violation(
                Rule.EARLY,
                f"{call}: {event.booking_id} at {event.revision} has feed number {feed},"
                f" and after the answer the newest one was {looks[index].highest}",
            )
