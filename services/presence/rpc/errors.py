"""The total table of presence's refusals; the kit adds its own rows."""

from __future__ import annotations

from types import MappingProxyType

from grpc import StatusCode

from services.presence.domain.refusal import (
    EventTypeNotFound,
    HoldEnded,
    HoldTooLong,
    ResourceNotFound,
    SlotHeld,
    StartOffGrid,
    TooManyHolds,
)
from shared.runtime.status import ErrorTable

ERRORS: ErrorTable = MappingProxyType(
    {
        StartOffGrid: (StatusCode.INVALID_ARGUMENT, "OFF_GRID"),
        ResourceNotFound: (StatusCode.NOT_FOUND, "NOT_FOUND"),
        EventTypeNotFound: (StatusCode.NOT_FOUND, "NOT_FOUND"),
        HoldTooLong: (StatusCode.RESOURCE_EXHAUSTED, "HOLD_TOO_LONG"),
        HoldEnded: (StatusCode.FAILED_PRECONDITION, "HOLD_ENDED"),
        SlotHeld: (StatusCode.FAILED_PRECONDITION, "SLOT_HELD"),
        TooManyHolds: (StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_HOLDS"),
    }
)
