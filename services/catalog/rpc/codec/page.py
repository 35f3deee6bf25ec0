"""Pages: which rows a request asks for, and where the next page begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, TypeVar

from services.catalog.app.port import Page
from services.catalog.rpc.codec.check import CatalogCheck
from shared.runtime.failure import InvalidPageToken
from shared.runtime.page import decode_token, encode_token

T = TypeVar("T")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")


def page_of(check: CatalogCheck, request: Any) -> Page:
    """Ends the check of a list by id: one row more than the page is asked for.

    Raises:
        InvalidFields: Something failed.
        InvalidPageToken: The page_token is none of this list's.
    """
    size = check.page_size(request.page_size)
    check.done()
    return Page(after=_cursor(request, _ID.match), limit=size + 1)


def dates_after(check: CatalogCheck, request: Any) -> tuple[date | None, int]:
    """Ends the check of a list by date: after which date, and at most how many.

    Raises:
        InvalidFields: Something failed.
        InvalidPageToken: The page_token is none of this list's.
    """
    size = check.page_size(request.page_size)
    check.done()
    try:
        after = _cursor(request, date.fromisoformat)
    except ValueError as error:
        raise InvalidPageToken from error
    return date.fromisoformat(after) if after else None, size + 1


def cut(
    request: Any, rows: Sequence[T], limit: int, key: Callable[[T], str]
) -> tuple[Sequence[T], str]:
    """Splits what was read into the page and the token of the next; "" at the end."""
    if len(rows) < limit:
        return rows, ""
    page = rows[: limit - 1]
    return page, encode_token(request, [key(page[-1])])


def _cursor(request: Any, accepted: Callable[[str], object]) -> str:
    """Reads the key in the token; anybody can make a token, so it is checked like a field."""
    if not request.page_token:
        return ""
    cursor = decode_token(request.page_token, request)
    if len(cursor) != 1 or not accepted(cursor[0]):
        raise InvalidPageToken
    return cursor[0]
