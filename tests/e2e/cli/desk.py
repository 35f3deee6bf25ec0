"""Somebody who works with the command."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from shared.client.cli.main import run
from tests.e2e.running import HOLDFAST, environment

# More than a change of the catalog takes to reach the other services.
_PATIENCE_SECONDS = 5.0


class Done(NamedTuple):
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Desk:
    """Somebody who works for one organization.

    ``run`` starts the program; the others call it in this process, which is many times faster:
    every command is run both ways.
    """

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def organization(self) -> str:
        """Whose bookings these are."""
        return self.variables["HOLDFAST_ORGANIZATION"]

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs ``holdfast`` with these arguments."""
        return subprocess.run(
            [HOLDFAST, *arguments],
            cwd=self.folder,
            env=environment({**self.variables, **variables}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def call(self, *arguments: str) -> Done:
        """Does the same in this process."""
        streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2)]
        out, err = streams
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(arguments, self.variables)
        for stream in streams:
            stream.seek(0)
        with out, err:
            return Done(code, out.read(), err.read())

    def ok(self, *arguments: str) -> str:
        """Returns a command's result; it must succeed."""
        done = self.call(*arguments)
        assert done.code == 0, done.err
        return done.out

    def json(self, *arguments: str) -> Any:
        """Returns a command's result as JSON; it must succeed."""
        return json.loads(self.ok("-o", "json", *arguments))

    def soon(self, *arguments: str, fact: Callable[[Any], object] = lambda _found: True) -> Any:
        """Returns a result as JSON as soon as the command succeeds and its result is so.

        Changes of the catalog take up to a second to reach the other services.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            done = self.call("-o", "json", *arguments)
            found = json.loads(done.out) if done.code == 0 else None
            if done.code == 0 and fact(found):
                return found
            assert time.monotonic() < deadline, done
            time.sleep(0.05)

    def refused(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Returns a command's exit code and error; it must not succeed."""
        done = self.call("-o", "json", *arguments)
        assert done.out == ""
        error: dict[str, Any] = json.loads(done.err)["error"]
        assert error["exit_code"] == done.code
        return done.code, error
