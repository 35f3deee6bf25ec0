"""Finds out how resources are held that somebody holds already."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from services.presence.app.port import HoldRules
from services.presence.domain.hold import UNKNOWN_RULE, ResourceName, ResourceRule
from services.presence.domain.refusal import ResourceNotFound


async def rules_of(
    rules: HoldRules, resources: Iterable[ResourceName]
) -> dict[ResourceName, ResourceRule]:
    """Finds out how resources are held; of one that is gone that is not known any more."""

    async def ask(name: ResourceName) -> ResourceRule:
        try:
            return rules.known(*name) or await rules.ask(*name)
        except ResourceNotFound:
            return UNKNOWN_RULE

    names = list(resources)
    return dict(zip(names, await asyncio.gather(*map(ask, names)), strict=True))
