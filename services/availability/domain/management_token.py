"""Tokens that let whoever has one read, cancel and move one booking."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

from services.availability.domain.booking import Booking

FIRST_VERSION: Final = 1


class ManagementTokens:
    """Makes tokens, and tells whether one is a booking's.

    A token is HMAC-SHA-256 over organization, booking and token version. The booking keeps its
    hash alone: reading the store gives nobody a token. The version is hashed with it: raising it
    makes the token void.
    """

    def __init__(self, key: bytes) -> None:
        # Copied for each token: making one anew costs more than all that it hashes.
        self._keyed = hmac.new(key, digestmod=sha256)

    def issued(self, organization_id: str, booking_id: str, version: int) -> str:
        """Returns a token: 43 characters of base64url."""
        text = f"{organization_id}\0{booking_id}\0{version}"
        keyed = self._keyed.copy()
        keyed.update(text.encode())
        return urlsafe_b64encode(keyed.digest()).rstrip(b"=").decode()

    def hashed(self, token: str, version: int) -> bytes:
        """Returns what is stored of a token."""
        return sha256(f"{version}\0{token}".encode()).digest()

    def matches(self, booking: Booking, token: str) -> bool:
        """Tells whether a token is good for a booking, in a time that does not depend on it."""
        # A booking without a token has an empty hash, which no token has.
        hashed = self.hashed(token, booking.token_version)
        return hmac.compare_digest(hashed, booking.token_hash)
