"""Data folders for whole systems."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import system


@pytest.fixture(scope="session")
def _first_data() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="holdfast-test-"))
    with system(folder / "data") as running:
        running.stop()
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def kept_data(_first_data: Path, data_folder: Path) -> Path:
    """The data that a first start leaves behind: a start with it is a quick one."""
    # Some four thousand files: cp takes a tenth of shutil's time.
    subprocess.run(["cp", "-a", _first_data, data_folder / "data"], check=True)
    return data_folder / "data"
