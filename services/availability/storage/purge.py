"""Forgets request keys that nobody can still rely on, and events past their retention."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final, LiteralString

from services.availability.storage.database import Database
from shared.runtime.failure import Failure

RETENTION: Final = timedelta(hours=168)

# An hour more than promised: a retry may be under way when the day is over.
_KEPT: Final = timedelta(hours=25)
_BATCH: Final = 1_000
# Transactions of one organization whose events are deleted at once: some hundreds each.
_NUMBERS: Final = 100
_PAUSE_SECONDS: Final = 300.0

PURGE: Final[LiteralString] = """
delete from request_keys where ctid = any(array(
  select ctid from request_keys where created_at < now() - %(kept)s::interval
  order by created_at limit %(batch)s for update skip locked))
returning 1
"""

EXPIRED: Final[LiteralString] = """
select distinct organization_id from (
  select organization_id from outbox where created_at < now() - %(kept)s::interval
  order by created_at limit %(batch)s
) o
"""

# From the oldest number on and whole numbers only, up to the first that is young: what is kept
# has no gaps. A reader sees that something is gone as soon as it is.
TRIM: Final[LiteralString] = """
with first as materialized (
  select feed from outbox where organization_id = %(org)s order by feed limit 1
), last as materialized (
  select coalesce(min(o.feed) filter (where o.created_at >= now() - %(kept)s::interval) - 1,
    max(o.feed)) as feed
  from outbox o
  where o.organization_id = %(org)s and o.feed >= (select feed from first)
    and o.feed < (select feed from first) + %(numbers)s
), gone as (
  delete from outbox where organization_id = %(org)s and feed <= (select feed from last)
  returning feed
), counted as materialized (
  select count(*) as events, max(feed) as feed from gone
)
update feeds f set trimmed = greatest(f.trimmed, c.feed)
from counted c where f.organization_id = %(org)s and c.events > 0
returning c.events
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


async def purge_events(
    database: Database, *, kept: timedelta = RETENTION, batch: int = _BATCH, numbers: int = _NUMBERS
) -> int:
    """Deletes events older than ``kept``, some transactions at a time; returns how many.

    Args:
        database: Where they are.
        kept: How long they are kept, by the database's clock.
        batch: Old events by which organizations are found.
        numbers: Transactions of an organization at a time.

    Raises:
        Failure: The store cannot be asked; what was deleted stays deleted.
    """
    deleted = 0
    while True:
        before = deleted
        expired = await database.fetch(EXPIRED, {"kept": kept, "batch": batch})
        for (organization_id,) in expired:
            parameters = {"org": organization_id, "kept": kept, "numbers": numbers}
            while rows := await database.fetch(TRIM, parameters):
                deleted += rows[0][0]
        # Nothing, though some is old: it stands behind what is younger, and goes with it.
        if deleted == before:
            return deleted


async def keep_purging(database: Database, *, events_kept: timedelta = RETENTION) -> None:
    """Purges now and then, until it is cancelled.

    Args:
        database: What is purged.
        events_kept: How long events can be read.
    """
    while True:
        await asyncio.sleep(_PAUSE_SECONDS)
        try:
            keys = await purge(database)
            events = await purge_events(database, kept=events_kept)
        except Failure as failure:
            logger.warning("store not purged", extra={"cause": str(failure)})
        except Exception:
            logger.exception("store not purged")  # and tried again: growth is no outage
        else:
            if keys or events:
                logger.info("store purged", extra={"request_keys": keys, "events": events})
