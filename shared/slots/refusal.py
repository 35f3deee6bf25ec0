"""Why a start cannot be booked under the rules, whatever the inventory says."""

from datetime import datetime, timedelta


class Refusal(Exception):
    """The rules refuse; each subclass carries the values that decided."""


class DurationNotOffered(Refusal):
    """The event type does not offer this length."""

    def __init__(self, duration: timedelta) -> None:
        super().__init__(f"{duration} is not an offered duration")
        self.duration = duration


class OutsideSchedule(Refusal):
    """The booking does not fit the opening hours."""

    def __init__(self, start: datetime, end: datetime) -> None:
        super().__init__(f"{start.isoformat()} to {end.isoformat()} is outside opening hours")
        self.start = start
        self.end = end


class NotOfferedStart(Refusal):
    """The booking fits the opening hours, but no slot starts then."""

    def __init__(self, start: datetime) -> None:
        super().__init__(f"no slot starts at {start.isoformat()}")
        self.start = start


class TooSoon(Refusal):
    """The start is past, or closer than the minimum notice; ``earliest`` itself is allowed."""

    def __init__(self, start: datetime, earliest: datetime) -> None:
        super().__init__(f"{start.isoformat()} is before {earliest.isoformat()}")
        self.start = start
        self.earliest = earliest


class TooFar(Refusal):
    """The start is beyond the horizon; ``latest`` itself is allowed."""

    def __init__(self, start: datetime, latest: datetime) -> None:
        super().__init__(f"{start.isoformat()} is after {latest.isoformat()}")
        self.start = start
        self.latest = latest
