"""Runs programs as a user who is not root, has no name and owns nothing here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

UID = 54321
_ROOT = Path(__file__).parents[1]


def python_for_everybody() -> str:
    """Returns a Python that such a user can run, with our packages; skips the test without one."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            subprocess.run(
                [python, "-c", "import services, psycopg"],
                check=True,
                stderr=subprocess.DEVNULL,
                **as_ordinary_user(),
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip("an ordinary user can run no Python here, or not read this folder")


def as_ordinary_user() -> dict[str, Any]:
    """Returns what ``subprocess`` needs to run a program as that user, with our packages."""
    packages = [path for path in sys.path if path.endswith("site-packages")]
    paths = [str(_ROOT), str(_ROOT / "build/protos"), *packages]
    return {
        "user": UID,
        "group": UID,
        "extra_groups": [],
        "env": {"PYTHONPATH": os.pathsep.join(paths), "PATH": "/usr/bin:/bin"},
        "cwd": "/",
    }
