"""Every setting of presence."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from services.presence.domain.hold import HoldTerms
from services.presence.upstream.question import Memory
from shared.runtime.settings import ServerSettings


class PresenceSettings(ServerSettings):
    """HOLDFAST_* variables of presence, beside those of every server."""

    redis_url: str = Field(description="redis://, rediss:// or unix:// of a Redis or Valkey")
    redis_connections: int = Field(32, ge=1, description="to the store at once; more calls wait")
    redis_timeout_seconds: float = Field(
        0.5, gt=0, le=10, description="for a connection to the store, and again for its answer"
    )
    catalog_address: str = Field(description="host:port of the catalog, or another gRPC target")
    catalog_timeout_seconds: float = Field(
        0.2, gt=0, le=10, description="for its answer; later, the resource counts as exclusive"
    )
    catalog_fresh_seconds: float = Field(
        60.0, ge=0, description="until a change of a resource's hold policy is noticed"
    )
    catalog_doubtful_seconds: float = Field(
        1.0,
        ge=0,
        description="until an unknown resource, or a silent catalog, is asked after again",
    )
    catalog_entries: int = Field(50_000, ge=1, description="resources remembered at most")
    hold_timeout_seconds: float = Field(
        10.0, ge=0.1, le=3600, description="how long a hold outlives its last heartbeat"
    )
    holds_per_resource: int = Field(
        4, ge=1, le=100, description="live holds of one session on one resource"
    )
    sweep_interval_seconds: float = Field(
        0.25, ge=0.01, le=0.5, description="between two looks for holds that ended"
    )
    hold_log_length: int = Field(
        10_000, ge=1, description="changes that each of the store's 64 partitions remembers"
    )
    watch_patience_seconds: float = Field(
        2.0, gt=0, le=60, description="of watches with a silent store; then they end"
    )
    watch_linger_seconds: float = Field(
        10.0, ge=0, description="a resource is followed on after its last watcher left"
    )

    def terms(self) -> HoldTerms:
        """On which terms holds are given."""
        return HoldTerms(timedelta(seconds=self.hold_timeout_seconds), self.holds_per_resource)

    def memory(self) -> Memory:
        """For how long the catalog's answers count."""
        return Memory(
            fresh=timedelta(seconds=self.catalog_fresh_seconds),
            doubtful=timedelta(seconds=self.catalog_doubtful_seconds),
            patience=timedelta(seconds=self.catalog_timeout_seconds),
            entries=self.catalog_entries,
        )

    def sweep_interval(self) -> timedelta:
        """Between two sweeps, on average."""
        return timedelta(seconds=self.sweep_interval_seconds)

    def watch_patience(self) -> timedelta:
        """How long watches wait for a silent store."""
        return timedelta(seconds=self.watch_patience_seconds)

    def watch_linger(self) -> timedelta:
        """How long a resource is followed on after its last watcher left."""
        return timedelta(seconds=self.watch_linger_seconds)
