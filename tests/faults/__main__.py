"""``python -m tests.faults``: the promises of correctness at their full figures."""

from __future__ import annotations

import sys

from tests.faults.soak import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
