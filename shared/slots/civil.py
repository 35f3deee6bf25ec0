"""Civil time as integers: quantum n reads as civil quantum n + shift, in stretches of one shift.

A civil quantum counts quarter hours of wall clock: civil quantum c lies in the civil date with
day number c // 96, at index c % 96. Clock changes leave civil quanta out or repeat them.
"""

from datetime import timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from shared.slots.bitmap import FULL
from shared.slots.quantum import QUANTA_PER_DAY, SECONDS_PER_QUANTUM, instant

_CHUNK_DAYS: Final = 128
_CHUNK: Final = _CHUNK_DAYS * QUANTA_PER_DAY
_SECOND: Final = timedelta(seconds=1)


class Stretch(NamedTuple):
    """Quanta first <= n < stop, all of one offset from UTC: they read as n + shift."""

    first: int
    stop: int
    shift: int
    # Not 0 where the offset is no multiple of a quarter hour (only in the 1970s): quanta then
    # start this many seconds after a quarter hour of the wall clock.
    rest: int


def stretches(zone: ZoneInfo, first: int, stop: int) -> list[Stretch]:
    """Returns the stretches of the quanta first <= n < stop, ascending, without gaps."""
    found: list[Stretch] = []
    for index in range(first // _CHUNK, (stop - 1) // _CHUNK + 1):
        for stretch in _chunk(zone, index):
            low, high = max(stretch.first, first), min(stretch.stop, stop)
            if low >= high:
                continue
            if found and found[-1][2:] == stretch[2:]:
                low = found.pop().first
            found.append(Stretch(low, high, stretch.shift, stretch.rest))
    return found


def reading(zone: ZoneInfo, quantum: int) -> int:
    """Returns the civil quantum that the wall clock shows when ``quantum`` starts."""
    return quantum + stretches(zone, quantum, quantum + 1)[0].shift


def unroll(zone: ZoneInfo, first: int, stop: int, civil: int, origin: int) -> int:
    """Returns which of the quanta first <= n < stop read as a set bit of ``civil``.

    Args:
        zone: The zone whose wall clock is read.
        first: Bit 0 of the answer.
        stop: The end of the answer.
        civil: Bits of civil quanta.
        origin: The civil quantum of bit 0 of ``civil``; at most ``first`` less a day.
    """
    found = 0
    for stretch in stretches(zone, first, stop):
        bits = civil >> (stretch.first + stretch.shift - origin)
        found |= (bits & ((1 << (stretch.stop - stretch.first)) - 1)) << (stretch.first - first)
    return found


def place(zone: ZoneInfo, day: int, bits: int) -> int:
    """Returns the quanta at which the wall clock reaches the civil quanta ``bits`` of a date.

    A civil quantum that the clock skips is left out; a repeated one means its first occurrence.
    Bit 0 of the answer is quantum (day - 1) * 96.
    """
    base = (day - 1) * QUANTA_PER_DAY
    found = 0
    for stretch in stretches(zone, base, base + 3 * QUANTA_PER_DAY):
        origin = day * QUANTA_PER_DAY - stretch.shift
        low, high = max(stretch.first - origin, 0), min(stretch.stop - origin, QUANTA_PER_DAY)
        if low < high and not stretch.rest:
            reached = bits & ((1 << high) - (1 << low))
            bits ^= reached
            found |= reached << (origin - base)
    return found


@lru_cache(maxsize=8192)
def quanta_of_date(zone: ZoneInfo, day: int) -> int:
    """Returns the quanta that read as civil date ``day``; bit 0 is quantum (day - 1) * 96."""
    base = (day - 1) * QUANTA_PER_DAY
    origin = base - QUANTA_PER_DAY
    return unroll(zone, base, base + 3 * QUANTA_PER_DAY, FULL << (2 * QUANTA_PER_DAY), origin)


@lru_cache(maxsize=8192)
def _chunk(zone: ZoneInfo, index: int) -> tuple[Stretch, ...]:
    # Days whose two ends have one offset are not looked into: changes lie days apart.
    first, stop = index * _CHUNK, (index + 1) * _CHUNK
    found: list[Stretch] = []
    offset = _offset(zone, first)
    begin = first
    for midnight in range(first, stop, QUANTA_PER_DAY):
        following = midnight + QUANTA_PER_DAY
        if _offset(zone, following) == offset:
            continue
        for quantum in range(midnight + 1, following + 1):
            changed = _offset(zone, quantum)
            if changed != offset:
                found.append(_stretch(begin, quantum, offset))
                begin, offset = quantum, changed
    if begin < stop:
        found.append(_stretch(begin, stop, offset))
    return tuple(found)


def _stretch(first: int, stop: int, offset: int) -> Stretch:
    shift, rest = divmod(offset, SECONDS_PER_QUANTUM)
    return Stretch(first, stop, shift, rest)


def _offset(zone: ZoneInfo, quantum: int) -> int:
    offset = instant(quantum).astimezone(zone).utcoffset()
    assert offset is not None  # a ZoneInfo always has one
    return offset // _SECOND
