"""One system for all tests of the command, and an organization of its own for each."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.client.address import find_addresses
from shared.client.client import Client
from shared.client.demo import load_demo
from tests.e2e.cli.desk import Desk
from tests.e2e.running import Running, system

# The dates in the tests lie ahead of it, whenever the tests run.
_CLOCK_START = "2027-03-01T08:00:00Z"


@pytest.fixture(scope="session")
def town() -> Iterator[Running]:
    """A whole system whose clock began on 1 March 2027."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-test-"))
    variables = {
        "HOLDFAST_ADMINISTRATION": "1",
        "HOLDFAST_CLOCK_START": _CLOCK_START,
        # A machine that is busy with other tests must not let a booking pass unchecked.
        "HOLDFAST_HOLD_CHECK_MILLISECONDS": "1000",
        "HOLDFAST_THROWAWAY_DATA": "1",
    }
    with system(folder / "data", variables=variables) as running:
        yield running
        running.stop()
    shutil.rmtree(folder)


@pytest.fixture
def empty_desk(town: Running, tmp_path: Path) -> Desk:
    """Somebody whose organization has nothing yet."""
    organization = f"org-{uuid.uuid4().hex}"
    return Desk(tmp_path, {"HOLDFAST_DATA": str(town.data), "HOLDFAST_ORGANIZATION": organization})


@pytest.fixture
def desk(empty_desk: Desk) -> Desk:
    """Somebody whose organization has the demo data."""

    async def load() -> None:
        addresses = find_addresses({}, empty_desk.variables, empty_desk.folder)
        async with Client(addresses, empty_desk.organization) as client:
            await load_demo(client)

    asyncio.run(load())  # a process for it would take longer than most tests
    return empty_desk
