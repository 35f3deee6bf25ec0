"""Every setting of availability."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from shared.runtime.settings import ServerSettings


class AvailabilitySettings(ServerSettings):
    """HOLDFAST_* variables of availability, beside those of every server."""

    postgres_url: str = Field(description="libpq URL of this service's own database")
    postgres_connections: int = Field(
        default=10, ge=1, le=200, description="most at once; further statements wait for one"
    )
    postgres_timeout_seconds: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="for a free connection, for a lock, and for a statement",
    )
    catalog_address: str = Field(description="host:port of the catalog, or another gRPC target")
    catalog_fresh_seconds: float = Field(
        default=1.0, ge=0, le=60, description="until a change in the catalog is noticed"
    )

    def postgres_timeout(self) -> timedelta:
        """How long PostgreSQL may take."""
        return timedelta(seconds=self.postgres_timeout_seconds)
