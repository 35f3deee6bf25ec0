"""The total table of availability's refusals; the kit adds its own rows."""

from __future__ import annotations

from types import MappingProxyType

from grpc import StatusCode

from services.availability.domain.refusal import (
    Contended,
    DurationNotOffered,
    IdTaken,
    Inactive,
    InvalidState,
    NotFound,
    NotLinked,
    NotOfferedStart,
    NotStandalone,
    OffGrid,
    OutsideSchedule,
    SlotUnavailable,
    TooFar,
    TooSoon,
)
from shared.runtime.status import ErrorTable

ERRORS: ErrorTable = MappingProxyType(
    {
        OffGrid: (StatusCode.INVALID_ARGUMENT, "OFF_GRID"),
        NotFound: (StatusCode.NOT_FOUND, "NOT_FOUND"),
        IdTaken: (StatusCode.ALREADY_EXISTS, "ID_TAKEN"),
        Inactive: (StatusCode.FAILED_PRECONDITION, "INACTIVE"),
        NotLinked: (StatusCode.FAILED_PRECONDITION, "NOT_LINKED"),
        NotStandalone: (StatusCode.FAILED_PRECONDITION, "NOT_STANDALONE"),
        DurationNotOffered: (StatusCode.FAILED_PRECONDITION, "DURATION_NOT_OFFERED"),
        OutsideSchedule: (StatusCode.FAILED_PRECONDITION, "OUTSIDE_SCHEDULE"),
        NotOfferedStart: (StatusCode.FAILED_PRECONDITION, "NOT_OFFERED_START"),
        TooSoon: (StatusCode.FAILED_PRECONDITION, "TOO_SOON"),
        TooFar: (StatusCode.FAILED_PRECONDITION, "TOO_FAR"),
        SlotUnavailable: (StatusCode.FAILED_PRECONDITION, "SLOT_UNAVAILABLE"),
        InvalidState: (StatusCode.FAILED_PRECONDITION, "INVALID_STATE"),
        Contended: (StatusCode.ABORTED, "CONTENDED"),
    }
)
