"""What makes two calls the same call."""

from __future__ import annotations

from typing import NamedTuple


class RequestKey(NamedTuple):
    """What makes two calls the same call, and the hash of what the call asks for."""

    organization_id: str
    method: str
    request_id: str
    content_hash: bytes
