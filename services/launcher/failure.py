"""Why a start or a run ended, each said in one message for a person."""

from __future__ import annotations

from pathlib import Path


class LauncherError(Exception):
    """The system cannot run; the text says why and what to do."""


class AlreadyRunning(LauncherError):
    """Another launcher works on the data folder."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"the system is already running on the data in {folder} ({holder}): use that one, stop"
            " it, or start another with its own --data and ports"
        )


class PortTaken(LauncherError):
    """Another program listens where a service should."""

    def __init__(self, service: str, address: str, why: str) -> None:
        port = address.rpartition(":")[2]
        super().__init__(
            f"port {port} for {service} cannot be used on this machine ({why}): choose another with"
            f" --{service}-port PORT (0 is any free one) or HOLDFAST_{service.upper()}_ADDRESS"
        )


class ClockRefused(LauncherError):
    """HOLDFAST_CLOCK_START is malformed, or does not fit the data or the listeners."""


class StoreUnreachable(LauncherError):
    """The server named by HOLDFAST_POSTGRES_URL or HOLDFAST_REDIS_URL does not answer."""

    def __init__(self, variable: str, fact: str) -> None:
        super().__init__(f"the server that {variable} names cannot be used: {fact}")


class DatabasesMissing(LauncherError):
    """The embedded PostgreSQL runs and does not create the services' databases."""

    def __init__(self, fact: str, log: Path) -> None:
        super().__init__(f"PostgreSQL did not create the databases: {fact} (see {log})")


class ChildEnded(LauncherError):
    """A part of the system ended by itself, or never got ready."""

    def __init__(self, name: str, fact: str, log: Path, last_lines: str) -> None:
        module = _missing_module(last_lines)
        if module:
            ending = f": {module} is missing here; make clean run makes the environment anew"
        elif last_lines:
            ending = f"; the end of {log}:\n{last_lines}"
        else:
            ending = f"; {log} is empty"
        super().__init__(f"{name} {fact}{ending}")
        self.name = name


class DemoDataRefused(LauncherError):
    """The demo data could not be loaded."""

    def __init__(self, fact: str) -> None:
        super().__init__(f"the demo data could not be loaded: {fact}")


def _missing_module(lines: str) -> str:
    last = lines.strip().splitlines()[-1] if lines.strip() else ""
    if last.startswith("ModuleNotFoundError: No module named "):
        return last.partition("named ")[2].strip("'")
    return ""
