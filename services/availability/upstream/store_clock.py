"""What the clock of presence's store says, as far as that can be known from here."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

# Longer ago a reading says little: stores are replaced.
_COUNTS_SECONDS: Final = 60.0
_MICROS_PER_SECOND: Final = 1_000_000
# By how much two clocks may drift apart, in microseconds a second: what NTP corrects at most.
_DRIFT: Final = 500
# No reading takes so long to come: the store's clock was set back, or another store has taken over.
_STEP_BACK: Final = 1_000_000


class StoreClock:
    """Tells instants by the store's clock, from readings that came over the network.

    A reading is older than its receipt, by nobody knows how much: so an instant told is never
    later than the truth, and the reading that came fastest brings it nearest. Whatever was
    acquired after that instant was acquired after it by the store's clock, too.

    Of a store's clock that was set back this holds once a reading has told so; by less than a
    second, once the readings from before have aged.
    """

    def __init__(self) -> None:
        """Knows nothing yet."""
        # (received at, offset in microseconds when ours said 0, had it drifted away ever since):
        # they age alike, so later ones are smaller, or they would have replaced those before.
        self._readings: deque[tuple[float, int]] = deque()

    def learn(self, reading: int, received_at: float) -> None:
        """Takes in a reading.

        Args:
            reading: Microseconds since 1970, by the store's clock.
            received_at: When it came, by the monotonic clock.
        """
        offset = reading - math.ceil(received_at * _MICROS_PER_SECOND)
        offset += math.floor(received_at * _DRIFT)
        readings = self._readings
        if readings and offset < readings[0][1] - _STEP_BACK:
            readings.clear()
        while readings and readings[-1][1] <= offset:
            readings.pop()
        readings.append((received_at, offset))
        self._forget(received_at)

    def at(self, instant: float, now: float) -> int | None:
        """Returns an instant of the monotonic clock, not after now, in microseconds since 1970.

        None where no reading counts any more.
        """
        self._forget(now)
        if not self._readings:
            return None
        # The clocks drift from the reading until now, or from now back to the instant.
        drift = math.ceil((now + (now - instant)) * _DRIFT)
        return math.floor(instant * _MICROS_PER_SECOND) + self._readings[0][1] - drift

    def _forget(self, now: float) -> None:
        while self._readings and self._readings[0][0] < now - _COUNTS_SECONDS:
            self._readings.popleft()
