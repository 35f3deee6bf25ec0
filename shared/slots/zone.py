"""Time zones out of the tzdata package, never out of the host's files."""

from functools import cache
from importlib import import_module
from importlib.resources import files
from zoneinfo import ZoneInfo


class UnknownZone(ValueError):
    """No zone of this name is in the tzdata package."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown time zone {name[:64]!r}")
        self.name = name


def zone(name: str) -> ZoneInfo:
    """Returns the zone; the same object for the same name, so zones compare by identity.

    Raises:
        UnknownZone: The name is not one of ``zone_names()``; case matters.
    """
    # Membership first: a name that is no zone never reaches the file system or the cache.
    if name not in zone_names():
        raise UnknownZone(name)
    return _load(name)


@cache
def zone_names() -> frozenset[str]:
    """Returns every name the tzdata package knows, links included."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


@cache
def tzdata_version() -> str:
    """Returns the IANA release of the zone data, such as 2026a."""
    return str(import_module("tzdata").IANA_VERSION)


@cache
def _load(name: str) -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
