"""Where holds lie: fixed for ever, and spread evenly."""

from __future__ import annotations

from collections import Counter

import pytest

from services.presence.domain.hold import Holder
from services.presence.storage.layout import PARTITIONS, holder_key, holds_key, partition


@pytest.mark.parametrize(
    ("resource_id", "number"), [("studio-a", 35), ("studio-b", 25), ("keyboard-fp88", 8)]
)
def test_a_resource_stays_in_its_partition(resource_id: str, number: int) -> None:
    assert partition("demo", resource_id) == number


def test_resources_spread_over_all_partitions() -> None:
    found = Counter(partition("demo", f"room-{number}") for number in range(64 * 100))

    assert len(found) == PARTITIONS
    assert max(found.values()) < 200


def test_keys_of_a_partition_share_its_hash_tag() -> None:
    number = partition("demo", "studio-a")

    keys = (holds_key("demo", "studio-a"), holder_key(number, Holder("demo", "f" * 32)))

    assert keys == (
        f"holdfast:{{presence-{number}}}:holds:demo/studio-a",
        f"holdfast:{{presence-{number}}}:holder:demo/{'f' * 32}",
    )
