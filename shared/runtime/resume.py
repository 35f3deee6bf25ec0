"""Resume tokens: how far a watcher has been told, pinned to what it watches.

They are not signed: a forged one makes its own watch begin somewhere else, and nothing more.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from google.protobuf.message import Message

from shared.runtime.failure import InvalidResumeToken
from shared.runtime.replay import content_hash

_PINNED: Final = ("resume_token",)
_DIGEST_BYTES: Final = 8
_POSITION_BYTES: Final = 16


class Position(NamedTuple):
    """How far one scope has been told; both numbers are from 0 to 2**63 - 1."""

    epoch: int
    revision: int


class ResumeTokens:
    """The tokens of one watch.

    Attributes:
        digest: Of what is watched: with the same one, the same positions have the same token.
    """

    def __init__(self, request: Message, *, scopes: int) -> None:
        """Begins.

        Args:
            request: The watch's request; its resume_token does not count.
            scopes: How many positions a token has; which is whose follows from the request.
        """
        name = request.DESCRIPTOR.full_name.encode()
        content = content_hash(request, leaving_out=_PINNED)
        self.digest = hashlib.sha256(name + content).digest()[:_DIGEST_BYTES]
        self._pack = struct.Struct(f">{2 * scopes}q").pack
        self._scopes = scopes

    def encode(self, positions: Iterable[tuple[int, int]]) -> bytes:
        """Returns the token of these positions."""
        return self.digest + self._pack(*(part for position in positions for part in position))

    def decode(self, token: bytes) -> list[Position]:
        """Returns the positions in a token.

        Raises:
            InvalidResumeToken: It was not given by a watch of the same request.
        """
        body = token[_DIGEST_BYTES:]
        if token[:_DIGEST_BYTES] != self.digest or len(body) != self._scopes * _POSITION_BYTES:
            raise InvalidResumeToken
        numbers = struct.unpack(f">{2 * self._scopes}q", body)
        if min(numbers) < 0:
            raise InvalidResumeToken
        return [Position(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
