"""``holdfast demo``: data to try things with."""

from __future__ import annotations

import click

from shared.client.cli.command import Group
from shared.client.cli.session import Session, with_session
from shared.client.demo import load_demo


@click.group(cls=Group)
def demo() -> None:
    """Data to try things with."""


@demo.command("load", examples=["holdfast demo load"])
@with_session
async def load(session: Session) -> None:
    """Create two studios, two pieces of equipment and what books them; what is there stays."""
    loaded = await load_demo(session.client)
    if session.output.is_json:
        session.output.json({"created": list(loaded.created), "kept": list(loaded.kept)})
        return
    for name in loaded.created:
        session.output.line(f"created {name}")
    for name in loaded.kept:
        session.output.line(f"kept {name}")
