"""Availability beside the real catalog, and as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import grpc
import pytest

from holdfast.catalog.v1 import (
    catalog_pb2_grpc,
    event_type_pb2,
    link_pb2,
    resource_pb2,
    schedule_pb2,
)
from services.catalog.bootstrap import wired as wired_catalog
from services.catalog.settings import CatalogSettings
from shared.runtime.server import started
from tests.contract.availability.conftest import Serve
from tests.contract.availability.world import (
    HOUR,
    Caller,
    civil,
    length,
    weekly,
    window,
)
from tests.integration.availability.database import settings_for
from tests.integration.catalog.database import migrated_database as migrated_catalog
from tests.stores import PostgresServer

MONDAY = date(2027, 3, 8)
NINE = datetime(2027, 3, 8, 9, tzinfo=UTC)


class RealCatalog:
    """The catalog's own service, for one organization."""

    def __init__(self, channel: grpc.aio.Channel, organization_id: str) -> None:
        self.stub = catalog_pb2_grpc.CatalogServiceStub(channel)
        self._organization_id = organization_id
        self._calls = 0

    def head(self) -> dict[str, str]:
        self._calls += 1
        return {
            "organization_id": self._organization_id,
            "request_id": f"00000000-0000-4000-8000-{self._calls:012}",
        }

    async def fill(self) -> None:
        """Studio A, open on Mondays, bookable for an hour."""
        hours = weekly("UTC", {1: [(540, 1020)]})
        hours.name = "Mondays"
        studio = resource_pb2.Resource(
            resource_id="studio-a",
            name="Studio A",
            type=resource_pb2.RESOURCE_TYPE_ROOM,
            time_zone="UTC",
            schedule_id="hours",
        )
        session = event_type_pb2.EventType(
            event_type_id="session", title="Session", duration_options=[length(HOUR)]
        )
        stub = self.stub
        await stub.CreateSchedule(schedule_pb2.CreateScheduleRequest(**self.head(), schedule=hours))
        await stub.CreateResource(
            resource_pb2.CreateResourceRequest(**self.head(), resource=studio)
        )
        await stub.CreateEventType(
            event_type_pb2.CreateEventTypeRequest(**self.head(), event_type=session)
        )
        await stub.Link(
            link_pb2.LinkRequest(**self.head(), resource_id="studio-a", event_type_id="session")
        )


@pytest.fixture
async def together(
    postgres_server: PostgresServer, serve: Serve
) -> AsyncIterator[tuple[Caller, RealCatalog]]:
    with migrated_catalog(postgres_server) as url:
        settings = CatalogSettings(postgres_url=url, throwaway_data=True)
        async with (
            started(settings, wired_catalog) as catalog,
            grpc.aio.insecure_channel(catalog.address) as channel,
            serve(catalog.address) as caller,
        ):
            known = RealCatalog(channel, caller.organization_id)
            await known.fill()
            yield caller, known


async def test_the_catalogs_offering_decides_and_its_changes_are_followed(
    together: tuple[Caller, RealCatalog],
) -> None:
    caller, catalog = together
    before = await caller.starts(MONDAY)
    booking = await caller.book(before[0])
    override = schedule_pb2.DateOverride(date=civil(MONDAY), windows=[window(600, 780)])

    await catalog.stub.SetDateOverride(
        schedule_pb2.SetDateOverrideRequest(
            **catalog.head(), schedule_id="hours", date_override=override
        )
    )
    overridden = await caller.starts(MONDAY)
    await catalog.stub.Unlink(
        link_pb2.UnlinkRequest(**catalog.head(), resource_id="studio-a", event_type_id="session")
    )
    unlinked = await caller.refused_book(overridden[0])

    assert [start.hour for start in before] == [9, 10, 11, 12, 13, 14, 15, 16]
    assert booking.event_type_title == "Session"
    assert [start.hour for start in overridden] == [10, 11, 12]
    assert unlinked.reason == "NOT_LINKED"


async def test_what_the_catalog_deleted_or_never_had_is_not_found(
    together: tuple[Caller, RealCatalog],
) -> None:
    caller, catalog = together
    await caller.book(NINE, booking_id="mine")
    await catalog.stub.DeleteResource(
        resource_pb2.DeleteResourceRequest(**catalog.head(), resource_id="studio-a")
    )

    slots = await caller.refusal_of("GetDaySlots", caller.slots_request(MONDAY))
    days = await caller.refusal_of("GetDays", caller.question("GetDays", NINE))
    unknown = await caller.refusal_of(
        "GetDaySlots", caller.slots_request(MONDAY, resource_id="nothing")
    )

    gone = {"kind": "resource", "id": "studio-a"}
    assert (slots.code, slots.metadata) == (grpc.StatusCode.NOT_FOUND, gone)
    assert (days.code, days.metadata) == (grpc.StatusCode.NOT_FOUND, gone)
    assert unknown.metadata == {"kind": "resource", "id": "nothing"}
    assert (await caller.cancel("mine")).booking_id == "mine"


async def run(url: str, *arguments: str, **variables: str) -> tuple[int | None, list[str]]:
    """Runs the service's own command to its end: exit code, lines of stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.availability",
        *arguments,
        env=os.environ
        | {
            "HOLDFAST_POSTGRES_URL": url,
            "HOLDFAST_CATALOG_ADDRESS": "127.0.0.1:1",
            "HOLDFAST_MANAGEMENT_KEY": "a key that only tests know, 32 long",
        }
        | variables,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    return process.returncode, errors.decode().splitlines()


async def test_data_that_may_be_lost_stops_the_start_in_one_line(availability_url: str) -> None:
    code, lines = await run(availability_url)

    (line,) = lines
    cause = json.loads(line)["cause"]
    assert code == 1
    assert "fsync=off" in cause
    assert "synchronous_commit=off" in cause
    assert "HOLDFAST_THROWAWAY_DATA=1" in cause


async def test_the_command_migrates_and_ends(availability_url: str) -> None:
    code, _ = await run(availability_url, "migrate")

    assert code == 0


async def test_settings_are_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted: dict[str, Any] = {"postgres_connections": 3, "catalog_fresh_seconds": 0.5}
    for name, value in wanted.items():
        monkeypatch.setenv(f"HOLDFAST_{name.upper()}", str(value))

    settings = settings_for("postgresql://somewhere")

    assert (settings.postgres_connections, settings.catalog_fresh_seconds) == (3, 0.5)
