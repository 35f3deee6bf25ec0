"""Forgets request keys that nobody can still rely on."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final

from services.availability.storage.database import Database
from shared.runtime.failure import Failure

# An hour more than promised: a retry may be under way when the day is over.
_KEPT: Final = timedelta(hours=25)
_BATCH: Final = 1_000
_PAUSE_SECONDS: Final = 300.0

PURGE: Final = """
delete from request_keys where ctid = any(array(
  select ctid from request_keys where created_at < now() - %(kept)s::interval
  order by created_at limit %(batch)s for update skip locked))
returning 1
"""

logger = logging.getLogger("holdfast.availability.store")


async def purge(database: Database, *, kept: timedelta = _KEPT, batch: int = _BATCH) -> int:
    """Deletes request keys older than ``kept``, a batch at a time; returns how many.

    Raises:
        Failure: The store cannot be asked; what was deleted stays deleted.
    """
    deleted = 0
    while True:
        rows = await database.fetch(PURGE, {"kept": kept, "batch": batch})
        deleted += len(rows)
        if len(rows) < batch:
            return deleted


async def keep_purging(database: Database) -> None:
    """Purges now and then, until it is cancelled."""
    while True:
        await asyncio.sleep(_PAUSE_SECONDS)
        try:
            deleted = await purge(database)
        except Failure as failure:
            logger.warning("request keys not purged", extra={"cause": str(failure)})
        except Exception:
            logger.exception("request keys not purged")  # and tried again: growth is no outage
        else:
            if deleted:
                logger.info("request keys purged", extra={"deleted": deleted})
