"""Connections to the catalog's database: bounded, timed, and as safe as they were asked to be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.catalog.storage.failure import translated
from shared.runtime.failure import StartRefused, StoreUnavailable
from shared.runtime.postgres import DURABILITY, first_line, parse_url, require_durability

HEAD: Final = "0003"

_APPLICATION: Final = "holdfast-catalog"
# A dead peer is noticed in about 5 s; libpq waits 2 s at least for a connection.
_ROBUST: Final = {
    "connect_timeout": 3,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 5_000,
    "application_name": _APPLICATION,
}
_FACTS: Final = text(
    "select to_regclass('alembic_version') is not null, "
    + ", ".join(f"current_setting('{name}')" for name in DURABILITY)
)
_REVISION: Final = text("select version_num from alembic_version")


def engine(
    url: str, *, pool_size: int, pool_timeout: timedelta, statement_timeout: timedelta
) -> AsyncEngine:
    """Makes an engine that connects when it is first used.

    A connection found dead is dropped with all that are as old, so that one call fails for a
    restart of the database, not one for each connection; there is no ping before each use.

    Args:
        url: libpq's; what it says about timeouts wins.
        pool_size: The most connections, and the most that stay open.
        pool_timeout: How long a call waits for a free one.
        statement_timeout: The database ends statements that take longer; a wait for a lock
            half as long.

    Raises:
        StartRefused: The address is none.
    """
    limit = statement_timeout // timedelta(milliseconds=1)
    options = f"-c statement_timeout={limit} -c lock_timeout={limit // 2}"
    given = parse_url(url)
    given["options"] = f"{options} {given.get('options', '')}"
    arguments: dict[str, Any] = {**_ROBUST, **given}

    async def connect() -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(**arguments)

    return create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout.total_seconds(),
        use_native_hstore=False,
    )


async def verify(engine: AsyncEngine, *, throwaway: bool) -> None:
    """Checks that the database can be served from.

    Raises:
        StartRefused: It cannot be reached; its schema is older than this code needs; or it may
            lose acknowledged writes and nobody said that they are ``throwaway``.
    """
    try:
        with translated():
            async with engine.connect() as connection:
                is_migrated, *settings = (await connection.execute(_FACTS)).one()
                revision = (await connection.execute(_REVISION)).scalar() if is_migrated else None
    except StoreUnavailable as error:
        raise StartRefused(f"{error}: {first_line(error.__cause__)}") from error
    if revision is None or revision < HEAD:
        raise StartRefused(
            f"the catalog's schema is at {revision or 'nothing'}, not at {HEAD}: "
            "run python -m services.catalog migrate"
        )
    if not throwaway:
        require_durability(dict(zip(DURABILITY, settings, strict=True)))
