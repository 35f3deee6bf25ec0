"""Data folders: one user at a time, and a short private folder for their sockets."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.embedded.errors import DataFolderInUse, DataFolderUnusable

# A socket's path has at most 107 bytes; "/.s.PGSQL.5432" needs some of them.
_SOCKET_FOLDER_LIMIT = 90


class FolderLock:
    """Holds a data folder for this process; the kernel lets go of it when the process ends."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder if need be, and locks it.

        Raises:
            DataFolderInUse: Another process holds it.
            DataFolderUnusable: It cannot be made or written.
        """
        try:
            self._file = _locked_file(folder)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, str(os.getpid()).encode("ascii"), 0)
        except OSError as error:
            raise DataFolderUnusable(folder, in_words(error)) from error

    def release(self) -> None:
        """Lets go of the folder."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _locked_file(folder: Path) -> int:
    path = folder / "lock"
    while True:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file)):
                return file
        except BlockingIOError as error:
            pid = os.pread(file, 32, 0).decode("ascii", "replace").strip()
            os.close(file)
            raise DataFolderInUse(folder, f"process {pid}" if pid else "a process") from error
        os.close(file)  # the folder was thrown away in between: take the new one


def socket_folder(data_folder: Path) -> Path:
    """Makes the private folder in which a data folder's servers put their sockets.

    Raises:
        DataFolderUnusable: There is such a folder already, and it is not ours alone.
    """
    name = hashlib.sha256(os.fsencode(data_folder.resolve())).hexdigest()[:16]
    parent = Path(tempfile.gettempdir())
    folder = parent / f"holdfast-{os.geteuid()}-{name}"
    if len(os.fsencode(folder)) > _SOCKET_FOLDER_LIMIT:
        folder = Path("/tmp") / folder.name  # noqa: S108  # made 0700 and checked below
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise DataFolderUnusable(folder, in_words(error)) from error
    closed = stat.S_IMODE(found.st_mode) & 0o077 == 0
    # Root may find it given to the user that a server ran as.
    ours = found.st_uid == os.geteuid() or os.geteuid() == 0
    if not (stat.S_ISDIR(found.st_mode) and closed and ours):
        raise DataFolderUnusable(folder, "it belongs to somebody else or is open to others")
    return folder


def remove_socket_folder(folder: Path) -> None:
    """Removes the folder with the sockets in it; nothing happens where that is not possible."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def processes_in(folder: Path) -> list[int]:
    """Returns the processes whose working folder is ``folder``, as far as we may see."""
    target = folder.resolve()
    found = []
    with contextlib.suppress(FileNotFoundError):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if (entry / "cwd").readlink() == target:
                        found.append(int(entry.name))
    return found


def in_words(error: OSError) -> str:
    """Says what the operating system refused, and where."""
    fact = error.strerror or str(error)
    return f"{fact} ({error.filename})" if error.filename else fact
