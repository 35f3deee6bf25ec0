"""Every setting of availability."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, SecretStr

from services.availability.app.organization_days import DayFeedTerms
from services.availability.domain.management_token import ManagementTokens
from shared.runtime.settings import ServerSettings


class AvailabilitySettings(ServerSettings):
    """HOLDFAST_* variables of availability, beside those of every server."""

    postgres_url: str = Field(description="libpq URL of this service's own database")
    postgres_connections: int = Field(
        default=10,
        ge=1,
        le=200,
        description="most at once, beside four that follow changes; further statements wait",
    )
    postgres_timeout_seconds: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="for a free connection, for a lock, and for a statement",
    )
    catalog_address: str = Field(description="host:port of the catalog, or another gRPC target")
    catalog_fresh_seconds: float = Field(
        default=1.0,
        ge=0,
        le=60,
        description="how long an answer counts while the catalog is not followed; 0 asks it every"
        " time and never follows it",
    )
    catalog_timeout_seconds: float = Field(
        default=1.0, gt=0, le=60, description="how long an answer of the catalog is waited for"
    )
    presence_address: str = Field(
        default="",
        description="host:port of presence, or another gRPC target; empty: bookings are not checked"
        " against holds, and end none",
    )
    hold_check_milliseconds: float = Field(
        default=50.0,
        gt=0,
        le=1_000,
        description="how long a booking waits to be told what others hold; then it goes on without",
    )
    redis_url: str | None = Field(
        default=None,
        description="redis://, rediss:// or unix:// of a Redis or Valkey through which servers tell"
        " one another of changes; absent, they only look every poll",
    )
    management_key: SecretStr = Field(
        min_length=32,
        description="at least 32 random characters, the same for every server: makes the tokens"
        " with which bookers manage their bookings",
    )
    administration: bool = Field(
        default=False,
        description="trust every caller as an administrator: overrides of rules, and blocks",
    )
    catalog_stale_seconds: float = Field(
        default=900.0,
        ge=1,
        description="how long to go on by what is known of a catalog that cannot be asked",
    )
    outbox_retention_hours: float = Field(
        default=168.0, ge=1, description="how long events can be watched after they happened"
    )
    ledger_queue: int = Field(
        default=4_096, ge=1, description="bookings that may wait to be decided; more are refused"
    )
    day_poll_seconds: float = Field(
        default=0.5, gt=0, le=0.7, description="between two looks at what other servers changed"
    )
    day_idle_seconds: float = Field(
        default=60.0,
        ge=1,
        description="until an organization that nobody asks for is dropped from memory",
    )
    day_entries: int = Field(
        default=200_000, ge=1, description="days in memory at most, watched ones aside"
    )
    answer_megabytes: float = Field(
        default=128.0,
        ge=0,
        le=1_000_000,
        allow_inf_nan=False,
        description="memory, about, for answers of GetDaySlots, so that the same ones are not"
        " encoded again",
    )

    def day_terms(self) -> DayFeedTerms:
        """How days are kept in memory."""
        return DayFeedTerms(
            poll=timedelta(seconds=self.day_poll_seconds),
            idle=timedelta(seconds=self.day_idle_seconds),
            most=self.day_entries,
        )

    def answer_bytes(self) -> int:
        """How much memory answers of GetDaySlots may take."""
        return int(self.answer_megabytes * 1_000_000)

    def management_tokens(self) -> ManagementTokens:
        """Makes and checks management tokens."""
        return ManagementTokens(self.management_key.get_secret_value().encode())

    def outbox_retention(self) -> timedelta:
        """How long events are kept."""
        return timedelta(hours=self.outbox_retention_hours)

    def hold_check_budget(self) -> timedelta:
        """How long a booking waits to be told what others hold."""
        return timedelta(milliseconds=self.hold_check_milliseconds)

    def postgres_timeout(self) -> timedelta:
        """How long PostgreSQL may take."""
        return timedelta(seconds=self.postgres_timeout_seconds)
