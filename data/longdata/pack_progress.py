"""How far a run of stages is: a bar on a terminal, lines now and then in a log.

progress = progress_for(quiet=False)
progress.tell("tokens", 12, 40)      -> "tokens: 12 of 40 tasks, about 3 min left"
progress.say("pg19: indexing …")
progress.end()
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Hears everything and says nothing."""

    def tell(self, stage: str, done: int, tasks: int) -> None:
        """So many tasks of a stage are done."""

    def say(self, line: str) -> None:
        """Something that a person wants to know."""

    def end(self) -> None:
        """The run is over, well or not."""


class Lines(Progress):
    """A line when a stage begins and ends, and in between not more often than every few seconds."""

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._stage = ""
        self._began = self._last = clock()
        self._before = 0  # tasks that were done when this run came to the stage

    def tell(self, stage: str, done: int, tasks: int) -> None:
        now = self._clock()
        if stage != self._stage:
            self._stage, self._began, self._before = stage, now, done
        elif done < tasks and now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        self.show(sentence(stage, done, tasks, self._before, now - self._began))

    def say(self, line: str) -> None:
        self.show(line)

    def show(self, line: str) -> None:
        """Print a line."""
        print(line, file=self._stream, flush=True)


class Terminal(Lines):
    """One line that changes; what is said scrolls by above it."""

    def tell(self, stage: str, done: int, tasks: int) -> None:
        now = self._clock()
        if stage != self._stage:
            self._stage, self._began, self._before = stage, now, done
        said = sentence(stage, done, tasks, self._before, now - self._began)
        print(f"\r\x1b[2K{said}", end="", file=self._stream, flush=True)

    def say(self, line: str) -> None:
        print(f"\r\x1b[2K{line}", file=self._stream, flush=True)

    def end(self) -> None:
        print("\r\x1b[2K", end="", file=self._stream, flush=True)


def sentence(stage: str, done: int, tasks: int, before: int, seconds: float) -> str:
    """How far a stage is; how long it takes follows from what this run has done of it."""
    said = f"{stage}: {done:,} of {tasks:,} task{'' if tasks == 1 else 's'}"
    if done == tasks or done <= before:
        return said
    left = seconds * (tasks - done) / (done - before)
    return f"{said}, about {duration(left)} left"


def duration(seconds: float) -> str:
    """ "45 s", "12 min", "3 h 20 min"."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def progress_for(*, quiet: bool) -> Progress:
    """What fits standard error: a terminal, a log, or someone who wants to hear of losses only."""
    if quiet:
        return Progress()
    return Terminal() if sys.stderr.isatty() else Lines()
