"""Single protobuf fields as bytes, to append to a message that is encoded already.

Messages may be concatenated: what many watchers get is encoded once, and what is each one's own
is put behind it.
"""

from __future__ import annotations

from typing import Final

_VARINT: Final = 0
_LENGTH_DELIMITED: Final = 2
_MORE: Final = 0x80


def bytes_field(number: int, value: bytes) -> bytes:
    """A field of bytes, of text or of an encoded message."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(value)) + value


def integer_field(number: int, value: int) -> bytes:
    """A field of an integer, a boolean or an enum; ``value`` is not negative."""
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    if value < _MORE:
        return _ONE_BYTE[value]
    found = bytearray()
    while value >= _MORE:
        found.append(value & (_MORE - 1) | _MORE)
        value >>= 7
    found.append(value)
    return bytes(found)


_ONE_BYTE: Final = tuple(bytes((value,)) for value in range(_MORE))
