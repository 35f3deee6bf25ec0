"""``python -m tests.load``: prints figures of the list of promises as they are now."""

from __future__ import annotations

import sys

from tests.load.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
