"""What makes two requests with one request_id the same request."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from google.protobuf.message import Message


def content_hash(request: Message, *, leaving_out: Sequence[str] = ("request_id",)) -> bytes:
    """SHA-256 over what the request asks for.

    Args:
        request: The request as it arrived; it is not changed. Fields unknown to this
            server do not count.
        leaving_out: Fields that are not content.

    Returns:
        32 bytes, equal for equal content whatever order it was sent in.
    """
    content = type(request)()
    content.CopyFrom(request)
    content.DiscardUnknownFields()
    for field in leaving_out:
        content.ClearField(field)
    return hashlib.sha256(content.SerializeToString(deterministic=True)).digest()
