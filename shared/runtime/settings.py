"""Settings that every server has, read from the environment."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.runtime.clock import Clock


class ServerSettings(BaseSettings):
    """Read from HOLDFAST_* variables; a bad value stops the start with its name."""

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", frozen=True, extra="ignore")

    listen: str = Field(
        default="127.0.0.1:0", description="host:port of the gRPC server; port 0 is any"
    )
    metrics_listen: str | None = Field(
        default=None, description="host:port of the Prometheus endpoint; absent is none"
    )
    log_level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least level written"
    )
    clock_offset_seconds: float = Field(
        default=0.0,
        description="added to the host's clock, for tests and demonstrations on loopback",
    )
    migrate: bool = Field(default=False, description="bring the schema up to date, then serve")
    throwaway_data: bool = Field(
        default=False, description="allow stores that may lose acknowledged writes"
    )
    max_concurrent_reads: int = Field(default=1024, ge=1, description="calls; more are refused")
    max_concurrent_writes: int = Field(default=4096, ge=1, description="calls; more are refused")
    max_concurrent_streams: int = Field(
        default=10_000, ge=1, description="streams of each method; more are refused"
    )
    call_timeout_seconds: float = Field(
        default=30.0, gt=0, description="bound of a unary call, and of one that names no deadline"
    )
    slow_call_seconds: float = Field(default=1.0, gt=0, description="a call this long is logged")
    drain_delay_seconds: float = Field(
        default=0.0,
        ge=0,
        description="between NOT_SERVING and refusing new calls, for load balancers",
    )
    drain_seconds: float = Field(
        default=5.0, ge=0, description="for calls in flight to end once new ones are refused"
    )
    reflection: bool = Field(default=False, description="serve gRPC reflection")
    allow_plaintext: bool = Field(
        default=False, description="listen beyond loopback without TLS, behind a mesh or a proxy"
    )

    def clock(self) -> Clock:
        """The clock of this service."""
        return Clock(timedelta(seconds=self.clock_offset_seconds))

    def listens_on_loopback(self) -> bool:
        """Whether every listener is reachable from this machine only."""
        listeners = [self.listen, *([self.metrics_listen] if self.metrics_listen else [])]
        return all(_is_loopback(listener) for listener in listeners)


def _is_loopback(listener: str) -> bool:
    host = listener.rpartition(":")[0].strip("[]")
    return host in {"localhost", "::1"} or host.startswith("127.") or listener.startswith("unix:")
