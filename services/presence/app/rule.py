"""Finds out how resources are held that somebody holds already."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from services.presence.app.port import HoldRules
from services.presence.domain.hold import HoldRule, ResourceName
from services.presence.domain.refusal import ResourceNotFound


async def rules_of(
    rules: HoldRules, resources: Iterable[ResourceName]
) -> dict[ResourceName, HoldRule]:
    """Finds out how resources are held; one that is gone counts as exclusive to its end."""

    async def ask(name: ResourceName) -> HoldRule:
        try:
            return (rules.known(*name) or await rules.ask(*name)).rule
        except ResourceNotFound:
            return HoldRule.EXCLUSIVE

    names = list(resources)
    return dict(zip(names, await asyncio.gather(*map(ask, names)), strict=True))
