"""Runs a service's Alembic history, and nothing when there is nothing to run."""

from __future__ import annotations

import logging
from pathlib import Path

import psycopg

from shared.runtime.failure import StartRefused
from shared.runtime.postgres import first_line, parse_url

# Any number does, as long as every service's migrations use the same one in their database.
_ADVISORY_LOCK = 7_203_452
_CONNECT_SECONDS = 10

logger = logging.getLogger("holdfast.migration")


def upgrade(url: str, versions: Path, *, head: str) -> None:
    """Upgrades the database at ``url`` to ``head``.

    Replicas that start at once wait for each other. Each statement may wait 4 s for a lock
    and run 5 s: a migration that cannot do with that must be several.

    Args:
        url: A libpq URL; it must reach PostgreSQL itself, not a transaction pooler.
        versions: The folder of the service's revisions.
        head: The revision that this code needs; revisions sort by name.

    Raises:
        StartRefused: The URL is none, the database cannot be reached, or a revision failed;
            nothing of the failed revision is kept.
    """
    parse_url(url)
    try:
        stored = stored_revision(url)
        if stored is None or stored < head:
            _run(url, versions, head)
        elif stored > head:  # a newer release was here; its schema still serves this one
            logger.warning("schema is newer", extra={"revision": stored, "needed": head})
    except psycopg.Error as error:
        raise StartRefused(f"the database cannot be migrated: {first_line(error)}") from error


def stored_revision(url: str) -> str | None:
    """The revision that the database is at; None before the first."""
    with psycopg.connect(url, connect_timeout=_CONNECT_SECONDS, autocommit=True) as connection:
        row = connection.execute("select to_regclass('alembic_version')").fetchone()
        if row is None or row[0] is None:
            return None
        row = connection.execute("select version_num from alembic_version").fetchone()
        return None if row is None else str(row[0])


def _run(url: str, versions: Path, head: str) -> None:
    # Importing Alembic takes longer than everything else at a start that migrates nothing.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy import NullPool, create_engine, exc, text  # noqa: PLC0415

    # Alembic tells each step at INFO; one line of ours says where it went.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("version_locations", str(versions).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    # psycopg connects, so every form of URL that libpq knows will do.
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url, connect_timeout=_CONNECT_SECONDS),
        poolclass=NullPool,
    )
    try:
        with engine.connect() as connection:
            connection.execute(text(f"select pg_advisory_lock({_ADVISORY_LOCK})"))
            connection.execute(text("set lock_timeout = '4s'"))
            connection.execute(text("set statement_timeout = '5s'"))
            connection.commit()
            config.attributes["connection"] = connection
            command.upgrade(config, head)
    except exc.DBAPIError as error:
        raise StartRefused(f"migration failed: {first_line(error.orig or error)}") from error
    finally:
        engine.dispose()
    logger.info("migrated", extra={"revision": head})
