"""``python -m services.presence``: serves holds until it is told to stop."""

from __future__ import annotations

from shared.runtime import poller

if __name__ == "__main__":
    poller.choose()
    # All of these import gRPC.
    from services.presence.bootstrap import NAME, wired
    from services.presence.settings import PresenceSettings
    from shared.runtime.program import run

    run(NAME, PresenceSettings, wired)
