"""Becomes another program that cannot outlive its parent.

Run as ``python -I -S _child.py PARENT SIGNAL IDENTITY [FOLDER ...] -- PROGRAM [ARGUMENT ...]``
in place of a ``preexec_fn``, which fails now and then in a process that has loaded gRPC.

PARENT is the pid of the process that started this one, SIGNAL what the kernel sends to the
program when the parent's starting thread ends. IDENTITY is one of

``same``          run as the user of the parent;
``map:UID:GID``   in a user namespace where that user is called UID: the program sees an ordinary
                  user, the files stay ours. Where namespaces are denied, root goes on as ``user:``;
``user:UID:GID``  as that user, who gets the FOLDERs and may pass through folders of root.

Imports nothing but built-in modules and ctypes: this is on the way of every start.
"""

from __future__ import annotations

import ctypes
import os
import sys

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    """Takes on the identity, ties itself to the parent and becomes the program."""
    separator = arguments.index("--")
    parent, death_signal = int(arguments[0]), int(arguments[1])
    identity, folders = arguments[2], arguments[3:separator]
    command = arguments[separator + 1 :]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        _take_identity(libc, identity, folders)
        # After the identity: a change of user clears the signal.
        libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)  # the parent ended before the kernel knew of our tie to it
    try:
        os.execv(command[0], command)  # noqa: S606  # becoming the program is the purpose
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


def _take_identity(libc: ctypes.CDLL, identity: str, folders: list[str]) -> None:
    if identity == "same":
        return
    kind, user, group = identity.split(":")
    if kind == "map" and _map_user(libc, int(user), int(group)):
        return
    if os.geteuid() == 0:
        _become_user(libc, int(user), int(group), folders)


def _map_user(libc: ctypes.CDLL, user: int, group: int) -> bool:
    own_user, own_group = os.geteuid(), os.getegid()
    if libc.unshare(_CLONE_NEWUSER) != 0:
        return False
    _write("/proc/self/setgroups", b"deny")
    _write("/proc/self/gid_map", b"%d %d 1" % (group, own_group))
    _write("/proc/self/uid_map", b"%d %d 1" % (user, own_user))
    return True


def _become_user(libc: ctypes.CDLL, user: int, group: int, folders: list[str]) -> None:
    for folder in folders:
        _give(folder, user, group)
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    # The binaries and the data may lie below a closed folder such as /root: opening that to
    # everybody is not ours to do. Where this is refused, the program names what it cannot read.
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    bit = 1 << _CAP_DAC_OVERRIDE
    libc.capset(header, (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0))
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _give(folder: str, user: int, group: int) -> None:
    if not os.path.exists(folder) or os.stat(folder).st_uid == user:  # noqa: PTH110, PTH116
        return
    for path, _, names in os.walk(folder):
        os.chown(path, user, group)
        for name in names:
            os.chown(os.path.join(path, name), user, group, follow_symlinks=False)  # noqa: PTH118


def _write(path: str, text: bytes) -> None:
    # Not as text: its codec would be imported here, from a folder that may no longer be readable.
    file = os.open(path, os.O_WRONLY)
    os.write(file, text)
    os.close(file)


if __name__ == "__main__":
    main(sys.argv[1:])
