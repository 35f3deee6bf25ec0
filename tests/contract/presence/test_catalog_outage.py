"""What presence asks the catalog, and what it does without an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import grpc
import pytest

from holdfast.catalog.v1.resource_pb2 import HOLD_POLICY_ADVISORY
from services.presence.domain.hold import HoldRule, ResourceRule
from services.presence.domain.refusal import ResourceNotFound
from services.presence.upstream.catalog import CatalogRules
from services.presence.upstream.question import Memory
from shared.runtime import log
from shared.runtime.deadline import begin
from tests.contract.presence.catalog import Catalog, running_catalog
from tests.contract.presence.client import (
    Client,
    new_session,
    refusal,
    until,
)
from tests.contract.presence.conftest import Serve

MINUTE = timedelta(minutes=1)


async def test_without_an_answer_a_resource_counts_as_exclusive(
    client: Client, catalog: Catalog
) -> None:
    catalog.know("studio-a", hold_policy=HOLD_POLICY_ADVISORY)
    catalog.fails_with = grpc.StatusCode.UNAVAILABLE
    await client.heartbeat(new_session())

    refused = await refusal(client.heartbeat(new_session()))

    assert refused.reason == "SLOT_HELD"


async def test_a_catalog_that_does_not_answer_delays_a_hold_by_its_patience_at_most(
    serve: Serve, catalog: Catalog
) -> None:
    catalog.answers.clear()

    async with serve(catalog_timeout_seconds=0.05) as client:
        async with asyncio.timeout(2):
            await client.heartbeat(new_session())
            await catalog.was_asked.wait()

        assert catalog.asked == ["studio-a"]


async def test_a_catalog_that_does_not_answer_leaves_a_hurried_caller_its_hold(
    serve: Serve, catalog: Catalog
) -> None:
    catalog.answers.clear()

    async with serve(catalog_timeout_seconds=10) as client:
        async with asyncio.timeout(5):
            await client.heartbeat(new_session(), timeout=2)

        assert len(await client.holds()) == 1


async def test_without_a_catalog_at_all_holds_are_granted(serve: Serve) -> None:
    async with serve(catalog_address="127.0.0.1:1") as client:
        await client.heartbeat(new_session())

        assert len(await client.holds()) == 1


async def test_an_old_answer_counts_while_there_is_no_new_one(
    serve: Serve, catalog: Catalog
) -> None:
    catalog.know("studio-a", hold_policy=HOLD_POLICY_ADVISORY)

    async with serve(catalog_fresh_seconds=0) as client:
        await client.heartbeat(new_session())
        catalog.fails_with = grpc.StatusCode.UNAVAILABLE
        await client.heartbeat(new_session())

        assert len(await client.holds()) == 2


async def test_a_change_counts_once_the_old_answer_is_not_fresh(
    serve: Serve, catalog: Catalog
) -> None:
    async with serve(catalog_fresh_seconds=0) as client:
        await client.heartbeat(new_session())
        catalog.know("studio-a", pool=True)

        await client.heartbeat(new_session())


async def test_a_renewal_asks_nobody(serve: Serve, catalog: Catalog) -> None:
    session = new_session()
    async with serve(catalog_fresh_seconds=0) as client:
        await client.heartbeat(session)
        asked = len(catalog.asked)

        for _ in range(5):
            await client.heartbeat(session)

    assert len(catalog.asked) == asked == 1


async def test_a_renewal_goes_on_after_the_resource_is_gone(serve: Serve, catalog: Catalog) -> None:
    session = new_session()
    async with serve(catalog_fresh_seconds=0, catalog_doubtful_seconds=60) as client:
        await client.heartbeat(session)
        catalog.unknown.add("studio-a")
        await refusal(client.heartbeat(new_session()))

        await client.heartbeat(session)


async def test_a_renewal_goes_on_after_the_resource_became_exclusive(
    serve: Serve, catalog: Catalog
) -> None:
    catalog.know("studio-a", hold_policy=HOLD_POLICY_ADVISORY)
    session = new_session()
    async with serve(catalog_fresh_seconds=0) as client:
        await client.heartbeat(session)
        await client.heartbeat(new_session())
        catalog.know("studio-a")
        await refusal(client.heartbeat(new_session()))

        await client.heartbeat(session)


async def test_calls_at_once_share_one_question(serve: Serve, catalog: Catalog) -> None:
    catalog.answers.clear()
    catalog.know("studio-a", pool=True)

    async with serve(catalog_timeout_seconds=10) as client:
        calls = [asyncio.ensure_future(client.heartbeat(new_session())) for _ in range(20)]
        await catalog.was_asked.wait()
        # A call of another kind answers after all twenty have reached their question.
        await client.holds()
        catalog.answers.set()
        await asyncio.gather(*calls)

    assert catalog.asked == ["studio-a"]


async def test_an_unknown_resource_is_asked_after_again_soon(
    serve: Serve, catalog: Catalog
) -> None:
    catalog.unknown.add("studio-a")
    async with serve(catalog_doubtful_seconds=0) as client:
        await refusal(client.heartbeat(new_session()))
        catalog.unknown.clear()

        await client.heartbeat(new_session())


async def test_an_unknown_resource_is_not_asked_after_by_every_call(
    serve: Serve, catalog: Catalog
) -> None:
    catalog.unknown.add("studio-a")
    async with serve(catalog_doubtful_seconds=60) as client:
        for _ in range(3):
            await refusal(client.heartbeat(new_session()))

    assert catalog.asked == ["studio-a"]


async def test_a_catalog_that_comes_back_is_asked_again(serve: Serve, catalog: Catalog) -> None:
    catalog.know("studio-a", pool=True)
    async with running_catalog(catalog) as address:
        pass
    changes = {"catalog_address": address, "catalog_doubtful_seconds": 0}
    async with serve(**changes) as client:
        await client.heartbeat(new_session())
        await refusal(client.heartbeat(new_session()))

        async with running_catalog(catalog, address), asyncio.timeout(10):
            rival = new_session()
            await until(lambda: _is_granted(client, rival), poll_seconds=0.02)


async def test_the_resource_unused_for_longest_is_forgotten_first(
    catalog: Catalog, catalog_address: str
) -> None:
    memory = Memory(fresh=MINUTE, doubtful=MINUTE, patience=MINUTE, entries=2)
    async with rules_of(catalog_address, memory) as rules:
        await rules.ask("org", "first")
        await rules.ask("org", "second")
        rules.known("org", "first")
        await rules.ask("org", "third")

        kept = [rules.known("org", name) for name in ("first", "second", "third")]

    exclusive = ResourceRule(HoldRule.EXCLUSIVE, None)
    assert kept == [exclusive, None, exclusive]


async def test_who_asked_first_may_go_away_and_the_others_get_their_answer(
    catalog: Catalog, catalog_address: str
) -> None:
    catalog.answers.clear()
    catalog.know("studio-a", pool=True)
    memory = Memory(fresh=MINUTE, doubtful=MINUTE, patience=MINUTE, entries=2)
    async with rules_of(catalog_address, memory) as rules:
        first, second = (asyncio.ensure_future(rules.ask("org", "studio-a")) for _ in range(2))
        await catalog.was_asked.wait()

        first.cancel()
        catalog.answers.set()

        assert (await second).rule is HoldRule.POOL
    assert catalog.asked == ["studio-a"]


async def test_closing_ends_the_questions_in_flight(catalog: Catalog, catalog_address: str) -> None:
    catalog.answers.clear()
    memory = Memory(fresh=MINUTE, doubtful=MINUTE, patience=MINUTE, entries=2)
    async with rules_of(catalog_address, memory) as rules:
        asking = asyncio.ensure_future(rules.ask("org", "studio-a"))
        await catalog.was_asked.wait()

        await rules.close()

        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_names_of_two_organizations_are_kept_apart(
    catalog: Catalog, catalog_address: str
) -> None:
    memory = Memory(fresh=MINUTE, doubtful=MINUTE, patience=MINUTE, entries=9)
    async with rules_of(catalog_address, memory) as rules:
        await rules.ask("org-a", "studio-a")
        catalog.unknown.add("studio-a")

        with pytest.raises(ResourceNotFound):
            await rules.ask("org-b", "studio-a")


async def test_the_catalog_is_asked_in_the_name_of_who_asked_first(
    catalog: Catalog, catalog_address: str
) -> None:
    memory = Memory(fresh=MINUTE, doubtful=MINUTE, patience=MINUTE, entries=9)
    async with rules_of(catalog_address, memory) as rules:
        for name in ("first", "second"):
            log.request_id.set(partial(str, f"request-{name}"))
            await rules.ask("org", name)

    assert catalog.asked_for == ["request-first", "request-second"]


async def test_who_makes_an_organization_followed_is_not_named_for_ever(
    catalog: Catalog, catalog_address: str
) -> None:
    memory = Memory(fresh=MINUTE, doubtful=MINUTE, patience=MINUTE, entries=9)
    found: set[str] = set()

    def clock() -> float:
        if asyncio.current_task() in rules._following.values():
            found.add(log.request_id.get())
        return time.monotonic()

    async with grpc.aio.insecure_channel(catalog_address) as channel:
        rules = CatalogRules(channel, memory, monotonic=clock)
        log.request_id.set(partial(str, "request-first"))
        begin(1)
        await rules.ask("org", "studio-a")
        await rules.close()

    assert found == {""}


@asynccontextmanager
async def rules_of(catalog_address: str, memory: Memory) -> AsyncIterator[CatalogRules]:
    async with grpc.aio.insecure_channel(catalog_address) as channel:
        rules = CatalogRules(channel, memory)
        try:
            yield rules
        finally:
            await rules.close()


async def _is_granted(client: Client, session: str) -> bool:
    return await client.outcome(session) == "granted"
