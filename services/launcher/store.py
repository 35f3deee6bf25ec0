"""The stores of the system: embedded ones, or servers that somebody else runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from services.launcher.console import Console
from services.launcher.failure import DatabasesMissing, StoreUnreachable
from services.launcher.options import Options
from shared.embedded.database import (
    DatabaseExists,
    create_database,
    drop_client_variables,
    durability_off,
    missing_databases,
)
from shared.embedded.postgres import EmbeddedPostgres
from shared.embedded.process import ChildProcess
from shared.embedded.valkey import EmbeddedValkey

DATABASES = ("catalog", "availability")


class Stores:
    """A PostgreSQL and a Valkey, ready for the services."""

    def __init__(self, options: Options, console: Console) -> None:
        self._options = options
        self._console = console
        self._postgres: EmbeddedPostgres | None = None
        self._valkey: EmbeddedValkey | None = None

    def start(self) -> None:
        """Starts what is to be embedded, and creates the databases that are missing.

        Raises:
            EmbeddedServerError: A server did not start.
            StoreUnreachable: A given PostgreSQL does not answer, or may lose writes.
            DatabasesMissing: The embedded PostgreSQL does not create the databases.
        """
        logs = self._options.data / "logs"
        if self._options.redis_url is None:
            self._valkey = EmbeddedValkey.launch(
                self._options.data / "valkey", log=logs / "valkey.log"
            )
        if self._options.postgres_url is None:
            drop_client_variables(os.environ)
            folder = self._options.data / "postgres"
            made = "" if (folder / "cluster").exists() else f", making its data in {folder}"
            self._console.progress(f"starting PostgreSQL{made}")
            self._postgres = EmbeddedPostgres.start(
                folder, throwaway=self._options.is_throwaway, log=logs / "postgres.log"
            )
        if self._valkey is not None:
            self._valkey.wait_until_ready()
        self._create_databases()

    def database_url(self, name: str) -> str:
        """Returns the address of a service's own database."""
        if self._postgres is not None:
            return self._postgres.url(name)
        url = urlsplit(self._options.postgres_url or "")
        query = f"?{url.query}" if url.query else ""
        return f"postgresql://{url.netloc}/{name}{query}"

    @property
    def redis_url(self) -> str:
        """The address of the Valkey, or Redis."""
        return self._valkey.url if self._valkey is not None else self._options.redis_url or ""

    @property
    def name(self) -> str:
        """Tells these databases from others that the same data folder was used with."""
        if self._postgres is not None:
            return f"embedded {self._postgres.identity}"
        return hashlib.sha256(self.database_url("").encode()).hexdigest()[:16]

    def children(self) -> dict[str, ChildProcess]:
        """The servers that must keep running."""
        found = {}
        if self._postgres is not None:
            found["PostgreSQL"] = self._postgres.process
        if self._valkey is not None:
            found["Valkey"] = self._valkey.process
        return found

    def stop(self) -> None:
        """Stops what was started."""
        if self._valkey is not None:
            self._valkey.stop()
        if self._postgres is not None:
            self._postgres.stop()

    def _create_databases(self) -> None:
        if self._postgres is None:
            self._create_databases_on_given_server()
            return
        # Asking costs the import of the driver: the folder remembers for which data it is done.
        marker = self._options.data / "postgres" / "databases-created"
        identity = self._postgres.identity
        if marker.exists() and marker.read_text("utf-8") == identity:
            return
        import psycopg  # noqa: PLC0415  # as said

        try:
            for name in missing_databases(self._postgres.url(), DATABASES):
                self._postgres.create_database(name)
        except psycopg.Error as error:
            log = self._postgres.process.log
            raise DatabasesMissing(str(error).partition("\n")[0], log) from error
        marker.write_text(identity, "utf-8")

    def _create_databases_on_given_server(self) -> None:
        import psycopg  # noqa: PLC0415  # 150 ms that embedded servers do without

        self._console.progress("using the PostgreSQL that HOLDFAST_POSTGRES_URL names")
        path = urlsplit(self._options.postgres_url or "").path.strip("/")
        server = self.database_url(path or "postgres")
        try:
            missing = missing_databases(server, DATABASES)
            # The services refuse such a server, too, but only in databases that are there.
            if missing and not self._options.is_throwaway:
                _refuse_to_lose_writes(durability_off(server))
            for name in missing:
                create_database(server, name)
        except DatabaseExists:
            return  # somebody was faster
        except psycopg.Error as error:
            fact = str(error).partition("\n")[0]
            raise StoreUnreachable("HOLDFAST_POSTGRES_URL", fact) from error


def _refuse_to_lose_writes(settings: Sequence[str]) -> None:
    if settings:
        raise StoreUnreachable(
            "HOLDFAST_POSTGRES_URL",
            f"it runs with {', '.join(f'{name}=off' for name in settings)} and may lose"
            " acknowledged writes: set HOLDFAST_THROWAWAY_DATA=1 if this data may be lost",
        )
