"""What every user of PostgreSQL does alike: read the address, refuse what may lose writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from shared.runtime.failure import StartRefused

DURABILITY: Final = ("fsync", "full_page_writes", "synchronous_commit")
"""The server's settings that decide whether an acknowledged write survives."""


def parse_url(url: str) -> dict[str, Any]:
    """Returns what a libpq URL or connection string says.

    Raises:
        StartRefused: It is none. libpq's own words are not repeated: they quote the part that
            it could not read, which may be the password.
    """
    try:
        return conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise StartRefused(
            "HOLDFAST_POSTGRES_URL is not an address that libpq knows, such as "
            "postgresql://user@host:5432/database"
        ) from None


def require_durability(settings: Mapping[str, str]) -> None:
    """Refuses a server that may lose what it acknowledged.

    Args:
        settings: The values of ``DURABILITY`` by name.

    Raises:
        StartRefused: One of them is off.
    """
    unsafe = [f"{name}=off" for name in DURABILITY if settings[name] == "off"]
    if unsafe:
        raise StartRefused(
            f"PostgreSQL runs with {', '.join(unsafe)} and may lose acknowledged writes:"
            " set HOLDFAST_THROWAWAY_DATA=1 if this data may be lost"
        )


def first_line(error: BaseException | None) -> str:
    """The first line of a driver's message, or the kind of error where it has none."""
    return (str(error or "").strip().splitlines() or [type(error).__name__])[0]
