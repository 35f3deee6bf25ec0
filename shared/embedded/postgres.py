"""A real PostgreSQL 18 as a child of this process."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.embedded.binary import postgres_binary
from shared.embedded.database import create_database
from shared.embedded.errors import DataFolderInUse, DataFolderUnusable, ServerDidNotStart
from shared.embedded.folder import (
    FolderLock,
    processes_in,
    remove_socket_folder,
    socket_folder,
)
from shared.embedded.process import ChildProcess, Deadline

_USER = "holdfast"
_MAJOR_VERSION = "18"
_START_PATIENCE = timedelta(seconds=60)  # a recovery after a crash is part of a start
_INITDB_PATIENCE = timedelta(seconds=120)
_STOP_PATIENCE = timedelta(seconds=4)
_LEFTOVER_PATIENCE = timedelta(seconds=6)
_STATUS_LINE = 7  # of postmaster.pid, counted from 0
# No other program's locale, time zone or PG* variable gets a say.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_SETTINGS = {
    "listen_addresses": "",  # a socket in a folder of our own: no port, no password
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
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
        self,
        process: ChildProcess,
        lock: FolderLock,
        cluster: Path,
        sockets: Path,
        *,
        throwaway: bool,
    ) -> None:
        self._process = process
        self._lock = lock
        self._cluster = cluster
        self._sockets = sockets
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
        lock = FolderLock(data_dir)
        try:
            return cls._start_locked(data_dir.resolve(), lock, log, throwaway=throwaway)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def _start_locked(
        cls, data_dir: Path, lock: FolderLock, log: Path | None, *, throwaway: bool
    ) -> EmbeddedPostgres:
        cluster = data_dir / "cluster"
        sockets = socket_folder(data_dir)
        log = log or data_dir / "postgres.log"
        if cluster.exists():
            _check_version(cluster)
            _make_way(cluster)
        else:
            _initialize(cluster, sockets, log, throwaway=throwaway)
        settings = _SETTINGS | (_THROWAWAY_SETTINGS if throwaway else {})
        settings["unix_socket_directories"] = str(sockets)
        process = _spawn(
            "postgres",
            ["-D", str(cluster), *(f"--{name}={value}" for name, value in settings.items())],
            cluster,
            sockets,
            log,
            death_signal=signal.SIGQUIT,
        )
        server = cls(process, lock, cluster, sockets, throwaway=throwaway)
        try:
            server._wait_until_ready()
        except BaseException:
            process.stop(signal.SIGQUIT, _STOP_PATIENCE)
            raise
        return server

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    @property
    def process(self) -> ChildProcess:
        """The server's process, for whoever watches over it."""
        return self._process

    def url(self, database: str = "postgres") -> str:
        """Returns the address of a database, for libpq and, with its scheme, SQLAlchemy."""
        return f"postgresql://{_USER}@/{database}?host={self._sockets}"

    def create_database(self, name: str, template: str | None = None) -> None:
        """Creates a database, as a copy of ``template`` when one is named.

        Raises:
            DatabaseExists: There is one of this name.
        """
        create_database(self.url(), name, template, by_files=self._is_throwaway)

    def stop(self) -> None:
        """Stops the server, ending open connections; returns when no process of it is left."""
        number = signal.SIGQUIT if self._is_throwaway else signal.SIGINT
        self._process.stop(number, _STOP_PATIENCE)
        _wait_until_left(self._cluster)
        remove_socket_folder(self._sockets)
        self._lock.release()

    def _wait_until_ready(self) -> None:
        deadline = Deadline(_START_PATIENCE)
        while not self._is_ready():
            code = self._process.exit_code()
            if code is not None:
                raise self._did_not_start(_ending(code))
            if not deadline.pause():
                raise self._did_not_start(f"not ready after {_START_PATIENCE.total_seconds():g} s")

    def _is_ready(self) -> bool:
        try:
            lines = (self._cluster / "postmaster.pid").read_text("utf-8").splitlines()
        except OSError:
            return False
        return (
            len(lines) > _STATUS_LINE
            and lines[0] == str(self._process.pid)
            and lines[_STATUS_LINE].strip() == "ready"
        )

    def _did_not_start(self, fact: str) -> ServerDidNotStart:
        return ServerDidNotStart("PostgreSQL", fact, self._process.log, self._process.last_lines())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _spawn(
    program: str,
    arguments: list[str],
    cluster: Path,
    sockets: Path,
    log: Path,
    *,
    death_signal: signal.Signals,
) -> ChildProcess:
    try:
        return ChildProcess(
            [postgres_binary(program), *arguments],
            log=log,
            environment=_ENVIRONMENT,
            working_folder=cluster.parent,
            identity=_identity(cluster),
            owned_folders=[cluster.parent, sockets],
            death_signal=death_signal,
        )
    except OSError as error:
        raise DataFolderUnusable(cluster.parent, str(error)) from error


def _initialize(cluster: Path, sockets: Path, log: Path, *, throwaway: bool) -> None:
    """Makes the data folder under another name first: half of one must not look like one."""
    unfinished = cluster.with_name("cluster.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    options = ["--no-sync"] if throwaway else []
    process = _spawn(
        "initdb",
        [
            "-D", str(unfinished), "--username", _USER, "--auth", "trust", "--encoding", "UTF8",
            # The wheel has no ICU; the C library's C.UTF-8 is not on every machine.
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
            "--no-instructions", *options,
        ],
        cluster,
        sockets,
        log,
        death_signal=signal.SIGKILL,
    )  # fmt: skip
    try:
        code = process.wait(_INITDB_PATIENCE)
    finally:
        process.stop(signal.SIGKILL, _STOP_PATIENCE)
    if code != 0:
        fact = "initdb took too long" if code is None else f"initdb {_ending(code)}"
        raise ServerDidNotStart("PostgreSQL", fact, log, process.last_lines())
    unfinished.rename(cluster)


def _identity(cluster: Path) -> str:
    """Says as whom PostgreSQL runs: it refuses root and a user without a name."""
    user = os.geteuid()
    owner = (cluster if cluster.exists() else cluster.parent).stat().st_uid
    if user == 0 and owner != 0:
        return f"user:{owner}:{_group_of(owner)}"
    if user != 0 and _has_name(user):
        return "same"
    named = next((uid for uid in (1000, 1, 65534) if _has_name(uid)), 1000)
    return f"map:{named}:{named}"


def _has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _group_of(user: int) -> int:
    return pwd.getpwuid(user).pw_gid if _has_name(user) else user


def _check_version(cluster: Path) -> None:
    try:
        version = (cluster / "PG_VERSION").read_text("ascii").strip()
    except OSError as error:
        raise DataFolderUnusable(cluster, f"{error.strerror} ({error.filename})") from error
    if version != _MAJOR_VERSION:
        raise DataFolderUnusable(
            cluster, f"it is PostgreSQL {version}'s, this is {_MAJOR_VERSION}: dump and load it"
        )


def _make_way(cluster: Path) -> None:
    """Waits for a server whose parent was killed, and removes what a recycled pid would keep.

    PostgreSQL refuses to start while the pid in ``postmaster.pid`` is alive, whoever that is
    today. Only a process whose working folder is the cluster is a server of it.

    Raises:
        DataFolderInUse: A server of this folder is still running.
    """
    _wait_until_left(cluster)
    lock = cluster / "postmaster.pid"
    try:
        pid = int(lock.read_text("utf-8").partition("\n")[0])
        os.kill(pid, 0)
    except PermissionError:
        pass
    except (OSError, ValueError):
        return
    lock.unlink(missing_ok=True)


def _wait_until_left(cluster: Path) -> None:
    deadline = Deadline(_LEFTOVER_PATIENCE)
    while left := processes_in(cluster):
        if not deadline.pause():
            raise DataFolderInUse(
                cluster, f"a PostgreSQL that was left running (process {left[0]})"
            )


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
