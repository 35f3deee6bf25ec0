"""A system that is watched, and people who look at it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from shared.client.address import Address
from shared.client.client import Client
from shared.client.demo import load_demo
from tests.e2e.running import ROOT, SERVICES, Running, environment, system

CLOCK_START = "2027-03-01T08:00:00Z"
_HOLDER = Path(__file__).with_name("holder.py")


@dataclass(frozen=True)
class House:
    """A running system, and where its services tell their metrics."""

    running: Running
    metrics: dict[str, str]

    @property
    def addresses(self) -> dict[str, Address]:
        return {name: Address(at, "the test") for name, at in self.running.targets.items()}

    def calls(self, service: str, method: str) -> int:
        """How many calls of a method ended well."""
        return self._read(service, rf'holdfast_calls_total{{code="OK",method="{method}"}}')

    def open_streams(self, service: str, method: str) -> int:
        """How many streams of a method are open."""
        return self._read(service, rf'holdfast_open_streams{{method="{method}"}}')

    def _read(self, service: str, name: str) -> int:
        with urllib.request.urlopen(f"http://{self.metrics[service]}/metrics") as answer:
            text = answer.read().decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return int(float(found[1])) if found else 0


class Said(NamedTuple):
    """What a holder said of its hold: when, and when the hold then expires."""

    at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Holder:
    """A process that holds."""

    process: subprocess.Popen[str]

    def wait_for(self, state: str) -> Said:
        """Reads until it says this state."""
        assert self.process.stdout is not None
        while not (line := self.process.stdout.readline()).startswith(state):
            assert line, self.process.communicate()[1]
        _, at, expires_at = line.split()
        return Said(*(datetime.fromtimestamp(float(when), UTC) for when in (at, expires_at)))

    def leave(self) -> None:
        """Ends its input, upon which it leaves."""
        assert self.process.stdin is not None
        self.process.stdin.close()


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    folder = Path(tempfile.mkdtemp(prefix="holdfast-test-"))
    metrics = {name: f"127.0.0.1:{_free_port()}" for name in SERVICES}
    variables = {"HOLDFAST_CLOCK_START": CLOCK_START, "HOLDFAST_THROWAWAY_DATA": "1"}
    variables |= {f"HOLDFAST_{name.upper()}_METRICS_LISTEN": at for name, at in metrics.items()}
    with system(folder / "data", variables=variables) as running:
        yield House(running, metrics)
        running.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def organization(house: House) -> str:
    """An organization of the test's own, with the demo data."""
    name = f"org-{uuid.uuid4().hex}"
    async with Client(house.addresses, name) as client:
        await load_demo(client)
    return name


@pytest.fixture
async def viewer(house: House, organization: str) -> AsyncIterator[Client]:
    """Somebody who looks."""
    async with Client(house.addresses, organization) as client:
        yield client


Holding = Callable[[str, datetime, int], AbstractContextManager[Holder]]


@pytest.fixture
def holding(house: House, organization: str) -> Holding:
    """``with holding("studio-a", start, minutes) as holder``: held by a process of its own."""

    @contextmanager
    def hold(resource_id: str, start: datetime, minutes: int) -> Iterator[Holder]:
        arguments = [json.dumps(house.running.targets), organization, resource_id]
        process = subprocess.Popen(
            [sys.executable, _HOLDER, *arguments, start.isoformat(), str(minutes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment({"PYTHONPATH": str(ROOT)}),
        )
        with process:
            try:
                yield Holder(process)
            finally:
                process.kill()

    return hold


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
