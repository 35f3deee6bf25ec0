"""Where holds lie in the store.

Keys fall into a fixed number of partitions by organization and resource. A partition's keys
share one hash tag, so a script that serves one partition works on a cluster, and whatever
counts for all of a partition's holds can lie beside them.

    holdfast:{presence-17}:holds:<organization>/<resource>   hash: one hold a field
    holdfast:{presence-17}:holder:<organization>/<holder>    sorted set: the resources of the
                                                             partition on which it has holds,
                                                             by the expiry of the last one

A hold's field is its holder id, of fixed length, followed by its hold_id; its value is packed by
the scripts. Both keys expire soon after the last hold in them.

The holder's set makes "leave everything" possible without a word to other partitions at each
heartbeat. It is written by the same script call as the hold, so no crash can part the two. The
price is paid by that rare call: it looks for the holder in every partition, in one round trip.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from services.presence.domain.hold import Holder

PARTITIONS: Final = 64


def partition(organization_id: str, resource_id: str) -> int:
    """Returns the partition of a resource: the same in every process, for ever."""
    return crc32(f"{organization_id}/{resource_id}".encode()) % PARTITIONS


def holds_key(organization_id: str, resource_id: str) -> str:
    """Returns the key of a resource's holds."""
    tag = _tag(partition(organization_id, resource_id))
    return f"{tag}:holds:{organization_id}/{resource_id}"


def holder_key(number: int, holder: Holder) -> str:
    """Returns the key of a holder's resources in one partition."""
    return f"{_tag(number)}:holder:{holder.organization_id}/{holder.holder_id}"


def _tag(number: int) -> str:
    return f"holdfast:{{presence-{number}}}"
