"""A day's bitmap: an int whose bit i (least significant first) is quantum i of the UTC day."""

from itertools import compress
from typing import Final

from shared.slots.quantum import QUANTA_PER_DAY

FULL: Final = (1 << QUANTA_PER_DAY) - 1

_TRUTH: Final = bytes.maketrans(b"01", b"\x00\x01")


def mask(first: int, stop: int) -> int:
    """Returns the bitmap of the half-open range of quanta.

    Raises:
        ValueError: Not 0 <= first < stop <= 96.
    """
    if not 0 <= first < stop <= QUANTA_PER_DAY:
        raise ValueError(f"quanta {first}..{stop} are not a range within a day")
    return (1 << stop) - (1 << first)


def quanta(bitmap: int) -> list[int]:
    """Returns the indexes of the set bits, ascending; ints wider than a day are welcome."""
    # A loop over set bits costs three times as much on a full day.
    digits = bits_from(bitmap)
    return list(compress(range(len(digits)), digits))


def bits_from(bitmap: int, lowest: int = 0) -> bytes:
    """Returns the bits from ``lowest`` to the highest set one, ascending, each as a byte 0 or 1."""
    return f"{bitmap >> lowest:b}".encode().translate(_TRUTH)[::-1]


def runs(bitmap: int) -> list[tuple[int, int]]:
    """Returns the maximal half-open runs of set bits, ascending."""
    found = []
    while bitmap:
        first = (bitmap & -bitmap).bit_length() - 1
        # Adding the lowest set bit carries through its run and sets the bit just past it.
        past = (bitmap + (1 << first)) & ~bitmap
        stop = past.bit_length() - 1
        found.append((first, stop))
        bitmap = bitmap >> stop << stop
    return found


def to_bits(bitmap: int) -> str:
    """Returns 96 characters of 0 and 1, quantum 0 leftmost: PostgreSQL's text of a bit(96).

    Raises:
        ValueError: The int is no bitmap of one day.
    """
    if not 0 <= bitmap <= FULL:
        raise ValueError("not a bitmap of one day")
    return f"{bitmap:096b}"[::-1]


def from_bits(text: str) -> int:
    """Returns the bitmap written by ``to_bits``.

    Raises:
        ValueError: Not exactly 96 characters of 0 and 1.
    """
    # int() alone would take underscores, signs, spaces and other scripts' digits.
    if len(text) != QUANTA_PER_DAY or text.strip("01"):
        raise ValueError("not 96 characters of 0 and 1")
    return int(text[::-1], 2)


def starts_of_runs(free: int, length: int) -> int:
    """Returns the bits i for which bits i .. i + length - 1 of ``free`` are all set.

    Takes about log2(length) operations, on ints of any width.

    Raises:
        ValueError: ``length`` is not positive, or ``free`` is negative.
    """
    if length < 1 or free < 0:
        raise ValueError("a run needs a positive length and a bitmap")
    known = 1
    while known < length and free:
        step = min(known, length - known)
        free &= free >> step
        known += step
    return free
