"""Where the services are: what the caller names, else what a running system wrote down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

SERVICES: Final = ("catalog", "availability", "presence")
DEFAULTS: Final = {
    "catalog": "127.0.0.1:50051",
    "availability": "127.0.0.1:50052",
    "presence": "127.0.0.1:50053",
}
DATA_VARIABLE: Final = "HOLDFAST_DATA"
DEFAULT_DATA_FOLDER: Final = ".holdfast"
ENDPOINTS_FILE: Final = "endpoints.json"
LAUNCHER_FILE: Final = "launcher.json"


class EndpointsUnreadable(Exception):
    """The file in which a running system writes its addresses cannot be understood."""

    def __init__(self, path: Path, fact: str) -> None:
        super().__init__(f"{path} cannot be read: {fact}")
        self.path = path


class SystemStopped(Exception):
    """A system keeps its data where the caller works, and does not run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"the system on the data in {folder} is not running")
        self.folder = folder


@dataclass(frozen=True, slots=True)
class Address:
    """Where one service listens, and how that is known."""

    target: str  # what gRPC takes: host:port, or a name with its scheme
    source: str  # for people: the option, the variable or the file it was found in


def find_addresses(
    named: Mapping[str, str], environment: Mapping[str, str], working_folder: Path
) -> dict[str, Address]:
    """Returns an address for each service, the first that is known.

    In this order: what the caller named, ``HOLDFAST_<SERVICE>_ADDRESS``, the endpoints file of
    the data folder, the default port on this machine. The last only where no data folder is:
    who has one means the system on it, not whichever took the ports.

    Raises:
        SystemStopped: The file was needed, and the data folder has none.
        EndpointsUnreadable: The file was needed and is there, but is no map of addresses.
    """
    found: dict[str, Address] = {}
    written: Mapping[str, str] | None = None
    folder = data_folder(environment, working_folder)
    path = folder / ENDPOINTS_FILE
    for service in SERVICES:
        variable = f"HOLDFAST_{service.upper()}_ADDRESS"
        if named.get(service):
            found[service] = Address(named[service], f"--{service}")
        elif environment.get(variable):
            found[service] = Address(environment[variable], variable)
        else:
            if written is None:
                written = _running(folder, is_named=bool(environment.get(DATA_VARIABLE)))
            target = written.get(service)
            found[service] = (
                Address(target, str(path))
                if target
                else Address(DEFAULTS[service], "the default ports")
            )
    return found


def data_folder(environment: Mapping[str, str], working_folder: Path) -> Path:
    """Returns the folder in which a system started here keeps its data."""
    return working_folder / (environment.get(DATA_VARIABLE) or DEFAULT_DATA_FOLDER)


def clock_offset(folder: Path) -> timedelta:
    """Returns how far the clock of the system that keeps its data there is moved; 0 if unknown."""
    try:
        found = json.loads((folder / LAUNCHER_FILE).read_text("utf-8"))
        return timedelta(seconds=float(found["clock_offset_seconds"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return timedelta(0)


def _running(folder: Path, *, is_named: bool) -> Mapping[str, str]:
    """Returns what the system that is meant wrote; empty where none is meant."""
    written = _written(folder / ENDPOINTS_FILE)
    if written is None and (is_named or folder.is_dir()):
        raise SystemStopped(folder)
    return written or {}


def _written(path: Path) -> dict[str, str] | None:
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise EndpointsUnreadable(path, str(error)) from error
    try:
        value = json.loads(text)
    except ValueError as error:
        raise EndpointsUnreadable(path, "it is not JSON") from error
    if not isinstance(value, dict):
        raise EndpointsUnreadable(path, "it is not a map of addresses")
    return {
        service: target
        for service in SERVICES
        if isinstance(target := value.get(service), str) and target
    }
