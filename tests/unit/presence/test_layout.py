"""Where holds lie: fixed for ever, and spread evenly."""

from __future__ import annotations

from collections import Counter

import pytest

from services.presence.domain.hold import Holder, ResourceName
from services.presence.storage.layout import (
    PARTITIONS,
    holder_key,
    holds_key,
    named_resource,
    partition,
    partition_keys,
    resource_name,
)

STUDIO = ResourceName("demo", "studio-a")


@pytest.mark.parametrize(
    ("resource_id", "number"), [("studio-a", 35), ("studio-b", 25), ("keyboard-fp88", 8)]
)
def test_a_resource_stays_in_its_partition(resource_id: str, number: int) -> None:
    assert partition(ResourceName("demo", resource_id)) == number


def test_resources_spread_over_all_partitions() -> None:
    found = Counter(partition(ResourceName("demo", f"room-{number}")) for number in range(64 * 100))

    assert len(found) == PARTITIONS
    assert max(found.values()) < 200


def test_keys_of_a_partition_share_its_hash_tag() -> None:
    number = partition(STUDIO)
    tag = f"holdfast:{{presence-{number}}}"

    keys = (
        holds_key(STUDIO), holder_key(number, Holder("demo", "f" * 32)), *partition_keys(number)
    )  # fmt: skip

    assert keys == (
        f"{tag}:holds:demo/studio-a",
        f"{tag}:holder:demo/{'f' * 32}",
        f"{tag}:head",
        f"{tag}:due",
        f"{tag}:log",
    )


def test_a_resource_is_found_by_its_name() -> None:
    assert named_resource(resource_name(STUDIO)) == STUDIO
