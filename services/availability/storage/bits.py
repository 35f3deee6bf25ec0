"""A day's bitmap as PostgreSQL's bit(96), whose leftmost bit is quantum 0."""

from __future__ import annotations

from typing import Final

from psycopg import adapt, postgres, pq
from psycopg.abc import AdaptContext, Buffer

from services.availability.domain.day_bytes import from_bytes

_LENGTH_BYTES: Final = 4  # a bit string on the wire begins with its length


class _BitLoader(adapt.Loader):
    format = pq.Format.BINARY

    def load(self, data: Buffer) -> int:
        return from_bytes(bytes(data)[_LENGTH_BYTES:])


def register(context: AdaptContext) -> None:
    """Makes bit columns of binary results load as bitmaps."""
    context.adapters.register_loader(postgres.types["bit"].oid, _BitLoader)
