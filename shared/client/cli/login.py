"""Who works with the command, for histories."""

from __future__ import annotations

import getpass


def login() -> str:
    """Returns the login name, or a word for somebody without one."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return "somebody"
