"""Every setting of the catalog."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from shared.runtime.settings import ServerSettings


class CatalogSettings(ServerSettings):
    """HOLDFAST_* variables of the catalog, beside those of every server."""

    postgres_url: str = Field(
        description="libpq URL of the catalog's own database, postgresql://user@host/catalog"
    )
    postgres_connections: int = Field(
        default=10,
        ge=1,
        le=1_000,
        description="connections to it at once, beside 4 for watches; more calls wait",
    )
    postgres_pool_timeout_seconds: float = Field(
        default=1.0, gt=0, le=60, description="for a free connection; later, the call is refused"
    )
    postgres_statement_timeout_seconds: float = Field(
        default=3.0, gt=0, le=60, description="for one statement; for a lock, half of it"
    )

    def pool_timeout(self) -> timedelta:
        """How long a call waits for a free connection."""
        return timedelta(seconds=self.postgres_pool_timeout_seconds)

    def statement_timeout(self) -> timedelta:
        """How long a statement may run."""
        return timedelta(seconds=self.postgres_statement_timeout_seconds)
