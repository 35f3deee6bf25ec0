"""As whom a program runs that refuses root."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

# Who else PostgreSQL may take itself for: any user but root that has a name will do.
_ORDINARY_USERS = (1, 65534, 1000)


def ordinary_identity(folder: Path) -> str:
    """Says as whom PostgreSQL runs, which refuses root and a user without a name.

    Args:
        folder: Its data, or where the data will be; root runs it as the owner.

    Returns:
        An identity in the words of ``_child.py``.
    """
    user = os.geteuid()
    owner = (folder if folder.exists() else folder.parent).stat().st_uid
    if user == 0 and owner != 0:
        return f"user:{owner}:{_group_of(owner)}"
    if user != 0 and _has_name(user):
        return "same"
    named = next((uid for uid in _ORDINARY_USERS if _has_name(uid)), _ORDINARY_USERS[0])
    return f"map:{named}:{named}"


def _has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _group_of(user: int) -> int:
    return pwd.getpwuid(user).pw_gid if _has_name(user) else user
