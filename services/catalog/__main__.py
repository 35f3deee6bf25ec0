"""``python -m services.catalog``: serves the catalog; with ``migrate``, readies its database."""

from __future__ import annotations

from shared.runtime import poller

if __name__ == "__main__":
    poller.choose()
    # All of these import gRPC.
    from services.catalog.bootstrap import NAME, migrate, wired
    from services.catalog.settings import CatalogSettings
    from shared.runtime.program import run

    run(NAME, CatalogSettings, wired, migrate=migrate)
