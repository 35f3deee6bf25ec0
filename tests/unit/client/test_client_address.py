from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from shared.client.address import EndpointsUnreadable, SystemStopped, clock_offset, find_addresses


def _write(folder: Path, content: object) -> Path:
    data = folder / ".holdfast"
    data.mkdir()
    (data / "endpoints.json").write_text(json.dumps(content))
    return data


def test_a_named_address_goes_before_all_others(tmp_path: Path) -> None:
    _write(tmp_path, {"catalog": "file:1"})

    found = find_addresses(
        {"catalog": "named:1"}, {"HOLDFAST_CATALOG_ADDRESS": "variable:1"}, tmp_path
    )

    assert found["catalog"].target == "named:1"
    assert found["catalog"].source == "--catalog"


def test_a_variable_goes_before_the_endpoints_file(tmp_path: Path) -> None:
    _write(tmp_path, {"presence": "file:1"})

    found = find_addresses({}, {"HOLDFAST_PRESENCE_ADDRESS": "variable:1"}, tmp_path)

    assert found["presence"].target == "variable:1"
    assert found["presence"].source == "HOLDFAST_PRESENCE_ADDRESS"


def test_the_endpoints_file_goes_before_the_defaults(tmp_path: Path) -> None:
    data = _write(tmp_path, {"availability": "file:1"})

    found = find_addresses({}, {}, tmp_path)

    assert found["availability"].target == "file:1"
    assert found["availability"].source == str(data / "endpoints.json")
    assert found["catalog"].target == "127.0.0.1:50051"


def test_the_data_variable_says_where_the_endpoints_file_is(tmp_path: Path) -> None:
    data = _write(tmp_path, {"catalog": "file:1"})

    found = find_addresses({}, {"HOLDFAST_DATA": str(data)}, tmp_path / "elsewhere")

    assert found["catalog"].target == "file:1"


def test_without_anything_the_default_ports_are_meant(tmp_path: Path) -> None:
    found = find_addresses({}, {}, tmp_path)

    assert [found[name].target for name in ("catalog", "availability", "presence")] == [
        "127.0.0.1:50051",
        "127.0.0.1:50052",
        "127.0.0.1:50053",
    ]


@pytest.mark.parametrize("folder", ["made", "missing"])
def test_a_named_data_folder_without_a_running_system_is_never_another_systems(
    tmp_path: Path, folder: str
) -> None:
    (tmp_path / "made").mkdir()

    with pytest.raises(SystemStopped, match=f"on the data in .*{folder} is not running"):
        find_addresses({"catalog": "a:1"}, {"HOLDFAST_DATA": str(tmp_path / folder)}, tmp_path)


def test_data_where_one_works_without_a_running_system_is_never_another_systems(
    tmp_path: Path,
) -> None:
    (tmp_path / ".holdfast").mkdir()

    with pytest.raises(SystemStopped):
        find_addresses({}, {}, tmp_path)


def test_a_stopped_system_does_not_matter_when_all_are_named(tmp_path: Path) -> None:
    environment = {
        "HOLDFAST_DATA": str(tmp_path),
        "HOLDFAST_AVAILABILITY_ADDRESS": "b:1",
        "HOLDFAST_PRESENCE_ADDRESS": "c:1",
    }

    found = find_addresses({"catalog": "a:1"}, environment, tmp_path)

    assert [address.target for address in found.values()] == ["a:1", "b:1", "c:1"]


@pytest.mark.parametrize("content", ["", "{", "[]", "7"], ids=["empty", "cut", "list", "number"])
def test_an_endpoints_file_that_is_no_map_is_said(tmp_path: Path, content: str) -> None:
    _write(tmp_path, {})
    (tmp_path / ".holdfast" / "endpoints.json").write_text(content)

    with pytest.raises(EndpointsUnreadable, match=r"endpoints\.json cannot be read"):
        find_addresses({}, {}, tmp_path)


def test_an_unreadable_endpoints_file_does_not_matter_when_all_are_named(tmp_path: Path) -> None:
    _write(tmp_path, [])
    named = {"catalog": "a:1", "availability": "b:1", "presence": "c:1"}

    found = find_addresses(named, {}, tmp_path)

    assert found["presence"].target == "c:1"


def test_entries_of_another_shape_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path, {"catalog": 50051, "availability": "", "web": "file:9"})

    found = find_addresses({}, {}, tmp_path)

    assert set(found) == {"catalog", "availability", "presence"}
    assert found["catalog"].target == "127.0.0.1:50051"
    assert found["availability"].target == "127.0.0.1:50052"


def test_the_clock_is_moved_as_the_launcher_kept_it(tmp_path: Path) -> None:
    (tmp_path / "launcher.json").write_text(json.dumps({"clock_offset_seconds": -90.5}))

    assert clock_offset(tmp_path) == timedelta(seconds=-90.5)


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"clock_offset_seconds": 1e300}'])
def test_an_unknown_clock_counts_as_this_machines(tmp_path: Path, content: str) -> None:
    (tmp_path / "launcher.json").write_text(content)

    assert clock_offset(tmp_path) == timedelta(0)
