"""What one watcher sees of its organization's catalog, as encoded messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from holdfast.catalog.v1 import watch_pb2 as pb
from holdfast.common.v1 import watch_pb2
from services.catalog.app.catalog_feed import Beginning
from services.catalog.app.organization_catalog import CatalogChange, OrganizationCatalog
from services.catalog.domain.entry import EntryName
from services.catalog.rpc.codec.watch import encode_removed
from shared.runtime.resume import Position, ResumeTokens
from shared.runtime.wire import bytes_field, integer_field

_Response = pb.WatchCatalogResponse
_EVENT: Final = _Response.EVENT_FIELD_NUMBER
_MORE: Final = integer_field(_Response.MORE_FIELD_NUMBER, 1)
_AFTER: Final = _Response.AFTER_VERSION_FIELD_NUMBER
_VERSION: Final = _Response.VERSION_FIELD_NUMBER
_TOKEN: Final = _Response.RESUME_TOKEN_FIELD_NUMBER

_SNAPSHOT: Final = integer_field(_EVENT, watch_pb2.WATCH_EVENT_SNAPSHOT)
_CHANGES: Final = integer_field(_EVENT, watch_pb2.WATCH_EVENT_CHANGES)
_RESET: Final = integer_field(_EVENT, watch_pb2.WATCH_EVENT_RESET)
_BOOKMARK: Final = integer_field(_EVENT, watch_pb2.WATCH_EVENT_BOOKMARK)

_NOWHERE: Final = Position(0, 0)
# No entry is as long as that again: messages stay below a mebibyte.
_MESSAGE_BYTES: Final = 512 * 1024


class StateDue(Exception):  # no failure: the watch goes on
    """The watcher is to be told the whole state next, over as many messages as that takes."""

    def __init__(self, *, is_reset: bool) -> None:
        super().__init__()
        self.is_reset = is_reset


class CatalogView:
    """The port of the watch kit, for one watch from where it begins until its state is due."""

    def __init__(self, tokens: ResumeTokens, beginning: Beginning, told: Position | None) -> None:
        """Has told nothing yet.

        Args:
            tokens: Of the watch.
            beginning: Where it begins.
            told: How far an earlier watch was told, if it resumes.
        """
        self._tokens = tokens
        self._beginning = beginning
        self._catalog = beginning.catalog
        # All that there is is told up to here; the watcher's last message named the other.
        self._told = self._named = told or _NOWHERE

    def opening(self) -> Iterable[bytes]:
        """The state; to a watch that resumes, what changed where that is known and less."""
        names = self._beginning.changed
        if names is None:
            return self.state(is_reset=self._beginning.is_reset)
        entries = {name: self._catalog.entries.get(name) for name in names}
        body = _body(entries)
        if len(body) > _MESSAGE_BYTES:
            return self.state(is_reset=False)
        if not entries:
            self._told = self._catalog.position
            return [self.bookmark()]
        return [self._changes(body, self._catalog.position.revision)]

    def changed(self, _topic: str, update: CatalogChange, /) -> bytes | None:
        """What came, or None where it was told already.

        Raises:
            StateDue: It is too long for a message.
        """
        if update.revision <= self._told.revision:
            return None
        if not update.entries:
            self._told = self._told._replace(revision=update.revision)
            return None
        if update.encoded is None:
            update.encoded = _body(update.entries)
        if len(update.encoded) > _MESSAGE_BYTES:
            raise StateDue(is_reset=False)
        return self._changes(update.encoded, update.revision)

    def retold(self, _topics: Collection[str], /, *, is_reset: bool) -> bytes:
        """That all is told, where it is: the catalog was read anew as the watch began.

        Raises:
            StateDue: It is not: the state may take several messages.
        """
        if self._told == self._catalog.position:
            return self.bookmark()
        raise StateDue(is_reset=is_reset)

    def bookmark(self) -> bytes:
        """That all is told."""
        self._named = self._told
        return _BOOKMARK + self._ending()

    def state(self, *, is_reset: bool) -> Iterator[bytes]:
        """Every entry as it is now, whatever changes until the last message is taken."""
        self._told = self._named = self._catalog.position
        event = _RESET if is_reset else _SNAPSHOT
        entries = list(self._catalog.entries.values())
        return _parts(event, entries, self._told.revision, self._ending())

    def _changes(self, body: bytes, revision: int) -> bytes:
        after = integer_field(_AFTER, self._named.revision)
        self._told = self._named = self._told._replace(revision=revision)
        return b"".join((_CHANGES, body, after, self._ending()))

    def _ending(self) -> bytes:
        token = bytes_field(_TOKEN, self._tokens.encode([self._told]))
        return integer_field(_VERSION, self._told.revision) + token


class RetoldView(CatalogView):
    """A watch that goes on with the whole state."""

    def __init__(
        self, tokens: ResumeTokens, catalog: OrganizationCatalog, *, is_reset: bool
    ) -> None:
        """Has told the state next."""
        super().__init__(tokens, Beginning(catalog, None, is_reset=is_reset), None)


def _parts(event: bytes, entries: Iterable[bytes], version: int, ending: bytes) -> Iterator[bytes]:
    part, length = [event], 0
    for entry in entries:
        if length + len(entry) > _MESSAGE_BYTES and length:
            part += (_MORE, integer_field(_VERSION, version))
            yield b"".join(part)
            part, length = [event], 0
        part.append(entry)
        length += len(entry)
    part.append(ending)
    yield b"".join(part)


def _body(entries: Mapping[EntryName, bytes | None]) -> bytes:
    present = [entry for entry in entries.values() if entry is not None]
    gone = [name for name, entry in entries.items() if entry is None]
    return b"".join([*present, encode_removed(gone)] if gone else present)
