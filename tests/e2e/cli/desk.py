"""Somebody who works with the command."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from shared.client.cli.main import run
from tests.e2e.running import HOLDFAST, environment


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

    def refused(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Returns a command's exit code and error; it must not succeed."""
        done = self.call("-o", "json", *arguments)
        assert done.out == ""
        error: dict[str, Any] = json.loads(done.err)["error"]
        assert error["exit_code"] == done.code
        return done.code, error
