"""A day's bitmap as 12 bytes: quantum 0 is the highest bit of the first byte.

A pool's counter is a bitmap for each of its bit planes, the low one first.
"""

from __future__ import annotations

from typing import Final

from services.availability.domain.counter import Planes
from shared.slots.quantum import QUANTA_PER_DAY

_LENGTH: Final = QUANTA_PER_DAY // 8
# Within a byte the first quantum is the highest bit; in our ints it is the lowest.
_MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def to_bytes(bitmap: int) -> bytes:
    """Returns the 12 bytes of a bitmap."""
    return bitmap.to_bytes(_LENGTH, "little").translate(_MIRRORED)


def from_bytes(raw: bytes) -> int:
    """Returns the bitmap of 12 bytes."""
    return int.from_bytes(raw.translate(_MIRRORED), "little")


def planes_to_bytes(planes: Planes) -> bytes:
    """Returns the bytes of bit planes, 12 for each."""
    return b"".join(map(to_bytes, planes))


def planes_from_bytes(raw: bytes) -> Planes:
    """Returns the bit planes of bytes."""
    if not raw:
        return ()
    return tuple(from_bytes(raw[begin : begin + _LENGTH]) for begin in range(0, len(raw), _LENGTH))
