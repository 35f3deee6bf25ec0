"""``python -m tests.faults``: the promises of correctness at their full figures."""

from __future__ import annotations

import sys

from shared.runtime import poller

if __name__ == "__main__":
    poller.choose()  # as the services do
    from tests.faults.soak import main

    sys.exit(main(sys.argv[1:]))
