"""The total table of availability's refusals; the kit adds its own rows."""

from __future__ import annotations

from types import MappingProxyType

from grpc import StatusCode

from services.availability.domain.refusal import (
    Contended,
    DurationNotOffered,
    IdTaken,
    Inactive,
    InUse,
    InvalidState,
    NotAllowed,
    NotAPool,
    NotFound,
    NotLinked,
    NotOfferedStart,
    NotStandalone,
    NotStarted,
    OffGrid,
    OutsideSchedule,
    SlotHeld,
    SlotUnavailable,
    TokenExpired,
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
        SlotHeld: (StatusCode.FAILED_PRECONDITION, "SLOT_HELD"),
        SlotUnavailable: (StatusCode.FAILED_PRECONDITION, "SLOT_UNAVAILABLE"),
        InvalidState: (StatusCode.FAILED_PRECONDITION, "INVALID_STATE"),
        NotStarted: (StatusCode.FAILED_PRECONDITION, "INVALID_STATE"),
        InUse: (StatusCode.FAILED_PRECONDITION, "IN_USE"),
        NotAPool: (StatusCode.FAILED_PRECONDITION, "NOT_A_POOL"),
        NotAllowed: (StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"),
        TokenExpired: (StatusCode.OUT_OF_RANGE, "TOKEN_EXPIRED"),
        Contended: (StatusCode.ABORTED, "CONTENDED"),
    }
)
