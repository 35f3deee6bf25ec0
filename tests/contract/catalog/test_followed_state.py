"""Whoever folds the watch of a real catalog knows what whoever begins anew is told."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from shared.catalog.fold import CatalogFold
from shared.catalog.state import CatalogState
from tests.contract.catalog.caller import Caller
from tests.contract.catalog.walk import KEYS, Walk


@pytest.mark.parametrize("seed", range(3))
async def test_a_state_folded_from_changes_is_the_one_told_anew(catalog: Caller, seed: int) -> None:
    walk = Walk([catalog], seed)
    watching, fold = catalog.watch(), CatalogFold(CatalogState)
    try:
        while not fold.take(await watching.read()):
            continue
        for _ in range(6):
            await walk.steps(12)
            fresh = await told_anew(catalog)
            while fold.state is None or fold.state.version < fresh.version:
                message = await watching.read()
                assert message is not grpc.aio.EOF
                fold.take(message)

            assert facts(fold.state) == facts(fresh)
    finally:
        watching.cancel()


async def told_anew(catalog: Caller) -> CatalogState:
    watching, fold = catalog.watch(), CatalogFold(CatalogState)
    try:
        while not fold.take(await watching.read()):
            continue
    finally:
        watching.cancel()
    assert fold.state is not None
    return fold.state


def facts(state: CatalogState) -> dict[str, Any]:
    """All that it knows; when hours changed, a state told anew cannot know."""
    bases = [state.basis(one, other) for one in KEYS for other in KEYS]
    return {
        "version": state.version,
        "resources": state.resources,
        "event types": state.event_types,
        "bases": [basis._replace(hours=basis.hours._replace(version=0)) for basis in bases],
        "links": [(state.booked_by(key), state.booking(key)) for key in KEYS],
    }
