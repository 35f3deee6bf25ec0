"""The embedded Valkey: where it answers, what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import redis

from shared.embedded.errors import DataFolderInUse, ServerDidNotStart
from shared.embedded.folder import FolderLock, socket_folder
from shared.embedded.valkey import EmbeddedValkey


def test_it_answers_on_a_socket_of_its_own_and_keeps_nothing(tmp_path: Path) -> None:
    with (
        EmbeddedValkey.start(tmp_path) as server,
        redis.Redis.from_url(server.url) as connection,
    ):
        connection.set("hold", "mine")

    with (
        EmbeddedValkey.start(tmp_path) as again,
        redis.Redis.from_url(again.url) as connection,
    ):
        assert connection.get("hold") is None
        assert connection.config_get("port") == {"port": "0"}


def test_a_second_start_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with (
        EmbeddedValkey.start(tmp_path),
        pytest.raises(DataFolderInUse, match=f"in use by process {os.getpid()}"),
    ):
        EmbeddedValkey.start(tmp_path)


def test_stopping_leaves_neither_process_nor_socket(tmp_path: Path) -> None:
    server = EmbeddedValkey.start(tmp_path)

    server.stop()

    with pytest.raises(ProcessLookupError):
        os.kill(server.process.pid, 0)
    assert not Path(server.url.removeprefix("unix://").partition("?")[0]).parent.exists()


def test_a_server_that_cannot_start_says_why_and_frees_the_folder(tmp_path: Path) -> None:
    in_the_way = socket_folder(tmp_path) / "valkey.sock"
    in_the_way.mkdir()

    try:
        with pytest.raises(ServerDidNotStart, match=r"(?s)did not start.*Unix socket"):
            EmbeddedValkey.start(tmp_path)
    finally:
        in_the_way.rmdir()
        in_the_way.parent.rmdir()

    FolderLock(tmp_path).release()
