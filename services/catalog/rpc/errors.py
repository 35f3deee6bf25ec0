"""The total table of the catalog's refusals; the kit adds its own rows."""

from __future__ import annotations

from types import MappingProxyType

from grpc import StatusCode

from services.catalog.domain.failure import (
    IdTaken,
    NotDeleted,
    NotFound,
    ScheduleInUse,
    SlugTaken,
    StaleEtag,
    TooManyOverrides,
)
from shared.runtime.status import ErrorTable

ERRORS: ErrorTable = MappingProxyType(
    {
        NotFound: (StatusCode.NOT_FOUND, "NOT_FOUND"),
        IdTaken: (StatusCode.ALREADY_EXISTS, "ID_TAKEN"),
        SlugTaken: (StatusCode.ALREADY_EXISTS, "SLUG_TAKEN"),
        StaleEtag: (StatusCode.ABORTED, "STALE_ETAG"),
        ScheduleInUse: (StatusCode.FAILED_PRECONDITION, "IN_USE"),
        NotDeleted: (StatusCode.FAILED_PRECONDITION, "INVALID_STATE"),
        TooManyOverrides: (StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    }
)
