"""The environment that a service is started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.launcher.console import Console
from services.launcher.options import parse
from services.launcher.service import environment_of
from services.launcher.store import Stores


def environment(name: str = "presence", **inherited: str) -> dict[str, str]:
    options = parse([], inherited, Path("/"))
    stores = Stores(options, Console())
    return environment_of(name, options, options.listeners, stores, 0.0, inherited)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, None), ({"HOLDFAST_POSTGRES_URL": "postgresql://db.example.org/postgres"}, "/pass")],
    ids=["embedded", "given"],
)
def test_variables_of_libpq_are_for_a_given_server_only(
    given: dict[str, str], expected: str | None
) -> None:
    found = environment(**given, PGPASSFILE="/pass", PATH="/bin")

    assert found.get("PGPASSFILE") == expected
    assert found["PATH"] == "/bin"


def test_availability_is_told_whom_to_ask() -> None:
    found = environment(
        "availability",
        HOLDFAST_REDIS_URL="redis://redis.example.org",
        HOLDFAST_POSTGRES_URL="postgresql://db.example.org/postgres",
        HOLDFAST_PRESENCE_ADDRESS="127.0.0.1:9",
        HOLDFAST_MANAGEMENT_KEY="of some length",
    )

    assert found["HOLDFAST_PRESENCE_ADDRESS"] == "127.0.0.1:9"
    assert found["HOLDFAST_CATALOG_ADDRESS"].startswith("127.0.0.1:")
