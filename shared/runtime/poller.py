"""Chooses what moves bytes in gRPC. Imports nothing of it: it is chosen when gRPC is imported."""

from __future__ import annotations

import os
from typing import Final

VARIABLE: Final = "GRPC_EXPERIMENTS"
_FEWER_THREADS: Final = "-event_engine_poller_for_python"


def chosen() -> str:
    """Returns what VARIABLE says, else the poller that hands messages to the fewest threads.

    The newer one, which gRPC takes by itself, hands each message over once more each way: a call
    costs about a fifth more CPU.
    """
    return os.environ.get(VARIABLE, _FEWER_THREADS)


def choose() -> None:
    """Makes gRPC take the one that is chosen, once it is imported."""
    os.environ[VARIABLE] = chosen()
