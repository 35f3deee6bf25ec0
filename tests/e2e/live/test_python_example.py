"""What the documents show of Python is run as they show it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.e2e.live.conftest import House
from tests.e2e.running import ROOT, environment

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", ["README.md", "docs/live.md"])
def test_two_of_the_shown_programs_see_one_another(
    house: House, tmp_path: Path, document: str
) -> None:
    # The first one is whole.
    program, *_ = _BLOCK.findall((ROOT / document).read_text("utf-8"))
    data = tmp_path / ".holdfast"
    data.mkdir()
    (data / "endpoints.json").write_text(json.dumps(house.running.targets))

    @contextmanager
    def started() -> Iterator[IO[str]]:
        with subprocess.Popen(
            [sys.executable, "-u", "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # Ctrl-C ends it with a traceback
            text=True,
            cwd=tmp_path,
            env=environment({"PYTHONPATH": str(ROOT)}),
        ) as process:
            try:
                assert process.stdout is not None
                yield process.stdout
                # So that it leaves: the next one takes the same time.
                process.send_signal(signal.SIGINT)
                process.wait(timeout=10)
            finally:
                process.kill()

    with started() as first:
        assert "HoldState.HELD" in first.readline()
        # One's own hold reserves nothing.
        assert "RESERVED" not in first.readline()
        with started() as second:
            assert "SLOT_HELD" in second.readline()
            assert second.readline().count("RESERVED") == 5
