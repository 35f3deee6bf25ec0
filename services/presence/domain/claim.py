"""The live holds of one resource, as they count against bookings of its time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from services.presence.domain.hold import HoldRule, ResourceName
from shared.slots.held import HeldUnits
from shared.slots.quantum import Span

_NEVER: Final = float("inf")


class Claim(NamedTuple):
    """A live hold: since when, in microseconds, what, and whose."""

    acquired: int
    first: int
    stop: int
    units: int
    holder_id: str


class Asked(NamedTuple):
    """Time that somebody is about to book; the holder's id is empty where nobody is known."""

    holder_id: str
    span: Span


class _Part(NamedTuple):
    """A part of the asked time in which the same holds count.

    Attributes:
        before: Only what was acquired earlier counts.
        first: The first quantum.
        stop: The one after the last.
        own: Units of the asker's own that are to be left out.
    """

    before: float
    first: int
    stop: int
    own: int


class Claims:
    """All live holds of a resource.

    Many bookings are asked about at once, and a pool may have a thousand holders: what one
    booking costs must not grow with their number.
    """

    def __init__(self, claims: Iterable[Claim]) -> None:
        self._claims = sorted(claims)
        self._own: dict[str, list[Claim]] = {}
        for claim in self._claims:
            self._own.setdefault(claim.holder_id, []).append(claim)
        in_time = sorted((claim.first, claim.stop) for claim in self._claims)
        self._firsts = [first for first, _ in in_time]
        self._reach = list(accumulate((stop for _, stop in in_time), max))

    def __bool__(self) -> bool:
        return bool(self._claims)

    def overlap(self, span: Span) -> bool:
        """Tells whether anybody holds some of the time."""
        begun = bisect_left(self._firsts, span.stop)
        return begun > 0 and self._reach[begun - 1] > span.first

    def own_overlap(self, holder_id: str, span: Span) -> bool:
        """Tells whether a holder holds some of the time."""
        return bool(self._own_in(holder_id, span))

    def counted(self, rule: HoldRule, asked: Sequence[Asked]) -> list[list[HeldUnits]]:
        """Sums for each booking the units of what counts against it.

        One's own holds never count. On a pool, who holds a quantum stands in line there: of
        others' holds only those count on it that were acquired before the first of one's own
        that cover it. Where one holds nothing, all of others' count.

        Returns:
            Ascending runs of quanta on which the sum is the same and not 0, none beyond the time
            asked for.
        """
        if rule is HoldRule.ADVISORY:
            return [[] for _ in asked]
        parts = [list(self._parts(rule, one)) for one in asked]
        runs = self._runs({part for some in parts for part in some})
        return [_joined(run for part in some for run in runs[part]) for some in parts]

    def _own_in(self, holder_id: str, span: Span) -> list[Claim]:
        own = self._own.get(holder_id, ())
        return [claim for claim in own if claim.first < span.stop and span.first < claim.stop]

    def _parts(self, rule: HoldRule, asked: Asked) -> Iterator[_Part]:
        holder_id, span = asked
        own = self._own_in(holder_id, span)
        if not own:
            yield _Part(_NEVER, span.first, span.stop, 0)
            return
        edges = {span.first, span.stop}
        for claim in own:
            edges |= {max(claim.first, span.first), min(claim.stop, span.stop)}
        for first, stop in pairwise(sorted(edges)):
            covering = [claim for claim in own if claim.first <= first and stop <= claim.stop]
            if rule is HoldRule.POOL and covering:
                # None of these is the asker's: this is the first of its own.
                yield _Part(covering[0].acquired, first, stop, 0)
            else:
                yield _Part(_NEVER, first, stop, sum(claim.units for claim in covering))

    def _runs(self, parts: Iterable[_Part]) -> dict[_Part, list[HeldUnits]]:
        """Goes through all holds once, in their order, and looks at each part when it is due."""
        ordered = sorted(parts)
        # What nobody asks about needs no place.
        low = min((part.first for part in ordered), default=0)
        high = max((part.stop for part in ordered), default=0)
        claims = [claim for claim in self._claims if claim.first < high and low < claim.stop]
        edges = sorted({edge for _, first, stop, _, _ in claims for edge in (first, stop)})
        places = {edge: place for place, edge in enumerate(edges)}
        # By edge: the units of which a hold begins there, less those of which one ends.
        steps = [0] * len(edges)
        runs: dict[_Part, list[HeldUnits]] = {}
        seen = 0
        for part in ordered:
            while seen < len(claims) and claims[seen].acquired < part.before:
                _, first, stop, units, _ = claims[seen]
                steps[places[first]] += units
                steps[places[stop]] -= units
                seen += 1
            runs[part] = list(_held(part, edges, steps))
        return runs


class ClaimsThen(NamedTuple):
    """The live holds of resources, and what the store's clock said when their reading began."""

    time: datetime
    claims: Mapping[ResourceName, Claims]


def _held(part: _Part, edges: Sequence[int], steps: Sequence[int]) -> Iterator[HeldUnits]:
    """Yields the runs of a part, of which the units held change by steps at edges."""
    place = bisect_right(edges, part.first)
    units = sum(steps[:place]) - part.own
    first = part.first
    inside = slice(place, bisect_left(edges, part.stop))
    for edge, step in zip(edges[inside], steps[inside], strict=True):
        if step:
            if units:
                yield HeldUnits(first, edge, units)
            first = edge
            units += step
    if units:
        yield HeldUnits(first, part.stop, units)


def _joined(runs: Iterable[HeldUnits]) -> list[HeldUnits]:
    """Joins runs that follow upon each other with the same units."""
    joined: list[HeldUnits] = []
    for run in runs:
        if joined and joined[-1].stop == run.first and joined[-1].units == run.units:
            joined[-1] = joined[-1]._replace(stop=run.stop)
        else:
            joined.append(run)
    return joined
