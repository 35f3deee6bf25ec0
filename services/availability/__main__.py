"""``python -m services.availability [migrate]``: serves until it is told to stop."""

from __future__ import annotations

from services.availability.bootstrap import NAME, migrate, wired
from services.availability.settings import AvailabilitySettings
from shared.runtime.program import run

if __name__ == "__main__":
    run(NAME, AvailabilitySettings, wired, migrate=migrate)
