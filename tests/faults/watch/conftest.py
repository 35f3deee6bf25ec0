"""Two presences in this process on a real store: what a test breaks in one, it breaks in both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

import pytest

from services.presence.settings import PresenceSettings
from tests.contract.presence.catalog import Catalog, running_catalog
from tests.contract.presence.conftest import served

_PATIENT_SECONDS = 10


class Pair(NamedTuple):
    """Where both answer, and their store."""

    targets: list[str]
    url: str


Serve = Callable[..., AbstractAsyncContextManager[Pair]]


@pytest.fixture
def serve_pair(valkey_url: str) -> Serve:
    """``serve_pair(**settings)``: to be called once the test has broken them."""

    @asynccontextmanager
    async def with_settings(**changes: object) -> AsyncIterator[Pair]:
        async with running_catalog(Catalog()) as address:
            settings = PresenceSettings.model_validate(
                {
                    "redis_url": valkey_url,
                    "catalog_address": address,
                    "catalog_timeout_seconds": _PATIENT_SECONDS,
                    "redis_timeout_seconds": _PATIENT_SECONDS,
                    "watch_patience_seconds": _PATIENT_SECONDS,
                }
                | changes
            )
            async with served(settings) as one, served(settings) as other:
                yield Pair([one.address, other.address], valkey_url)

    return with_settings
