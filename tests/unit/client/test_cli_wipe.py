from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from services.launcher.kept import Kept, write_endpoints, write_kept
from shared.client.cli.main import run

_KEPT = {"clock_start": None, "clock_offset_seconds": 0.0, "demo_loaded_into": ["embedded"]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "postgres" / "cluster").mkdir(parents=True)
    (folder / "launcher.json").write_text(json.dumps(_KEPT))
    (folder / "postgres" / "cluster" / "bookings").write_text("precious")
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
    assert (data / "postgres" / "cluster" / "bookings").exists()
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
    assert (data / "postgres" / "cluster" / "bookings").exists()


def test_no_data_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["wipe", "--data", str(tmp_path / "none"), "--yes", "-o", "json"], {})

    assert code == 0
    assert json.loads(capsys.readouterr().out)["removed"] is False


def test_all_that_the_launcher_makes_is_removed(data: Path) -> None:
    write_kept(data, Kept())
    write_endpoints(data, {"catalog": "127.0.0.1:1"})
    for name in (
        "lock",
        "launcher.json.new",
        "endpoints.json.new",
        "logs/catalog.log",
        "logs/postgres.log.1",
        "postgres/lock",
        "postgres/databases-created",
        "postgres/cluster.new/base",
        "valkey/lock",
    ):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()

    assert run(["wipe", "--data", str(data), "--yes"], {}) == 0
    assert not data.exists()


@pytest.mark.parametrize("name", ["mine/thesis", "postgres/thesis", "logs/thesis", "thesis"])
def test_what_the_launcher_did_not_make_stays_and_is_named(
    data: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / name).parent.mkdir(exist_ok=True)
    (data / name).write_text("two years")

    code = run(["wipe", "--data", str(data), "--yes", "-o", "json"], {})

    assert code == 0
    assert (data / name).read_text() == "two years"
    assert [path for path in data.rglob("*") if path.is_file()] == [data / name]
    assert json.loads(capsys.readouterr().out)["kept"] == [name.partition("/")[0]]


def test_people_are_told_what_stays(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "thesis").write_text("two years")

    run(["wipe", "--data", str(data), "--yes"], {})

    said = capsys.readouterr().out
    assert said == f"Removed the data in {data}; what is not holdfast's stays: thesis.\n"


@pytest.mark.parametrize(
    "content",
    ["{}", "[]", "", "{", '{"clock_start": null}', json.dumps({**_KEPT, "demo_loaded_into": 7})],
)
def test_a_file_of_the_same_name_does_not_make_the_folder_ours(data: Path, content: str) -> None:
    (data / "launcher.json").write_text(content)

    code = run(["wipe", "--data", str(data), "--yes"], {})

    assert code == 1
    assert (data / "postgres" / "cluster" / "bookings").exists()
    assert (data / "launcher.json").read_text() == content


@pytest.mark.parametrize("name", ["logs", "valkey", "postgres/cluster.new"])
def test_nothing_is_removed_through_a_link(
    data: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "catalog.log").write_text("another's")
    (elsewhere / "lock").write_text("")
    (data / name).symlink_to(elsewhere)

    code = run(["wipe", "--data", str(data), "--yes"], {})

    assert code == 1
    assert {path.name for path in elsewhere.iterdir()} == {"catalog.log", "lock"}
    assert (data / "postgres" / "cluster" / "bookings").exists()
    assert f"{data / name} is a link to {elsewhere}" in capsys.readouterr().err


def test_a_link_within_the_cluster_is_removed_and_not_followed(data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis").write_text("two years")
    (data / "postgres" / "cluster" / "space").symlink_to(elsewhere)

    assert run(["wipe", "--data", str(data), "--yes"], {}) == 0
    assert not data.exists()
    assert (elsewhere / "thesis").exists()


def test_a_wipe_that_was_interrupted_can_be_finished(data: Path) -> None:
    (data / "postgres" / "cluster").rename(data / "postgres" / "cluster.wiped")

    assert run(["wipe", "--data", str(data), "--yes"], {}) == 0
    assert not data.exists()
