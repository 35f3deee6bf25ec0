"""Units taken in each quarter hour of a day, counted in bit planes.

Plane k is a bitmap: bit q says whether bit k of the count at quantum q is set. A room, of which
there is one, needs one plane: its day bitmap. Adding, subtracting and comparing work on all 96
quanta at once, and cost a few operations on integers for each plane.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.slots.quantum import QUANTA_PER_DAY

Planes = tuple[int, ...]
"""Low plane first, none of them empty at the end."""

MOST_UNITS: Final = 10_000
"""Of one resource, and of one item."""

EVERY_QUANTUM: Final = (1 << QUANTA_PER_DAY) - 1


def add(planes: Planes, mask: int, units: int) -> Planes:
    """Returns the counts with ``units`` more at each quantum of ``mask``."""
    found = []
    carry = 0
    for plane, operand in _paired(planes, mask, units):
        half = plane ^ operand
        found.append(half ^ carry)
        carry = plane & operand | carry & half
    if carry:
        found.append(carry)
    return _trimmed(found)


def subtract(planes: Planes, mask: int, units: int) -> Planes:
    """Returns the counts with ``units`` less at each quantum of ``mask``; nowhere less than 0."""
    found = []
    borrow = 0
    for plane, operand in _paired(planes, mask, units):
        half = plane ^ operand
        found.append(half ^ borrow)
        borrow = ~plane & operand | borrow & ~half
    return _trimmed([plane & ~borrow for plane in found] if borrow else found)


def reaching(planes: Planes, units: int) -> int:
    """Returns the quanta at which at least ``units`` are counted."""
    if units <= 0:
        return EVERY_QUANTUM
    more, same = 0, EVERY_QUANTUM
    for place in range(max(len(planes), units.bit_length()) - 1, -1, -1):
        plane = planes[place] if place < len(planes) else 0
        if units >> place & 1:
            same &= plane
        else:
            more |= same & plane
            same &= ~plane
    return more | same


def short_of(planes: Planes, capacity: int, units: int) -> int:
    """Returns the quanta at which fewer than ``units`` of ``capacity`` are left."""
    return reaching(planes, capacity - units + 1)


def most(planes: Planes, mask: int) -> int:
    """Returns the highest count at any quantum of ``mask``; 0 for an empty one."""
    found = 0
    for place in range(len(planes) - 1, -1, -1):
        above = mask & planes[place]
        if above:
            mask = above
            found |= 1 << place
    return found


def differing(planes: Planes, others: Planes) -> int:
    """Returns the quanta at which two counts differ."""
    found = 0
    for place in range(max(len(planes), len(others))):
        found |= _plane(planes, place) ^ _plane(others, place)
    return found


def counts(planes: Planes) -> list[int]:
    """Returns the count at each of the 96 quanta."""
    return [
        sum((plane >> quantum & 1) << place for place, plane in enumerate(planes))
        for quantum in range(QUANTA_PER_DAY)
    ]


def _paired(planes: Planes, mask: int, units: int) -> Iterator[tuple[int, int]]:
    for place in range(max(len(planes), units.bit_length())):
        yield _plane(planes, place), mask if units >> place & 1 else 0


def _plane(planes: Planes, place: int) -> int:
    return planes[place] if place < len(planes) else 0


def _trimmed(planes: list[int]) -> Planes:
    while planes and not planes[-1]:
        planes.pop()
    return tuple(planes)
