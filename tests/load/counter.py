"""What a server has counted, as Prometheus reads it."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from tests.load.system import Server

HOLD_CHECKS: Final = "holdfast_hold_checks_total"
_SECONDS: Final = 5


def counted(server: Server, name: str, label: str) -> Mapping[str, int]:
    """Returns the values of a counter by one of its labels.

    Raises:
        OSError: The server does not tell.
    """
    with urllib.request.urlopen(f"http://{server.metrics}/metrics", timeout=_SECONDS) as answer:
        text = answer.read().decode()
    return {
        sample.labels[label]: int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }
