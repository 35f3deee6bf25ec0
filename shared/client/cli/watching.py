"""Shows the pictures of a live day: redrawn on a terminal, as lines in a pipe, or as JSON."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from shared.client.cli.change import changes, stamp
from shared.client.cli.holding import store_now
from shared.client.cli.live_day import Glyphs, Health, News, Subject, draw
from shared.client.cli.live_news import news
from shared.client.cli.live_record import picture_record
from shared.client.cli.live_start import Size, localized
from shared.client.cli.output import Output
from shared.client.cli.screen import Screen
from shared.client.cli.withdrawal import withdrawn
from shared.client.day_view import DayPicture
from shared.client.selection import OFFERED

# A picture is out of date for a moment with every booking: only what lasts is worth a word.
_STALE_SECONDS: Final = 1.0
# From then on it is no hiccup any more: for how long is counted.
_COUNTED_SECONDS: Final = 10.0
_NEWS_KEPT: Final = 8


class Show(Protocol):
    """Somewhere to show pictures.

    Attributes:
        pause_seconds: How long to wait after a picture before the next.
    """

    pause_seconds: float

    def take(self, picture: DayPicture) -> None:
        """Shows a new picture.

        Raises:
            PipeClosed: Nobody looks any more.
        """

    def tick(self) -> None:
        """Shows that time has passed.

        Raises:
            PipeClosed: Nobody looks any more.
        """

    def learn(self, opened: frozenset[int] | None) -> None:
        """Takes the quanta in opening hours; None where they are not known.

        Raises:
            PipeClosed: Nobody looks any more.
        """

    def wait_seconds(self) -> float | None:
        """Returns after how long there is something to show without a new picture."""


class Objects:
    """Writes each picture as one JSON object a line."""

    pause_seconds = 0.0

    def __init__(self, output: Output, subject: Subject) -> None:
        self._output = output
        self._subject = subject

    def take(self, picture: DayPicture) -> None:
        """As in the port."""
        self._output.json_line(picture_record(self._subject, picture, store_now()))

    def tick(self) -> None:
        """As in the port: nothing changes by itself."""

    def learn(self, opened: frozenset[int] | None) -> None:
        """As in the port: objects tell no opening hours."""

    def wait_seconds(self) -> float | None:
        """As in the port."""
        return None


class Lines:
    """Writes one line for each start that became something else."""

    pause_seconds = 0.0

    def __init__(
        self, output: Output, subject: Subject, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._output = output
        self._subject = subject
        self._shown: DayPicture | None = None
        self._staleness = Staleness(clock)

    def take(self, picture: DayPicture) -> None:
        """As in the port."""
        at = stamp(store_now())
        self._tell_offer(at, picture)
        for change in changes(self._shown, picture):
            start = localized(change.slot, self._subject.zone)
            reading = "  ".join(f"{end:%Y-%m-%d %H:%M%z}" for end in (start.start, start.end))
            self._output.line(f"{at}  {reading}  {change.words}")
        if self._shown is None and not picture.slots and picture.offer.is_offered:
            self._output.line(f"{at}  no free start")
        self._shown = picture
        self._tell_staleness(self._staleness.note(is_stale=picture.is_stale))
        self._output.flush()

    def learn(self, opened: frozenset[int] | None) -> None:
        """As in the port: lines tell no opening hours."""

    def tick(self) -> None:
        """As in the port."""
        self._tell_staleness(self._staleness.lasted())
        self._output.flush()

    def wait_seconds(self) -> float | None:
        """As in the port."""
        return self._staleness.wait_seconds()

    def _tell_offer(self, at: str, picture: DayPicture) -> None:
        shown = self._shown.offer if self._shown else OFFERED
        if picture.offer != shown:
            why = withdrawn(picture.offer, self._subject)
            self._output.line(f"{at}  {f'withdrawn: {why}' if why else 'offered again'}")

    def _tell_staleness(self, is_changed: bool) -> None:  # noqa: FBT001  # what was just found
        if is_changed:
            word = "reconnecting" if self._staleness.is_worth_saying else "live again"
            self._output.line(f"{stamp(store_now())}  {word}")


class Drawn:
    """Draws each picture over the one before, and counts down."""

    pause_seconds = 0.05  # faster nobody sees

    def __init__(
        self,
        output: Output,
        subject: Subject,
        screen: Screen,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._output = output
        self._subject = subject
        self._screen = screen
        self._glyphs = Glyphs.of(output)
        self._picture: DayPicture | None = None
        self._opened: frozenset[int] | None = None
        self._news: deque[News] = deque(maxlen=_NEWS_KEPT)
        self._staleness = Staleness(clock)

    def take(self, picture: DayPicture) -> None:
        """As in the port."""
        if self._picture is not None:
            at = store_now()
            for words in news(self._picture, picture, self._subject.zone):
                self._news.append(News(at, words))
        self._picture = picture
        self._staleness.note(is_stale=picture.is_stale)
        self._draw()

    def tick(self) -> None:
        """As in the port."""
        self._staleness.lasted()
        self._draw()

    def learn(self, opened: frozenset[int] | None) -> None:
        """As in the port."""
        if opened != self._opened:
            self._opened = opened
            self._draw()

    def wait_seconds(self) -> float | None:
        """As in the port."""
        waits = [self._staleness.wait_seconds(), self._next_second()]
        if self._staleness.seconds is not None:
            waits.append(1.0)
        return min((wait for wait in waits if wait is not None), default=None)

    def _next_second(self) -> float | None:
        """Returns after how long a countdown shows another number."""
        if self._picture is None:
            return None
        ends = [slot.held_until for slot in self._picture.slots]
        ends += [hold.expires_at for hold in self._picture.holds if hold.is_overdue]
        moment = store_now()
        left = [(end - moment).total_seconds() for end in ends if end is not None]
        return min((seconds % 1 + 0.001 for seconds in left if seconds > 0), default=None)

    def _draw(self) -> None:
        if self._picture is None:
            return
        staleness = self._staleness
        self._screen.draw(draw(
            self._subject,
            self._picture,
            self._glyphs,
            Size(self._output.width or 1, self._output.height or 1),
            now=store_now(),
            health=Health(
                staleness.is_worth_saying,
                staleness.seconds,
                withdrawn(self._picture.offer, self._subject),
            ),
            opened=self._opened,
            news=tuple(self._news),
        ))  # fmt: skip


class Staleness:
    """Whether a picture has been out of date for longer than a moment, and for how long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_worth_saying = False
        self._clock = clock
        self._since: float | None = None

    @property
    def seconds(self) -> int | None:
        """For how many seconds, once they are worth counting."""
        if self._since is None:
            return None
        passed = self._clock() - self._since
        return int(passed) if passed >= _COUNTED_SECONDS else None

    def note(self, *, is_stale: bool) -> bool:
        """Takes what the newest picture says; returns whether there is something else to say."""
        if not is_stale:
            self._since = None
            changed, self.is_worth_saying = self.is_worth_saying, False
            return changed
        if self._since is None:
            self._since = self._clock()
        return self.lasted()

    def lasted(self) -> bool:
        """Lets time pass; returns whether there is something else to say."""
        if self.is_worth_saying or self.wait_seconds() != 0:
            return False
        self.is_worth_saying = True
        return True

    def wait_seconds(self) -> float | None:
        """Returns after how long there is something to say; None where there is nothing more."""
        if self._since is None:
            return None
        until = _COUNTED_SECONDS if self.is_worth_saying else _STALE_SECONDS
        left = max(self._since + until - self._clock(), 0.0)
        return left if left or not self.is_worth_saying else None
