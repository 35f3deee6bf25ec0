"""Which poller gRPC has: chosen before it is imported, and by whoever runs a service."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shared.runtime import poller


def test_the_one_with_fewer_threads_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(poller.VARIABLE)

    poller.choose()

    assert poller.chosen() == "-event_engine_poller_for_python"


@pytest.mark.parametrize("said", ["", "event_engine_dns"])
def test_what_the_environment_says_stays(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(poller.VARIABLE, said)

    poller.choose()

    assert poller.chosen() == said


@pytest.mark.parametrize("service", ["availability", "catalog", "presence"])
def test_it_is_chosen_before_grpc_is_imported(service: str) -> None:
    script = (
        "import runpy, sys\n"
        "from shared.runtime import poller\n"
        "def choose():\n"
        "    sys.exit(7 if 'grpc' in sys.modules else 3)\n"
        "poller.choose = choose\n"
        f"runpy.run_module('services.{service}', run_name='__main__')\n"
    )

    ended = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)

    assert ended.returncode == 3
