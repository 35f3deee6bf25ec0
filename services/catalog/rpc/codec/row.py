"""What requests about one row have in common, whatever kind of row it is.

The contract names alike: a ``thing`` is named by ``thing_id``, stands in the request's field
``thing`` and carries its ``etag``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from services.catalog.rpc.codec.check import CatalogCheck, Field, masked_fields, required


class Update(NamedTuple):
    """Which row changes, as of which etag, and its new values by field."""

    key: str
    etag: str
    fields: Mapping[str, Any]


def key_of(request: Any, kind: str) -> str:
    """Decodes which row is meant.

    Raises:
        InvalidFields: Something is missing or malformed.
    """
    check = CatalogCheck()
    check.header(request)
    key = check.identifier(f"{kind}_id", getattr(request, f"{kind}_id"))
    check.done()
    return key


def deletion_of(request: Any, kind: str) -> tuple[str, str]:
    """Decodes which row shall go, and as of which etag.

    Raises:
        InvalidFields: As ``key_of``.
    """
    check = CatalogCheck()
    check.header(request)
    key = check.identifier(f"{kind}_id", getattr(request, f"{kind}_id"))
    etag = check.etag("etag", request.etag)
    check.done()
    return key, etag


def update_of(request: Any, kind: str, fields: Mapping[str, Field[Any]]) -> Update:
    """Decodes a change of a row.

    Args:
        request: An update's request.
        kind: "resource", "schedule" or "event_type".
        fields: Decoders of the fields that can change.

    Raises:
        InvalidFields: As ``key_of``; also for a mask that names nothing, or what is fixed.
    """
    check = CatalogCheck()
    check.header(request)
    required(check, request, kind)
    message = getattr(request, kind)
    key = check.identifier(f"{kind}.{kind}_id", getattr(message, f"{kind}_id"))
    etag = check.etag(f"{kind}.etag", message.etag)
    changed = masked_fields(check, message, kind, request.update_mask, fields)
    check.done()
    return Update(key, etag, changed)
