"""What a system's launcher makes in its data folder, and taking exactly that away again."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Final

from shared.client.address import ENDPOINTS_FILE, LAUNCHER_FILE

LOCK_FILE: Final = "lock"
_KEY_FILES: Final = ("management.new", "management.key")
# The launcher's own, and those of the servers that it starts.
LOCKED_FOLDERS: Final = ("", "postgres", "valkey")
_CLUSTER: Final = "postgres/cluster"
_LEAVING: Final = "postgres/cluster.wiped"
_TREES: Final = (_LEAVING, "postgres/cluster.new", _CLUSTER)
_FOLDERS: Final = ("logs", "postgres", "valkey")
_LOGS: Final = tuple(
    f"logs/{name}.log{suffix}"
    for name in ("availability", "catalog", "postgres", "presence", "valkey")
    for suffix in ("", ".1")
)
# Last what tells that the folder is ours: who is interrupted can wipe again.
_LAST: Final = (
    *_KEY_FILES,
    f"{ENDPOINTS_FILE}.new",
    ENDPOINTS_FILE,
    f"{LAUNCHER_FILE}.new",
    LAUNCHER_FILE,
    LOCK_FILE,
)


def is_launchers(folder: Path) -> bool:
    """Whether a launcher keeps its data there: the file with its facts says so."""
    try:
        found = json.loads((folder / LAUNCHER_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(found, dict) or "clock_start" not in found:
        return False
    loaded = found.get("demo_loaded_into")
    return (
        isinstance(found.get("clock_offset_seconds"), int | float)
        and isinstance(loaded, list)
        and all(isinstance(name, str) for name in loaded)
    )


def links(folder: Path) -> list[Path]:
    """Returns which of the launcher's folders are links to somewhere else."""
    return [folder / name for name in (*_FOLDERS, *_TREES) if (folder / name).is_symlink()]


def remove(folder: Path) -> list[str]:
    """Removes what the launcher makes, and the folder when nothing else is in it.

    None of the launcher's folders may be a link.

    Returns:
        The names in the folder that are not the launcher's, or hold what is not: they stay.

    Raises:
        OSError: Part of it cannot be removed.
    """
    # Without it the next start looks which databases there are.
    (folder / "postgres/databases-created").unlink(missing_ok=True)
    _remove_tree(folder / _LEAVING)
    if (folder / _CLUSTER).exists():
        # Gone under its name at once: half of a cluster must not be taken for one.
        (folder / _CLUSTER).rename(folder / _LEAVING)
    for tree in _TREES:
        _remove_tree(folder / tree)
    for name in (*_LOGS, *(f"{name}/{LOCK_FILE}" for name in LOCKED_FOLDERS if name)):
        (folder / name).unlink(missing_ok=True)
    for name in _FOLDERS:
        _remove_empty(folder / name)
    for name in _LAST:
        (folder / name).unlink(missing_ok=True)
    _remove_empty(folder)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def _remove_tree(tree: Path) -> None:
    if tree.is_dir():
        shutil.rmtree(tree)


def _remove_empty(folder: Path) -> None:
    """Removes a folder; one that somebody else keeps things in, or a mount, stays."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOTDIR}:
            raise
