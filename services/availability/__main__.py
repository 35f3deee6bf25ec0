"""``python -m services.availability [migrate]``: serves until it is told to stop."""

from __future__ import annotations

from shared.runtime import poller

if __name__ == "__main__":
    poller.choose()
    # All of these import gRPC.
    from services.availability.bootstrap import NAME, migrate, wired
    from services.availability.settings import AvailabilitySettings
    from shared.runtime.program import run

    run(NAME, AvailabilitySettings, wired, migrate=migrate)
