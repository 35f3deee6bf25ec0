"""Free starts of many resources at once, in a few operations on long integers.

Each resource has a lane: as many bits as the searched days have quarter hours. Lanes lie end to
end in one integer, so that one shift and one AND look at all of them. What carries over from
one lane to the next does no harm: only starts whose occupancy lies within the lane are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache
from itertools import islice
from typing import Final

from shared.slots.bitmap import quanta, starts_of_runs
from shared.slots.civil import reading
from shared.slots.plan import plan_dates
from shared.slots.quantum import (
    FIRST_DATE,
    LAST_DATE,
    QUANTA_PER_DAY,
    day_date,
    day_number,
)
from shared.slots.rule import BookingRules
from shared.slots.schedule import Schedule
from shared.slots.slot import Slot

BYTES_PER_DAY: Final = QUANTA_PER_DAY // 8

_FIRST_DAY: Final = day_number(FIRST_DATE)
_LAST_DAY: Final = day_number(LAST_DATE)


@dataclass(frozen=True)
class Frame:
    """What the bits of a lane stand for.

    Bit i is the start whose occupancy begins at the quantum ``base`` + i; of what is taken, it
    is that quantum itself.

    Attributes:
        starts: The quanta at which a booking may begin, never none.
        before: Quanta occupied before a start.
        occupied: Quanta of an occupancy.
    """

    starts: range
    before: int
    occupied: int

    @cached_property
    def days(self) -> range:
        """The UTC days that some occupancy touches."""
        first = self.starts.start - self.before
        last = self.starts.stop - 1 - self.before + self.occupied - 1
        return range(first // QUANTA_PER_DAY, last // QUANTA_PER_DAY + 1)

    @cached_property
    def base(self) -> int:
        """The quantum of bit 0."""
        return self.days.start * QUANTA_PER_DAY

    @cached_property
    def size(self) -> int:
        """Bytes of a lane."""
        return len(self.days) * BYTES_PER_DAY

    @cached_property
    def all_starts(self) -> int:
        """The lane of every quarter hour at which a booking may begin."""
        first = self.starts.start - self.before - self.base
        return ((1 << len(self.starts)) - 1) << first

    def offered(self, schedule: Schedule, rules: BookingRules, duration: timedelta) -> int:
        """Returns the lane of the starts that a schedule offers.

        Raises:
            DurationNotOffered: The rules do not offer this length.
        """
        # Where a clock is put back over midnight, a date's end is read after the next one began.
        first = reading(schedule.zone, self.starts.start) // QUANTA_PER_DAY - 1
        last = reading(schedule.zone, self.starts.stop - 1) // QUANTA_PER_DAY + 1
        plan = plan_dates(
            schedule,
            rules,
            day_date(max(first, _FIRST_DAY)),
            day_date(min(last, _LAST_DAY)),
            duration,
            None,
        )
        shift = plan.base - self.base
        bits = plan.candidates << shift if shift >= 0 else plan.candidates >> -shift
        return bits & self.all_starts

    def free(self, taken: int) -> int:
        """Returns the starts whose occupancy meets nothing of what is taken of one lane."""
        everything = (1 << (self.size * 8)) - 1
        return starts_of_runs(everything & ~taken, self.occupied)

    def search(self, taken: Iterable[bytes | bytearray], candidates: Sequence[bytes]) -> list[int]:
        """Returns for each lane which of its candidates are free.

        Args:
            taken: The lanes of taken quanta, little-endian, ``size`` bytes each; in any pieces.
            candidates: The lanes of starts that are asked for, as many.
        """
        count, size = len(candidates), self.size
        free = _everything(count * size) ^ int.from_bytes(b"".join(taken), "little")
        found = starts_of_runs(free, self.occupied)
        found &= int.from_bytes(b"".join(candidates), "little")
        raw = found.to_bytes(count * size, "little")
        return [
            int.from_bytes(raw[offset : offset + size], "little")
            for offset in range(0, count * size, size)
        ]

    def lane(self, bits: int) -> bytes:
        """Returns a lane as ``search`` takes it."""
        return bits.to_bytes(self.size, "little")

    def first_start(self, bits: int) -> int:
        """Returns the first quantum at which a booking begins, of a lane that has one."""
        return self.base + self.before + (bits & -bits).bit_length() - 1

    def slots(self, bits: int, most: int) -> list[Slot]:
        """Returns the first starts of a lane, ascending."""
        first, stop = self.base + self.before, self.base + self.occupied
        return [
            Slot(first + index, self.base + index, stop + index)
            for index in islice(quanta(bits), most)
        ]


@lru_cache(maxsize=64)
def _everything(size: int) -> int:
    return (1 << (size * 8)) - 1
