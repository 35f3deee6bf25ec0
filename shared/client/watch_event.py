"""What an iterator over a watch yields, whatever is watched."""

from __future__ import annotations

from enum import Enum


class WatchKind(Enum):
    """What an event says."""

    SNAPSHOT = "SNAPSHOT"  # the state of all, or of what a slow reader had missed changes of
    CHANGES = "CHANGES"  # what changed
    RESET = "RESET"  # the state anew: what changed meanwhile cannot be told
    STALE = "STALE"  # the server is not heard any more: the state is the last that was known
    LIVE = "LIVE"  # it is heard again, and nothing had changed
