"""GetDaySlots: questions that were asked before are not decoded again, nor answers encoded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from holdfast.availability.v1 import availability_pb2 as pb
from services.availability.app.find_slots import DaySlots, FindSlots
from services.availability.domain.claim import DayState
from services.availability.domain.offering import OfferingName, SlotQuery
from services.availability.rpc import codec
from shared.runtime.call import decoded
from shared.slots.engine import FreeStarts
from shared.slots.plan import Plan

# What is kept of an answer beside its bytes and those of its question, and for each number, about.
_BESIDE_BYTES: Final = 600
_NUMBER_BYTES: Final = 40
# Longer than any question of this contract.
_LONGEST_QUESTION: Final = 1_024


class _Answer(NamedTuple):
    """A question, decoded, and its last answer: what that was made of, and its bytes.

    Attributes:
        query: The question.
        plan: Whose starts and days it tells.
        bits: The starts that were free.
        zone: In which the date was read.
        versions: Of the plan's days.
        units: Free units of each start; None where that is one for all.
        encoded: The answer's bytes.
    """

    query: SlotQuery
    plan: Plan
    bits: int
    zone: ZoneInfo
    # Exact tuples: the collector does not look at them again and again.
    versions: tuple[int, ...]
    units: tuple[int, ...] | None
    encoded: bytes

    def says(self, found: DaySlots) -> bool:
        """Tells whether its bytes are those of what was found.

        Plans of other rules, dates and zones are other objects, whatever they hold.
        """
        starts, zone, states, units = found
        return (
            starts is not None
            and starts.plan is self.plan
            and starts.bits == self.bits
            and zone is self.zone
            and _versions(states) == self.versions
            and (units if units is None else tuple(units)) == self.units
        )


class DaySlotAnswers(Collector):
    """Answers GetDaySlots. Belongs to one event loop.

    Every answer is computed. But a question that was asked before, byte for byte, is not decoded
    again, and an answer that comes out as the last one did is not encoded again: that is most of
    what a question costs that is answered from memory.

    holdfast_day_slot_answers_total by outcome (``remembered``, ``encoded``) and
    holdfast_day_slot_answer_bytes, for Prometheus.
    """

    def __init__(self, find: FindSlots, *, most_bytes: int) -> None:
        """Remembers nothing yet.

        Args:
            find: Computes answers.
            most_bytes: Of memory; questions asked longest ago are forgotten first.
        """
        self._find = find
        self._most_bytes = most_bytes
        self._longest = min(_LONGEST_QUESTION, most_bytes)
        self._bytes = 0
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()
        self._remembered = 0
        self._encoded = 0

    async def __call__(self, raw: bytes) -> bytes:
        """Answers a request.

        Raises:
            InvalidFields: The request cannot be read, or fields of it are wrong.
            NotFound: The resource or the event type is unknown or deleted.
            NotLinked: The event type does not book the resource.
            DurationNotOffered: This length is not offered.
        """
        known = self._answers.get(raw)
        if known is None:
            query = codec.day_slots_query(decoded(pb.GetDaySlotsRequest.FromString, raw))
        else:
            query = known.query
            self._answers.move_to_end(raw)
        found = await self._find.of_day(query)
        if known is not None and known.says(found):
            self._remembered += 1
            return known.encoded
        encoded = codec.day_slots_response(found, query.name.resource_id)
        self._encoded += 1
        if found.starts is not None and len(raw) <= self._longest:
            self._remember(raw, _answer(query, found.starts, found, encoded))
        return encoded

    def _remember(self, raw: bytes, answer: _Answer) -> None:
        answers = self._answers
        before = answers.pop(raw, None)
        if before is not None:
            self._bytes -= _size(raw, before)
        answers[raw] = answer
        self._bytes += _size(raw, answer)
        while self._bytes > self._most_bytes:
            self._bytes -= _size(*answers.popitem(last=False))

    def collect(self) -> Iterator[Metric]:
        """Tells the counts, from whichever thread."""
        answers = CounterMetricFamily(
            "holdfast_day_slot_answers",
            "Answers of GetDaySlots: encoded, or remembered as encoded before.",
            labels=["outcome"],
        )
        answers.add_metric(["remembered"], self._remembered)
        answers.add_metric(["encoded"], self._encoded)
        yield answers
        yield GaugeMetricFamily(
            "holdfast_day_slot_answer_bytes",
            "Memory that answers of GetDaySlots are kept in, as estimated.",
            self._bytes,
        )


def _answer(query: SlotQuery, starts: FreeStarts, found: DaySlots, encoded: bytes) -> _Answer:
    return _Answer(
        query._replace(name=_shared(*query.name)),
        starts.plan,
        starts.bits,
        found.zone,
        _versions(found.states),
        None if found.units is None else tuple(found.units),
        encoded,
    )


def _versions(states: Sequence[DayState]) -> tuple[int, ...]:
    return tuple([state.version for state in states])


@lru_cache(maxsize=4_096)
def _shared(organization_id: str, resource_id: str, event_type_id: str) -> OfferingName:
    """Returns one name for many questions. Only for names that were found: they are short."""
    return OfferingName(organization_id, resource_id, event_type_id)


def _size(raw: bytes, answer: _Answer) -> int:
    numbers = len(answer.versions) + len(answer.units or ())
    return len(raw) + len(answer.encoded) + _BESIDE_BYTES + _NUMBER_BYTES * numbers
