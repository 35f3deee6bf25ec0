"""Data folders: the lock and the folder for sockets."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from shared.embedded.errors import DataFolderInUse, DataFolderUnusable
from shared.embedded.folder import FolderLock, remove_socket_folder, socket_folder

_LONGEST_SOCKET_PATH = 107


def test_a_lock_can_be_taken_again_once_released(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(DataFolderInUse):
        FolderLock(tmp_path)

    with FolderLock(tmp_path):
        pass


def test_the_socket_folder_is_short_whatever_the_data_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)

    folder = socket_folder(deep)
    remove_socket_folder(folder)

    assert len(str(folder / ".s.PGSQL.5432")) <= _LONGEST_SOCKET_PATH


def test_the_socket_folder_is_short_whatever_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("d" * 100)))

    folder = socket_folder(tmp_path)
    remove_socket_folder(folder)

    assert len(str(folder / ".s.PGSQL.5432")) <= _LONGEST_SOCKET_PATH


def test_two_data_folders_have_two_socket_folders(tmp_path: Path) -> None:
    first, second = socket_folder(tmp_path / "a"), socket_folder(tmp_path / "b")
    remove_socket_folder(first)
    remove_socket_folder(second)

    assert first != second


def test_a_socket_folder_open_to_others_is_refused(tmp_path: Path) -> None:
    folder = socket_folder(tmp_path)
    folder.chmod(0o755)

    try:
        with pytest.raises(DataFolderUnusable, match="open to others"):
            socket_folder(tmp_path)
    finally:
        remove_socket_folder(folder)


def test_a_link_in_place_of_the_socket_folder_is_refused(tmp_path: Path) -> None:
    folder = socket_folder(tmp_path)
    folder.rmdir()
    folder.symlink_to(tmp_path)

    try:
        with pytest.raises(DataFolderUnusable):
            socket_folder(tmp_path)
    finally:
        folder.unlink()
