"""Runs Python as a user who is not root, has no name and owns nothing here."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

UID = 54321
# As that user, Python must be able to start itself: the first start is still setpriv's.
_TRIAL = "import subprocess, sys; subprocess.check_call([sys.executable, '-c', 'import services'])"
# Here Python itself may lie in a folder that is closed to others, such as root's home: the user
# may then look into such folders, which lets nobody write anywhere.
_MAY_LOOK = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


def python() -> list[str]:
    """Returns the command that runs this Python as that user; skips the test without one."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("there is no setpriv to become another user with")
    become = [setpriv, f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
    for command in ([*become, sys.executable, "-B"], [*become, *_MAY_LOOK, sys.executable, "-B"]):
        if subprocess.run([*command, "-c", _TRIAL], check=False, capture_output=True).returncode:
            continue
        return command
    pytest.skip("no other user can run this Python")
