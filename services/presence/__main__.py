"""``python -m services.presence``: serves holds until it is told to stop."""

from __future__ import annotations

from services.presence.bootstrap import NAME, wired
from services.presence.settings import PresenceSettings
from shared.runtime.program import run

if __name__ == "__main__":
    run(NAME, PresenceSettings, wired)
