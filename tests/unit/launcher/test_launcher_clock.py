"""The system's clock: what is settled on the first start, and what later ones may ask."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.launcher.clock import settle_clock
from services.launcher.failure import ClockRefused
from services.launcher.kept import Kept, claim, read_kept, write_kept
from services.launcher.options import Options, parse

_START = "2027-03-01T08:00:00Z"
_NOW = datetime(2027, 3, 1, 7, 0, tzinfo=UTC)


def options(start: str | None = None, *arguments: str, **variables: str) -> Options:
    asked = {"HOLDFAST_CLOCK_START": start} if start else {}
    return parse(["--data", "/data", *arguments], {**asked, **variables}, Path("/"))


def test_without_a_start_it_is_the_machines_clock() -> None:
    assert settle_clock(options(), None, _NOW) == Kept(None, 0.0)


def test_the_first_start_settles_the_offset() -> None:
    assert settle_clock(options(_START), None, _NOW) == Kept(_START, 3600.0)


@pytest.mark.parametrize("asked", [_START, None], ids=["asked again", "not asked"])
def test_a_later_start_goes_on_with_the_offset_of_the_first(asked: str | None) -> None:
    kept = Kept(_START, 12.5)

    assert settle_clock(options(asked), kept, _NOW) == kept


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (Kept(None, 0.0), "began without, not with"),
        (Kept("2026-01-01T00:00:00Z", 1.0), "began with HOLDFAST_CLOCK_START=2026-01-01T00:00:00Z"),
    ],
    ids=["machine's clock", "another start"],
)
def test_data_does_not_change_its_clock(kept: Kept, words: str) -> None:
    with pytest.raises(ClockRefused, match=words):
        settle_clock(options(_START), kept, _NOW)


@pytest.mark.parametrize(
    "start",
    [
        "tomorrow",
        "2027-03-01T08:00:00",
        "2027-13-01T08:00:00Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "1969-12-31T23:59:59Z",
        "9000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_a_start_that_is_no_instant_is_refused(start: str) -> None:
    with pytest.raises(ClockRefused, match="is not an instant"):
        settle_clock(options(start), None, _NOW)


@pytest.mark.parametrize(
    "variable", ["HOLDFAST_CATALOG_ADDRESS", "HOLDFAST_PRESENCE_METRICS_LISTEN"]
)
@pytest.mark.parametrize("kept", [None, Kept(_START, 1.0)], ids=["first start", "kept data"])
def test_a_moved_clock_is_refused_beyond_loopback(variable: str, kept: Kept | None) -> None:
    with pytest.raises(ClockRefused, match=r"0\.0\.0\.0:7 is not loopback"):
        settle_clock(options(_START, **{variable: "0.0.0.0:7"}), kept, _NOW)


def test_what_is_kept_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = Kept(_START, -0.1, ("embedded", "other"))

    write_kept(tmp_path, kept)

    assert read_kept(tmp_path) == kept


def test_nothing_is_kept_before_the_first_start(tmp_path: Path) -> None:
    assert read_kept(tmp_path) is None


@pytest.mark.parametrize("offset", ["1e300", "-1e12", "NaN", "Infinity", '"1"', "null"])
def test_a_kept_offset_that_no_clock_can_have_is_damage(tmp_path: Path, offset: str) -> None:
    (tmp_path / "launcher.json").write_text(
        f'{{"clock_start": null, "clock_offset_seconds": {offset}, "demo_loaded_into": []}}'
    )

    with pytest.raises(ValueError, match=r"launcher\.json was not written by holdfast"):
        read_kept(tmp_path)


def test_a_claimed_folder_has_nothing_settled_yet(tmp_path: Path) -> None:
    claim(tmp_path)

    assert (tmp_path / "launcher.json").is_file()
    assert read_kept(tmp_path) is None


def test_a_claim_leaves_what_is_kept(tmp_path: Path) -> None:
    write_kept(tmp_path, Kept(_START, 1.0))

    claim(tmp_path)

    assert read_kept(tmp_path) == Kept(_START, 1.0)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"demo_loaded_into": [], "colour": "red"}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "launcher.json").write_text(text)

    with pytest.raises(ValueError, match=r"launcher\.json was not written by holdfast"):
        read_kept(tmp_path)
