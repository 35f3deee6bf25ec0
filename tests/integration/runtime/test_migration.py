from __future__ import annotations

import uuid
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from shared.runtime.failure import StartRefused
from shared.runtime.migration.upgrade import stored_revision, upgrade
from tests.stores import PostgresServer

FIRST = """
from alembic import op
revision = "0001"
down_revision = None
def upgrade():
    op.execute("create table things (id int)")
"""
SECOND = """
from alembic import op
revision = "0002"
down_revision = "0001"
def upgrade():
    op.execute("create table others (id int)")
    op.execute("select 1 / 0")
"""


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.py").write_text(FIRST)
    return tmp_path


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    name = f"migration_{uuid.uuid4().hex}"
    postgres_server.create_database(name)
    return postgres_server.url(name)


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("select tablename from pg_tables where schemaname = 'public'")
        return {row[0] for row in rows} - {"alembic_version"}


def test_an_empty_database_is_brought_to_the_head(url: str, versions: Path) -> None:
    upgrade(url, versions, head="0001")

    assert stored_revision(url) == "0001"
    assert tables(url) == {"things"}


def test_every_form_of_connection_string_will_do(url: str, versions: Path) -> None:
    upgrade(make_conninfo("", **conninfo_to_dict(url)), versions, head="0001")

    assert tables(url) == {"things"}


def test_a_step_that_fails_leaves_nothing_of_itself(url: str, versions: Path) -> None:
    upgrade(url, versions, head="0001")
    (versions / "0002_second.py").write_text(SECOND)

    with pytest.raises(StartRefused, match="division by zero"):
        upgrade(url, versions, head="0002")

    assert stored_revision(url) == "0001"
    assert tables(url) == {"things"}


def test_a_newer_schema_is_left_alone(url: str, versions: Path) -> None:
    upgrade(url, versions, head="0001")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = '0009'")

    upgrade(url, versions, head="0001")

    assert stored_revision(url) == "0009"


@pytest.mark.parametrize(
    "broken", ["postgresql://127.0.0.1:1/none", "nonsense", "postgresql://u:s3cret%zz@h/d"]
)
def test_a_database_that_cannot_be_reached_is_told_in_one_line(broken: str, versions: Path) -> None:
    with pytest.raises(StartRefused) as refused:
        upgrade(broken, versions, head="0001")

    assert "\n" not in str(refused.value)
    assert "s3cret" not in str(refused.value)
