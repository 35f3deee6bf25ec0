"""The schema's history: which revision this code needs, and how a database gets there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shared.runtime.migration.upgrade import upgrade

HEAD: Final = "0002"

_VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"


def migrate(url: str) -> None:
    """Brings the database to ``HEAD``.

    Raises:
        StartRefused: It cannot be reached, or a revision failed.
    """
    upgrade(url, _VERSIONS, head=HEAD)
