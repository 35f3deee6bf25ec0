"""Ids that the server chooses."""

from __future__ import annotations

import os
from datetime import datetime

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM_A = 0xFFF << 64
_RANDOM_B = (1 << 62) - 1


def uuid7(now: datetime) -> str:
    """A UUID that sorts by time (RFC 9562, version 7): 48 bits of milliseconds, 74 random.

    Args:
        now: Aware; its milliseconds since 1970 lead the id.
    """
    milliseconds = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    random = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | _VERSION_7 | _VARIANT | random & (_RANDOM_A | _RANDOM_B)
    # As ``str(UUID(int=value))``, at a third of its cost.
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
