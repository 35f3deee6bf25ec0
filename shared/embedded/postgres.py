"""A real PostgreSQL 18 as a child of this process."""

from __future__ import annotations

import contextlib
import signal
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from shared.embedded.binary import postgres_binary
from shared.embedded.cluster import USER, Cluster
from shared.embedded.database import create_database
from shared.embedded.errors import ServerDidNotStart
from shared.embedded.folder import FolderLock, remove_socket_folder, socket_folder
from shared.embedded.process import ChildProcess, Deadline, how_it_ended

_START_PATIENCE = timedelta(seconds=60)  # a recovery after a crash is part of a start
_STOP_PATIENCE = timedelta(seconds=4)

_PORT = 5432  # nobody listens there: it is a part of the socket's name
_SETTINGS = {
    "port": str(_PORT),
    "listen_addresses": "",  # a socket in a folder of our own: no port, no password
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    # A lost race is an error that its client handles: its log line does without the statement.
    "log_min_error_statement": "panic",
    "fsync": "on",
    "synchronous_commit": "on",
}
_THROWAWAY_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class EmbeddedPostgres:
    """A running server; its data stays in its folder.

    Durable unless it was started as a throw-away. Reached through a socket that only this user
    can open; every database belongs to the user ``holdfast``.
    """

    def __init__(
        self, process: ChildProcess, lock: FolderLock, cluster: Cluster, *, throwaway: bool
    ) -> None:
        self._process = process
        self._lock = lock
        self._cluster = cluster
        self._is_throwaway = throwaway

    @classmethod
    def start(
        cls, data_dir: Path, *, throwaway: bool = False, log: Path | None = None
    ) -> EmbeddedPostgres:
        """Starts the server, making its data folder the first time, and waits until it is ready.

        Args:
            data_dir: The server's own folder.
            throwaway: No fsync: several times faster, and a crash of the machine may lose all.
            log: Where the server's log goes; into ``data_dir`` when absent.

        Raises:
            BinaryNotFound: The wheel is not installed.
            DataFolderInUse: Another process works on the folder.
            DataFolderUnusable: The folder cannot be written, or is not PostgreSQL 18's.
            ServerDidNotStart: The server ended or was not ready in time.
        """
        postgres_binary("postgres")
        with contextlib.ExitStack() as undo:
            lock = undo.enter_context(FolderLock(data_dir))
            data_dir = data_dir.resolve()
            sockets = socket_folder(data_dir)
            undo.callback(remove_socket_folder, sockets)
            cluster = Cluster(data_dir / "cluster", sockets, log or data_dir / "postgres.log")
            cluster.prepare(throwaway=throwaway)
            process = _run_server(cluster, throwaway=throwaway)
            undo.pop_all()
        return cls(process, lock, cluster, throwaway=throwaway)

    @property
    def process(self) -> ChildProcess:
        """The server's process, for whoever watches over it."""
        return self._process

    def url(self, database: str = "postgres") -> str:
        """Returns the address of a database, for libpq and, with its scheme, SQLAlchemy."""
        sockets = quote(str(self._cluster.sockets))
        return f"postgresql://{USER}@/{database}?port={_PORT}&host={sockets}"

    @property
    def identity(self) -> str:
        """Tells this data from other data that lay, or will lie, in the same folder.

        Raises:
            DataFolderUnusable: It cannot be read.
        """
        return self._cluster.identity()

    def create_database(self, name: str, template: str | None = None) -> None:
        """Creates a database, as a copy of ``template`` when one is named.

        Raises:
            DatabaseExists: There is one of this name.
        """
        create_database(self.url(), name, template, by_files=self._is_throwaway)

    def stop(self) -> None:
        """Stops the server, ending open connections; returns when no process of it is left.

        Raises:
            DataFolderInUse: A process of it does not end.
        """
        number = signal.SIGQUIT if self._is_throwaway else signal.SIGINT
        try:
            self._process.stop(number, _STOP_PATIENCE)
            self._cluster.wait_until_left()
        finally:
            remove_socket_folder(self._cluster.sockets)
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _run_server(cluster: Cluster, *, throwaway: bool) -> ChildProcess:
    settings = _SETTINGS | (_THROWAWAY_SETTINGS if throwaway else {})
    settings["unix_socket_directories"] = str(cluster.sockets)
    options = [f"--{name}={value}" for name, value in settings.items()]
    process = cluster.run("postgres", ["-D", str(cluster.folder), *options], signal.SIGQUIT)
    try:
        _wait_until_ready(cluster, process)
    except BaseException:
        process.stop(signal.SIGQUIT, _STOP_PATIENCE)
        raise
    return process


def _wait_until_ready(cluster: Cluster, process: ChildProcess) -> None:
    deadline = Deadline(_START_PATIENCE)
    while not cluster.has_ready_server(process.pid):
        code = process.exit_code()
        if code is not None:
            fact = how_it_ended(code)
        elif not deadline.pause():
            fact = f"not ready after {_START_PATIENCE.total_seconds():g} s"
        else:
            continue
        raise ServerDidNotStart("PostgreSQL", fact, process.log, process.last_lines())
