"""`python -m services`: the whole system on this machine."""

from __future__ import annotations

import sys

from services.launcher.installation import missing_module

if __name__ == "__main__":
    missing = missing_module()
    if missing is not None:
        sys.exit(
            f"holdfast is not installed completely ({missing} is missing here): make clean run, or"
            " make clean install for development, makes the environment anew; the data stays"
        )
    from services.launcher.main import main  # only what is complete can be imported

    sys.exit(main(sys.argv[1:]))
