"""As much of HPACK (RFC 7541) as a load client needs: its own headers, and a server's status.

The server is told to keep no table for us, so that a block of its headers means the same
wherever it comes. Texts that it compressed with Huffman's code are not read: a status is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

Header = tuple[str, str]

UNREAD: Final = "?"
_STATIC_SIZE: Final = 61
# Rows of the static table that requests and responses of gRPC use.
_STATIC: Final[dict[int, Header]] = {
    1: (":authority", ""),
    3: (":method", "POST"),
    4: (":path", ""),
    6: (":scheme", "http"),
    8: (":status", "200"),
    9: (":status", "204"),
    10: (":status", "206"),
    11: (":status", "304"),
    12: (":status", "400"),
    13: (":status", "404"),
    14: (":status", "500"),
    31: ("content-type", ""),
    58: ("user-agent", ""),
}
_STATIC_PAIRS: Final = {header: index for index, header in _STATIC.items() if header[1]}
_STATIC_NAMES: Final = {name: index for index, (name, _) in reversed(list(_STATIC.items()))}
_ENTRY_OVERHEAD: Final = 32
_TABLE_SIZE: Final = 4096


class Malformed(Exception):
    """A block of headers that cannot be read."""


class Encoder:
    """Encodes requests' headers: in full the first time, by their place in the table after."""

    def __init__(self) -> None:
        self._table: list[Header] = []  # oldest first
        self._size = 0

    @property
    def version(self) -> int:
        """Changes whenever what was encoded before must be encoded anew."""
        return len(self._table)

    def encode(self, headers: Sequence[Header]) -> bytes:
        """Returns a block.

        Raises:
            ValueError: The headers of this connection do not fit the server's table.
        """
        return b"".join(self._one(header) for header in headers)

    def _one(self, header: Header) -> bytes:
        if (index := _STATIC_PAIRS.get(header)) is not None:
            return integer(index, 7, 0x80)
        if header in self._table:
            newest = len(self._table) - 1 - self._table.index(header)
            return integer(_STATIC_SIZE + 1 + newest, 7, 0x80)
        name, value = header
        self._size += len(name) + len(value) + _ENTRY_OVERHEAD
        if self._size > _TABLE_SIZE:
            raise ValueError("too many different headers for one connection")
        self._table.append(header)
        index = _STATIC_NAMES.get(name, 0)
        start = integer(index, 6, 0x40)
        return start + (b"" if index else _text(name)) + _text(value)


def decode(block: bytes) -> list[Header]:
    """Reads a block of a server that keeps no table.

    Raises:
        Malformed: It is cut off, or refers to a table.
    """
    found: list[Header] = []
    at = 0
    try:
        while at < len(block):
            first = block[at]
            if first & 0xE0 == 0x20:  # the size of the table it does not keep
                _, at = _read_integer(block, at, 5)
            elif first & 0x80:
                index, at = _read_integer(block, at, 7)
                found.append(_static(index))
            else:
                index, at = _read_integer(block, at, 6 if first & 0x40 else 4)
                if index:
                    name = _static(index)[0]
                else:
                    name, at = _read_text(block, at)
                value, at = _read_text(block, at)
                found.append((name, value))
    except IndexError:
        raise Malformed("a block of headers is cut off") from None
    return found


def integer(value: int, bits: int, start: int) -> bytes:
    """Encodes an integer with a prefix of so many bits; ``start`` has the bits above it."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((start | value,))
    found = bytearray((start | most,))
    value -= most
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _text(value: str) -> bytes:
    raw = value.encode("ascii")
    return integer(len(raw), 7, 0) + raw


def _static(index: int) -> Header:
    if not 0 < index <= _STATIC_SIZE:
        raise Malformed(f"a header refers to entry {index} of a table that is not kept")
    return _STATIC.get(index, (f"#{index}", UNREAD))


def _read_integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    most = (1 << bits) - 1
    value = block[at] & most
    at += 1
    if value < most:
        return value, at
    shift = 0
    while True:
        more = block[at]
        at += 1
        value += (more & 0x7F) << shift
        shift += 7
        if not more & 0x80:
            return value, at


def _read_text(block: bytes, at: int) -> tuple[str, int]:
    is_compressed = bool(block[at] & 0x80)
    length, at = _read_integer(block, at, 7)
    raw = block[at : at + length]
    if len(raw) != length:
        raise IndexError
    return UNREAD if is_compressed else raw.decode("latin-1"), at + length
