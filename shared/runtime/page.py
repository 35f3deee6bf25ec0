"""Opaque page tokens that pin the filters they were given for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence

from google.protobuf.message import Message

from shared.runtime.failure import InvalidPageToken
from shared.runtime.replay import content_hash

_PINNED = ("page_size", "page_token")
_DIGEST_BYTES = 12
_MAX_TOKEN = 4096


def encode_token(filters: Message, cursor: Sequence[str]) -> str:
    """A token that continues after ``cursor``, for the same filters only.

    Args:
        filters: The list's request; its page_size and page_token do not count.
        cursor: The last row's order key, as strings.
    """
    body = json.dumps(list(cursor), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_digest(filters, body) + body).rstrip(b"=").decode()


def decode_token(token: str, filters: Message) -> list[str]:
    """The cursor inside ``token``.

    Raises:
        InvalidPageToken: This list did not give it, or gave it under other filters.
    """
    try:
        if len(token) > _MAX_TOKEN:
            raise InvalidPageToken
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        body = raw[_DIGEST_BYTES:]
        if raw[:_DIGEST_BYTES] != _digest(filters, body):
            raise InvalidPageToken
        cursor = json.loads(body)
    except (binascii.Error, ValueError) as error:
        raise InvalidPageToken from error
    if not isinstance(cursor, list) or not all(isinstance(part, str) for part in cursor):
        raise InvalidPageToken
    return cursor


def _digest(filters: Message, body: bytes) -> bytes:
    pinned = content_hash(filters, leaving_out=_PINNED)
    return hashlib.sha256(filters.DESCRIPTOR.full_name.encode() + pinned + body).digest()[
        :_DIGEST_BYTES
    ]
