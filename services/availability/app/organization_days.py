"""One organization's days in memory, as new as the newest change that was heard of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from services.availability.domain.claim import FREE, DayState
from services.availability.domain.day_change import ChangedDay, DayChange
from shared.runtime.topic import Topic

Days = Mapping[str, Iterable[int]]
"""UTC day numbers by resource."""


class OrganizationDays(Topic[str, DayChange]):
    """The days that somebody asked for or watches. Belongs to one event loop.

    Of two states of a day the one with the higher version wins, whichever comes last: what a
    reading of the store found may be older than a change that came while it was on its way.

    Attributes:
        epoch: Of the store; 0 before the first reading.
        position: The feed number up to which every change is known.
        confirmed_at: When, by the monotonic clock, the last reading began that found no more
            changes: every commit before is known.
        used_at: When somebody last asked.
        generation: Rises whenever everything is forgotten.
    """

    def __init__(self, organization_id: str) -> None:
        super().__init__(organization_id)
        self.epoch = 0
        self.position = 0
        self.confirmed_at = float("-inf")
        self.used_at = float("-inf")
        self.generation = 0
        self.count = 0
        self._days: dict[str, dict[int, DayState]] = {}
        self._pinned: dict[str, Counter[int]] = {}
        self._fills = 0
        self._heard: dict[tuple[str, int], DayState] = {}

    def of_resource(self, resource_id: str, days: range) -> dict[int, DayState] | None:
        """Returns days of a resource, or None unless each of them is known."""
        known = self._days.get(resource_id)
        if known is None:
            return None
        try:
            return {day: known[day] for day in days}
        except KeyError:
            return None

    def state(self, resource_id: str, day: int) -> DayState:
        """Returns a day that is known for sure, since it is pinned and was filled."""
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

    def hear(self, days: Iterable[ChangedDay]) -> None:
        """Takes in changed days; those that nobody asked for are dropped."""
        for resource_id, day, state in days:
            known = self._days.get(resource_id)
            before = known.get(day) if known else None
            if known is not None and before is not None and before.version < state.version:
                known[day] = state
            if self._fills:
                key = (resource_id, day)
                heard = self._heard.get(key)
                if heard is None or heard.version < state.version:
                    self._heard[key] = state

    @contextmanager
    def filling(self) -> Iterator[None]:
        """While the store is read: remembers what is heard meanwhile."""
        self._fills += 1
        try:
            yield
        finally:
            self._fills -= 1
            if not self._fills:
                self._heard.clear()

    def fill(self, wanted: Days, found: Mapping[str, Mapping[int, DayState]]) -> None:
        """Takes in what the store was found to have, inside ``filling``."""
        for resource_id, days in wanted.items():
            known = self._days.setdefault(resource_id, {})
            stored = found.get(resource_id, {})
            for day in days:
                states = [stored.get(day, FREE)]
                if (heard := self._heard.get((resource_id, day))) is not None:
                    states.append(heard)
                if (before := known.get(day)) is not None:
                    states.append(before)
                else:
                    self.count += 1
                known[day] = max(states, key=_version)

    def distrust(self) -> None:
        """Makes fills that are on their way count for nothing, and all that was heard."""
        self.generation += 1
        self.confirmed_at = float("-inf")
        self._heard.clear()

    def replace(self, wanted: Days, found: Mapping[str, Mapping[int, DayState]]) -> None:
        """Forgets every state for what the store was found to have, inside ``filling``."""
        self._days.clear()
        self.count = 0
        self.fill(wanted, found)

    def shrink(self, most: int) -> None:
        """Forgets resources, those known longest first, until ``most`` days are left."""
        for resource_id in list(self._days):
            if self.count <= most:
                return
            if resource_id not in self._pinned:
                self.count -= len(self._days.pop(resource_id))

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
    def is_followed(self) -> bool:
        """Whether somebody watches."""
        return bool(self.subscribers or self._pinned)


def _version(state: DayState) -> int:
    return state.version
