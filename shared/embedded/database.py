"""Creates databases on a PostgreSQL server, embedded or not."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

from shared.embedded.errors import EmbeddedServerError

_CONNECT_SECONDS = 10
_CLIENT_VARIABLES = "PG"  # libpq's: PGPORT, PGSERVICE, PGSSLMODE and some thirty more


class DatabaseExists(EmbeddedServerError):
    """There is a database of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a database {name} already")
        self.name = name


def drop_client_variables(environment: MutableMapping[str, str]) -> None:
    """Removes libpq's variables: they are about another server, and win over what a URL omits."""
    for name in [name for name in environment if name.startswith(_CLIENT_VARIABLES)]:
        del environment[name]


def create_database(
    server_url: str, name: str, template: str | None = None, *, by_files: bool = False
) -> None:
    """Creates a database, as a copy of ``template`` when one is named.

    Args:
        server_url: The address of a database of the server that may be used for this.
        name: The new database.
        template: The database to copy; nobody may be connected to it.
        by_files: Copies files instead of logging every block: faster where fsync is off.

    Raises:
        DatabaseExists: There is one of this name.
    """
    import psycopg  # noqa: PLC0415  # 150 ms that a start with kept data does not need
    from psycopg import sql  # noqa: PLC0415

    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template is not None:
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
    if by_files:
        statement += sql.SQL(" STRATEGY file_copy")
    with psycopg.connect(
        server_url, autocommit=True, connect_timeout=_CONNECT_SECONDS
    ) as connection:
        try:
            connection.execute(statement)
        except psycopg.errors.DuplicateDatabase as error:
            raise DatabaseExists(name) from error


def drop_database(server_url: str, name: str) -> None:
    """Drops a database if it exists, ending the connections to it."""
    import psycopg  # noqa: PLC0415  # as above
    from psycopg import sql  # noqa: PLC0415

    with psycopg.connect(
        server_url, autocommit=True, connect_timeout=_CONNECT_SECONDS
    ) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def durability_off(server_url: str) -> list[str]:
    """Returns which settings are off that keep acknowledged writes through a crash."""
    import psycopg  # noqa: PLC0415  # as above

    with psycopg.connect(
        server_url, autocommit=True, connect_timeout=_CONNECT_SECONDS
    ) as connection:
        rows = connection.execute(
            "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = 'off' ORDER BY name",
            (["fsync", "full_page_writes", "synchronous_commit"],),
        ).fetchall()
    return [row[0] for row in rows]


def missing_databases(server_url: str, names: Sequence[str]) -> list[str]:
    """Returns which of the databases the server does not have."""
    import psycopg  # noqa: PLC0415  # as above

    with psycopg.connect(
        server_url, autocommit=True, connect_timeout=_CONNECT_SECONDS
    ) as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE datname = ANY(%s)", (list(names),)
        ).fetchall()
    found = {row[0] for row in rows}
    return [name for name in names if name not in found]
