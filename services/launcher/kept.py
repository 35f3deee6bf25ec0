"""What a launcher remembers beside the data."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

_FILE = "launcher.json"
_IS_SETTLED = "is_settled"  # absent once it is
_EARLIEST_YEAR = 1970
_KEY_FILE = "management.key"
_KEY_BYTES = 32
_ENDPOINTS_FILE = "endpoints.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the first start settled for all later ones.

    Attributes:
        clock_start: HOLDFAST_CLOCK_START as it was given; None for the machine's clock.
        clock_offset_seconds: What is added to the machine's clock.
        demo_loaded_into: The stores that have got the demo data.
    """

    clock_start: str | None = None
    clock_offset_seconds: float = 0.0
    demo_loaded_into: tuple[str, ...] = ()


def read_kept(folder: Path) -> Kept | None:
    """Returns what was kept in the data folder; None before the first start.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not ours.
    """
    path = folder / _FILE
    try:
        found = json.loads(path.read_text("utf-8"))
        if isinstance(found, dict) and not found.pop(_IS_SETTLED, True):
            return None
        _check_offset(found["clock_offset_seconds"])
        return Kept(**{**found, "demo_loaded_into": tuple(found["demo_loaded_into"])})
    except FileNotFoundError:
        return None
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{path} was not written by holdfast, or was damaged") from error


def claim(folder: Path) -> None:
    """Marks the folder as a launcher's before anything is in it, so that it can be wiped."""
    if not (folder / _FILE).exists():
        _write(folder / _FILE, {**asdict(Kept()), _IS_SETTLED: False})


def write_kept(folder: Path, kept: Kept) -> None:
    """Keeps it, whole or not at all."""
    _write(folder / _FILE, asdict(kept))


def management_key(folder: Path) -> str:
    """Returns the key of the system's management tokens, made at the first start.

    Raises:
        OSError: It cannot be kept.
    """
    path = folder / _KEY_FILE
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        key = secrets.token_urlsafe(_KEY_BYTES)
        made = path.with_suffix(".new")
        made.touch(mode=0o600)
        made.write_text(key, "ascii")
        made.rename(path)
        return key


def write_endpoints(folder: Path, targets: dict[str, str]) -> None:
    """Tells the command line where the services listen."""
    _write(folder / _ENDPOINTS_FILE, targets)


def remove_endpoints(folder: Path) -> None:
    """Nothing listens any more."""
    (folder / _ENDPOINTS_FILE).unlink(missing_ok=True)


def _check_offset(seconds: float) -> None:
    shown = datetime.now(UTC) + timedelta(seconds=seconds)
    if shown.year < _EARLIEST_YEAR:
        raise ValueError(seconds)


def _write(path: Path, content: object) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    fresh.replace(path)
