"""One organization's days in memory, as new as the newest change that was heard of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from services.availability.domain.claim import FREE, DayKey, DayState
from services.availability.domain.day_change import ChangedDay, DayChange, FeedPage
from shared.runtime.topic import Topic

Days = Mapping[str, Sequence[int]]
"""UTC day numbers by resource."""


@dataclass(frozen=True, slots=True)
class DayFeedTerms:
    """How days are kept.

    Attributes:
        poll: The longest time between two looks at the store.
        idle: After how long an organization that nobody asks for is forgotten.
        most: Days in memory at most, watched ones aside.
    """

    poll: timedelta
    idle: timedelta
    most: int


class OrganizationDays(Topic[str, DayChange]):
    """The days that somebody asked for or watches. Belongs to one event loop.

    Watchers are told the state at ``position``, where every change up to a feed number is known
    and none after it. Reads are answered by the newest that was heard of: what this process
    committed itself counts for them before the feed brings it.

    Attributes:
        epoch: Of the store; 0 before the first reading.
        position: The feed number up to which every change is known.
        noted: The newest feed number that this process was given.
        is_behind: Whether the last reading left changes for the next one.
        confirmed_at: When, by the monotonic clock, the last reading began that found no more
            changes: every commit before is known.
        doubted_at: When it was last found that there may be changes that nobody told of:
            readings that began before do not count.
        used_at: When somebody last asked.
        generation: Rises whenever everything is forgotten.
        count: Days in memory.
    """

    def __init__(self, organization_id: str) -> None:
        super().__init__(organization_id)
        self.epoch = 0
        self.position = 0
        self.noted = 0
        self.is_behind = True
        self.confirmed_at = float("-inf")
        self.doubted_at = float("-inf")
        self.used_at = float("-inf")
        self.generation = 0
        self.count = 0
        self._days: dict[str, dict[int, DayState]] = {}
        self._ahead: dict[str, dict[int, DayState]] = {}
        self._pinned: dict[str, Counter[int]] = {}
        self._fills = 0
        self._heard: dict[tuple[str, int], DayState] = {}
        self._capacities: dict[str, int] = {}
        self._heard_capacities: dict[str, int] = {}

    def capacities(self, resource_ids: Collection[str]) -> dict[str, int] | None:
        """Returns how many units pools have, or None unless each of them is known."""
        known = self._capacities
        try:
            return {name: known[name] for name in resource_ids}
        except KeyError:
            return None

    def of_resource(self, resource_id: str, days: Sequence[int]) -> dict[int, DayState] | None:
        """Returns days of a resource for a read, or None unless each of them is known."""
        known = self._days.get(resource_id)
        if known is None:
            return None if days else {}
        try:
            found = {day: known[day] for day in days}
        except KeyError:
            return None
        ahead = self._ahead.get(resource_id)
        if ahead:
            for day in found.keys() & ahead.keys():
                found[day] = max(found[day], ahead[day], key=_version)
        return found

    def remembered(self, keys: Iterable[DayKey]) -> dict[DayKey, DayState] | None:
        """Returns days for whoever makes sure of them, or None unless each of them is known."""
        found = {}
        for key in keys:
            states = self.of_resource(key.resource_id, (key.day,))
            if states is None:
                return None
            found[key] = states[key.day]
        return found

    def of_resources(self, wanted: Days) -> dict[str, dict[int, DayState]] | None:
        """Returns days of several resources, or None unless each of them is known."""
        found = {}
        for resource_id, days in wanted.items():
            states = self.of_resource(resource_id, days)
            if states is None:
                return None
            found[resource_id] = states
        return found

    def state(self, resource_id: str, day: int) -> DayState:
        """Returns a known day as watchers see it: at ``position``, once it is watched."""
        return self._days[resource_id][day]

    def missing(self, wanted: Days) -> dict[str, list[int]]:
        """Returns which of the days are not known."""
        found = {}
        for resource_id, days in wanted.items():
            known = self._days.get(resource_id, {})
            unknown = [day for day in days if day not in known]
            if unknown:
                found[resource_id] = unknown
        return found

    def newest(self, wanted: Days) -> int:
        """Returns the highest version of known days: a fill may be ahead of ``position``."""
        return max(
            (
                self._days[resource_id][day].version
                for resource_id, days in wanted.items()
                for day in days
            ),
            default=0,
        )

    def note(self, days: Iterable[ChangedDay]) -> None:
        """Takes in what this process committed and the feed has not brought yet."""
        for resource_id, day, state in days:
            self.noted = max(self.noted, state.version)
            if state.version > self.position:
                ahead = self._ahead.setdefault(resource_id, {})
                ahead[day] = max(state, ahead.get(day, FREE), key=_version)

    def advance(self, change: DayChange) -> None:
        """Takes in the change that follows on ``position``, and publishes it."""
        for resource_id, day, state in change.days:
            known = self._days.get(resource_id)
            if known is not None and day in known:
                known[day] = max(state, known[day], key=_version)
            elif self._fills:
                self._heard[resource_id, day] = state
        for resource_id, units in change.capacities:
            if resource_id in self._capacities:
                self._capacities[resource_id] = units
            elif self._fills:
                self._heard_capacities[resource_id] = units
        self.position = change.feed
        self.publish(change)

    def settle(self) -> None:
        """Drops what was noted and has come with the feed meanwhile."""
        for resource_id, days in list(self._ahead.items()):
            left = {day: state for day, state in days.items() if state.version > self.position}
            if left:
                self._ahead[resource_id] = left
            else:
                del self._ahead[resource_id]

    def continues(self, page: FeedPage) -> bool:
        """Returns whether a page of the feed follows on ``position``: nothing lost, no gap."""
        if page.epoch != self.epoch or page.number < self.position:
            return False
        numbers = [change.feed for change in page.changes]
        follow = list(range(self.position + 1, self.position + 1 + len(numbers)))
        return numbers == follow and (bool(numbers) or page.number == self.position)

    @contextmanager
    def filling(self) -> Iterator[None]:
        """While the store is read: remembers what the feed brings meanwhile."""
        self._fills += 1
        try:
            yield
        finally:
            self._fills -= 1
            if not self._fills:
                self._heard.clear()
                self._heard_capacities.clear()

    def fill(self, wanted: Days, found: Mapping[str, Mapping[int, DayState]]) -> int:
        """Takes in what the store was found to have, inside ``filling``; returns how much.

        What the reading found may be older than a change that came while it was on its way:
        the higher version wins. A day that became known meanwhile stays as it is: it may be
        watched, and what was found may be newer than ``position``.
        """
        before = self.count
        for resource_id, days in wanted.items():
            known = self._days.setdefault(resource_id, {})
            stored = found.get(resource_id, {})
            for day in days:
                if day not in known:
                    heard = self._heard.get((resource_id, day), FREE)
                    known[day] = max(stored.get(day, FREE), heard, key=_version)
                    self.count += 1
        return self.count - before

    def fill_capacities(self, found: Mapping[str, int]) -> None:
        """Takes in what the store was found to have, inside ``filling``.

        What came with the feed meanwhile is newer, or what the reading found already.
        """
        for resource_id, units in found.items():
            heard = self._heard_capacities.get(resource_id, units)
            self._capacities.setdefault(resource_id, heard)

    def doubt(self, now: float) -> None:
        """Makes reads wait for a reading that begins from now on."""
        self.doubted_at = now
        self.confirmed_at = float("-inf")

    def distrust(self, now: float) -> None:
        """Makes all that is known, and fills that are on their way, count for nothing."""
        self.doubt(now)
        self.generation += 1
        self.is_behind = True
        self.noted = 0
        self._ahead.clear()
        self._heard.clear()
        self._capacities.clear()
        self._heard_capacities.clear()

    def become(self, other: OrganizationDays) -> None:
        """Forgets every state for those of another; who watches and what is pinned stay."""
        self.epoch, self.position = other.epoch, other.position
        self._days, self.count = other._days, other.count
        self.settle()

    def shrink(self, most: int) -> None:
        """Forgets resources, those known longest first, until ``most`` days are left.

        What is pinned stays; other days of the same resource do not: they may be many.
        """
        for resource_id, known in list(self._days.items()):
            if self.count <= most:
                return
            pinned = self._pinned.get(resource_id, ())
            kept = {day: state for day, state in known.items() if day in pinned}
            self.count -= len(known) - len(kept)
            if kept:
                self._days[resource_id] = kept
            else:
                del self._days[resource_id]

    @contextmanager
    def pinned(self, wanted: Days) -> Iterator[None]:
        """Keeps days from being forgotten to save room."""
        for resource_id, days in wanted.items():
            self._pinned.setdefault(resource_id, Counter()).update(days)
        try:
            yield
        finally:
            for resource_id, days in wanted.items():
                left = self._pinned[resource_id]
                left.subtract(days)
                left += Counter()  # without those that nobody pins any more
                self._pinned[resource_id] = left
                if not left:
                    del self._pinned[resource_id]

    @property
    def pins(self) -> Days:
        """The days that are pinned."""
        return {resource_id: list(days) for resource_id, days in self._pinned.items()}

    @property
    def spare(self) -> int:
        """Days in memory that may be forgotten."""
        return max(0, self.count - sum(map(len, self._pinned.values())))

    @property
    def is_followed(self) -> bool:
        """Whether somebody watches."""
        return bool(self.subscribers or self._pinned)


def _version(state: DayState) -> int:
    return state.version


def make_room(organizations: Iterable[OrganizationDays], most: int, spared: int) -> int:
    """Forgets days, of the largest organizations first: nobody crowds out the others.

    Args:
        organizations: All of them.
        most: Days to keep, pinned ones aside.
        spared: How many more to forget when there are too many.

    Returns:
        For how many days there is room now.
    """
    known = sorted(organizations, key=lambda each: -each.count)
    excess = sum(each.spare for each in known) - most
    if excess > 0:
        excess += spared
        for each in known:
            before = each.count
            each.shrink(before - excess)
            excess -= before - each.count
            if excess <= 0:
                break
    return -excess
