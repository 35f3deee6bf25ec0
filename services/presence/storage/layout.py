"""Where holds lie in the store.

Keys fall into a fixed number of partitions by organization and resource. A partition's keys
share one hash tag, so a script that serves one partition works on a cluster, and whatever
counts for all of a partition's holds lies beside them.

    holdfast:{presence-17}:head      hash: epoch and revision, the server that wrote them, and the
                                     instant of the last acquisition
    holdfast:{presence-17}:due       sorted set: "<organization>/<resource>", a line break and the
                                     hold's field, by the instant at which a sweep must see to it
    holdfast:{presence-17}:log       stream: what changed; an entry's id is "<revision>-0"
    holdfast:{presence-17}:holds:<organization>/<resource>   hash: one hold a field
    holdfast:{presence-17}:ended:<organization>/<resource>/<field>   why a hold was ended and,
                                     unless its holder left, its span, for twice the timeout
    holdfast:{presence-17}:settled:<organization>/<resource>/<holder>/<span>/<units>/<commit>
                                     a booking of a pool that has ended its booker's holds, for as
                                     long
    holdfast:{presence-17}:holder:<organization>/<holder>    sorted set: the resources of the
                                     partition on which it has holds, by the expiry of the last

A hold's field is its holder id, of fixed length, followed by its hold_id; its value is packed by
the scripts. A hold's key has no expiry of its own: holds end in the log, never without a word.

The holder's set makes "leave everything" possible without a word to other partitions at each
heartbeat. It is written by the same script call as the hold, so no crash can part the two. The
price is paid by that rare call: it looks for the holder in every partition, in one round trip.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from services.presence.domain.hold import Holder, ResourceName

PARTITIONS: Final = 64


def partition(resource: ResourceName) -> int:
    """Returns the partition of a resource: the same in every process, for ever."""
    return crc32(resource_name(resource).encode()) % PARTITIONS


def resource_name(resource: ResourceName) -> str:
    """Returns a resource's name in keys and in the log; no id contains a slash."""
    return f"{resource.organization_id}/{resource.resource_id}"


def named_resource(name: str) -> ResourceName:
    """Reads a resource's name."""
    organization_id, _, resource_id = name.partition("/")
    return ResourceName(organization_id, resource_id)


def partition_keys(number: int) -> tuple[str, str, str]:
    """Returns the keys that every script of a partition gets: head, due and log."""
    return head_key(number), f"{_tag(number)}:due", log_key(number)


def head_key(number: int) -> str:
    """Returns the key of a partition's epoch and revision."""
    return f"{_tag(number)}:head"


def log_key(number: int) -> str:
    """Returns the key of a partition's changes."""
    return f"{_tag(number)}:log"


def holds_key(resource: ResourceName) -> str:
    """Returns the key of a resource's holds."""
    return f"{_tag(partition(resource))}:holds:{resource_name(resource)}"


def holder_key(number: int, holder: Holder) -> str:
    """Returns the key of a holder's resources in one partition."""
    return f"{_tag(number)}:holder:{holder.organization_id}/{holder.holder_id}"


def _tag(number: int) -> str:
    return f"holdfast:{{presence-{number}}}"
