"""GetDaySlots, whose answers are remembered: who looks at a day asks what others asked before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from holdfast.availability.v1 import availability_pb2 as pb
from services.availability.app.find_slots import Basis, FindSlots
from services.availability.rpc import codec
from shared.runtime.call import decoded

# What is kept of an answer beside its bytes and those of its question, about.
_BESIDE_BYTES: Final = 500
# Longer than any question that names nothing unknown.
_LONGEST_QUESTION: Final = 1_024


class DaySlotAnswers(Collector):
    """Answers GetDaySlots. Belongs to one event loop.

    An answer is given again to the same question, byte for byte, while all that it follows from is
    as it was: the offering, the states of its days, and which starts notice and horizon allow. That
    is looked at every time, so an answer out of memory is as new as one that is computed.

    holdfast_day_slot_answers_total by outcome (``remembered``, ``computed``) and
    holdfast_day_slot_answer_bytes, for Prometheus.
    """

    def __init__(self, find: FindSlots, *, most_bytes: int) -> None:
        """Remembers nothing yet.

        Args:
            find: Computes answers.
            most_bytes: Of memory; those computed longest ago are forgotten first.
        """
        self._find = find
        self._most_bytes = most_bytes
        self._bytes = 0
        # By the request: the answer, and what it follows from.
        self._answers: OrderedDict[bytes, tuple[bytes, Basis]] = OrderedDict()
        self._remembered = 0
        self._computed = 0

    async def __call__(self, raw: bytes) -> bytes:
        """Answers a request.

        Raises:
            InvalidFields: The request cannot be read, or fields of it are wrong.
            NotFound: The resource or the event type is unknown or deleted.
            NotLinked: The event type does not book the resource.
            DurationNotOffered: This length is not offered.
        """
        known = self._answers.get(raw)
        if known is not None and await self._find.is_still(known[1]):
            self._remembered += 1
            return known[0]
        self._computed += 1
        request = decoded(pb.GetDaySlotsRequest.FromString, raw)
        found = await self._find.of_day(codec.day_slots_query(request))
        encoded = codec.day_slots_response(found, request.resource_id)
        if found.basis is not None and len(raw) <= _LONGEST_QUESTION:
            self._remember(raw, encoded, found.basis)
        return encoded

    def _remember(self, raw: bytes, encoded: bytes, basis: Basis) -> None:
        answers = self._answers
        before = answers.pop(raw, None)
        if before is not None:
            self._bytes -= _size(raw, before[0])
        answers[raw] = encoded, basis
        self._bytes += _size(raw, encoded)
        while self._bytes > self._most_bytes:
            oldest, (forgotten, _) = answers.popitem(last=False)
            self._bytes -= _size(oldest, forgotten)

    def collect(self) -> Iterator[Metric]:
        """Tells the counts, from whichever thread."""
        answers = CounterMetricFamily(
            "holdfast_day_slot_answers",
            "Answers of GetDaySlots, by whether they were remembered.",
            labels=["outcome"],
        )
        answers.add_metric(["remembered"], self._remembered)
        answers.add_metric(["computed"], self._computed)
        yield answers
        yield GaugeMetricFamily(
            "holdfast_day_slot_answer_bytes",
            "Memory that remembered answers of GetDaySlots take, about.",
            self._bytes,
        )


def _size(raw: bytes, encoded: bytes) -> int:
    return len(raw) + len(encoded) + _BESIDE_BYTES
