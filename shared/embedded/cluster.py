"""PostgreSQL's data folder, and the programs that work on it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from shared.embedded.binary import postgres_binary
from shared.embedded.errors import DataFolderInUse, DataFolderUnusable, ServerDidNotStart
from shared.embedded.folder import in_words, processes_in
from shared.embedded.identity import ordinary_identity
from shared.embedded.process import ChildProcess, Deadline, how_it_ended

USER = "holdfast"
_MAJOR_VERSION = "18"
_INITDB_PATIENCE = timedelta(seconds=120)
_KILL_PATIENCE = timedelta(seconds=1)
_LEFTOVER_PATIENCE = timedelta(seconds=6)
_IDENTIFIER_BYTES = 8  # the first ones of pg_control
_STATUS_LINE = 7  # of postmaster.pid, counted from 0
# No other program's locale, time zone or PG* variable gets a say.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """The folder that PostgreSQL calls a cluster.

    Attributes:
        folder: The data, made by initdb.
        sockets: Where its server listens.
        log: Where its programs write.
    """

    folder: Path
    sockets: Path
    log: Path

    def prepare(self, *, throwaway: bool) -> None:
        """Makes the cluster if there is none, and makes sure that nothing keeps it from starting.

        Raises:
            DataFolderInUse: A server of this folder is still running.
            DataFolderUnusable: It is another version's, or cannot be read.
            ServerDidNotStart: initdb failed.
        """
        if self.folder.exists():
            self._check_version()
            self._make_way()
        else:
            self._initialize(throwaway=throwaway)

    def run(
        self, program: str, arguments: Sequence[str], death_signal: signal.Signals
    ) -> ChildProcess:
        """Starts one of PostgreSQL's programs as somebody whom it accepts.

        Raises:
            BinaryNotFound: The wheel is not installed.
            DataFolderUnusable: The log cannot be written.
        """
        try:
            return ChildProcess(
                [postgres_binary(program), *arguments],
                log=self.log,
                environment=_ENVIRONMENT,
                working_folder=self.folder.parent,
                identity=ordinary_identity(self.folder),
                owned_folders=[self.folder.parent, self.sockets],
                death_signal=death_signal,
            )
        except OSError as error:
            raise DataFolderUnusable(self.folder.parent, in_words(error)) from error

    def has_ready_server(self, pid: int) -> bool:
        """Says whether the server of this pid accepts connections, by its own word."""
        try:
            lines = (self.folder / "postmaster.pid").read_text("utf-8").splitlines()
        except OSError:
            return False
        return (
            len(lines) > _STATUS_LINE
            and lines[0] == str(pid)
            and lines[_STATUS_LINE].strip() == "ready"
        )

    def identity(self) -> str:
        """Returns PostgreSQL's system identifier: every cluster that initdb makes has another.

        Raises:
            DataFolderUnusable: It cannot be read.
        """
        try:
            control = (self.folder / "global/pg_control").read_bytes()
        except OSError as error:
            raise DataFolderUnusable(self.folder, in_words(error)) from error
        return str(int.from_bytes(control[:_IDENTIFIER_BYTES], sys.byteorder))

    def wait_until_left(self) -> None:
        """Waits until no process works in the folder.

        Raises:
            DataFolderInUse: One still does after a while.
        """
        deadline = Deadline(_LEFTOVER_PATIENCE)
        while left := processes_in(self.folder):
            if not deadline.pause():
                raise DataFolderInUse(
                    self.folder, f"a PostgreSQL that was left running (process {left[0]})"
                )

    def _initialize(self, *, throwaway: bool) -> None:
        # Under another name first: half of a cluster must not be taken for one.
        unfinished = self.folder.with_name("cluster.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        options = ["--no-sync"] if throwaway else []
        process = self.run(
            "initdb",
            [
                "-D", str(unfinished), "--username", USER, "--auth", "trust",
                # The wheel has no ICU, and the C library's C.UTF-8 is not on every machine.
                "--encoding", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
                "--locale=C", "--no-instructions", *options,
            ],
            signal.SIGKILL,
        )  # fmt: skip
        try:
            code = process.wait(_INITDB_PATIENCE)
        finally:
            process.stop(signal.SIGKILL, _KILL_PATIENCE)
        if code != 0:
            fact = "initdb took too long" if code is None else f"initdb {how_it_ended(code)}"
            raise ServerDidNotStart("PostgreSQL", fact, self.log, process.last_lines())
        unfinished.rename(self.folder)
        if not throwaway:
            _sync(self.folder.parent)

    def _check_version(self) -> None:
        try:
            version = (self.folder / "PG_VERSION").read_text("ascii").strip()
        except OSError as error:
            raise DataFolderUnusable(self.folder, in_words(error)) from error
        if version != _MAJOR_VERSION:
            raise DataFolderUnusable(
                self.folder, f"it is PostgreSQL {version}'s and this is {_MAJOR_VERSION}"
            )

    def _make_way(self) -> None:
        """Waits for a server whose parent was killed, and frees the folder of a recycled pid.

        PostgreSQL refuses to start while the pid in ``postmaster.pid`` is alive, whoever that is
        today. Only a process whose working folder is the cluster is a server of it.
        """
        self.wait_until_left()
        lock = self.folder / "postmaster.pid"
        try:
            os.kill(int(lock.read_text("utf-8").partition("\n")[0]), 0)
        except OSError:
            return  # no file, or nobody of that pid, or somebody else's: PostgreSQL sees to it
        except (ValueError, OverflowError):
            pass  # a crash left it empty or damaged, which PostgreSQL does not get over
        lock.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
