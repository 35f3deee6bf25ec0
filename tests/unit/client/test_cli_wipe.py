from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from shared.client.cli.main import run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "postgres").mkdir(parents=True)
    (folder / "launcher.json").write_text("{}")
    (folder / "postgres" / "bookings").write_text("precious")
    return folder


def test_the_launchers_folder_is_removed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["wipe", "--data", str(data), "--yes"], {})

    assert code == 0
    assert list(data.parent.iterdir()) == []
    assert capsys.readouterr().out == f"Removed {data}.\n"


def test_the_data_variable_names_the_folder(data: Path) -> None:
    code = run(["wipe", "--yes"], {"HOLDFAST_DATA": str(data)})

    assert code == 0
    assert not data.exists()


def test_another_folder_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letters").write_text("dear")

    code = run(["wipe", "--data", str(tmp_path), "--yes"], {})

    assert code == 1
    assert (tmp_path / "letters").exists()
    assert "was not made by holdfast's launcher" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["", "postgres"], ids=["launcher", "PostgreSQL"])
def test_the_data_of_a_running_system_stays(
    data: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = data / part / "lock"
    lock.write_text("4711")
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        code = run(["wipe", "--data", str(data), "--yes", "-o", "json"], {})

    assert code == 1
    assert (data / "postgres" / "bookings").exists()
    error = json.loads(capsys.readouterr().err)["error"]
    assert "a system runs" in error["message"]
    assert "process 4711" in error["message"]


def test_a_lock_that_nobody_holds_is_no_obstacle(data: Path) -> None:
    (data / "lock").write_text("4711")

    assert run(["wipe", "--data", str(data), "--yes"], {}) == 0
    assert not data.exists()


def test_without_anybody_to_answer_nothing_is_removed(data: Path) -> None:
    code = run(["wipe", "--data", str(data)], {})

    assert code == 2
    assert (data / "postgres" / "bookings").exists()


def test_no_data_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["wipe", "--data", str(tmp_path / "none"), "--yes", "-o", "json"], {})

    assert code == 0
    assert json.loads(capsys.readouterr().out)["removed"] is False
