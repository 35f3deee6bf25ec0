"""Runs both servers until its standard input ends; says on standard output where they are.

A parent of its own for the servers, so that a test can kill it or run it as another user.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from shared.embedded.errors import EmbeddedServerError
from shared.embedded.postgres import EmbeddedPostgres
from shared.embedded.valkey import EmbeddedValkey


def main(folder: Path) -> None:
    with (
        EmbeddedPostgres.start(folder / "postgres") as postgres,
        EmbeddedValkey.start(folder / "valkey") as valkey,
    ):
        addresses = {"postgres": postgres.url(), "valkey": valkey.url}
        pids = {"postgres_pid": postgres.process.pid, "valkey_pid": valkey.process.pid}
        print(json.dumps(addresses | pids), flush=True)  # noqa: T201  # its answer
        sys.stdin.read()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except EmbeddedServerError as error:
        sys.exit(str(error))
