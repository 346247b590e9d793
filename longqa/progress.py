"""What a build says while it works: a moving picture on a terminal, plain lines in a log.

    progress = progress_for(quiet=False)
    progress.begin(finished=3, to_do=40, num_bytes=31_000_000)
    progress.done("moby-dick.txt", 1, 80, 1_200_000)
    -> "12 of 40 sources, 930 pairs, 1 skipped, about 2 min left"

`Progress` itself says nothing: it is what tests and library users take.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar

from longdata.sources import Skip

_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Hears everything and says nothing."""

    def phase(self, what: str) -> None:
        """A step of the build begins."""

    def begin(self, *, finished: int, to_do: int, num_bytes: int, noun: str = "source") -> None:
        """Work on sources begins: units that are there, sources to work on and their bytes.

        With a model, `noun` is "document", and `num_bytes` are tokens.
        """

    def step(self, source: str, documents: int, questions: int) -> None:
        """A source is being worked on: documents and pairs so far."""

    def calls(self, sentence: str) -> None:
        """How the calls to a model are going."""

    def done(self, source: str, documents: int, questions: int, num_bytes: int) -> None:
        """A source is finished."""

    def failed(self, source: str, reason: str, num_bytes: int) -> None:
        """A source gave nothing."""

    def skipped(self, skip: Skip) -> None:
        """Something that should have been used could not be."""

    def left_out(self, skip: Skip) -> None:
        """A document repeats another one."""

    def end(self) -> None:
        """Work on sources ends; also called when it ends early."""


class Quiet(Progress):
    """Says only what was lost."""

    def skipped(self, skip: Skip) -> None:
        print(skip_line(skip), file=sys.stderr, flush=True)


class Counting(Progress):
    """The counts that both pictures show."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self.finished = self.to_do = self.num_bytes = 0
        self.num_done = self.num_failed = self.documents = self.pairs = self.bytes_done = 0
        self.noun, self.calls_said = "source", ""
        self._on_their_way: dict[str, tuple[int, int]] = {}

    def begin(self, *, finished: int, to_do: int, num_bytes: int, noun: str = "source") -> None:
        self._started = self._clock()
        self.finished, self.to_do, self.num_bytes = finished, to_do, num_bytes
        self.num_done = self.num_failed = self.documents = self.pairs = self.bytes_done = 0
        self._on_their_way.clear()
        self.noun, self.calls_said = noun, ""

    def calls(self, sentence: str) -> None:
        self.calls_said = sentence

    def step(self, source: str, documents: int, questions: int) -> None:
        self._on_their_way[source] = (documents, questions)

    def done(self, source: str, documents: int, questions: int, num_bytes: int) -> None:
        self._on_their_way.pop(source, None)
        self.num_done += 1
        self.documents += documents
        self.pairs += questions
        self.bytes_done += num_bytes

    def failed(self, source: str, reason: str, num_bytes: int) -> None:
        self._on_their_way.pop(source, None)
        self.num_failed += 1
        self.bytes_done += num_bytes

    def sentence(self) -> str:
        """How far the work on sources is, in one line."""
        under_way = self._on_their_way.values()
        pairs = self.pairs + sum(questions for _, questions in under_way)
        documents = self.documents + sum(documents for documents, _ in under_way)
        parts = [f"{self.num_done + self.num_failed} of {self.to_do} {self.noun}s"]
        if documents > self.num_done + len(under_way):
            parts.append(f"{documents:,} documents")
        parts.append(f"{pairs:,} pairs")
        if self.num_failed:
            parts.append(f"{self.num_failed} skipped")
        if self.calls_said:
            parts.append(self.calls_said)
        if (left := self.seconds_left()) is not None:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)

    def seconds_left(self) -> float | None:
        """From the bytes done and to do; None before anything is done and at the end."""
        elapsed = self._clock() - self._started
        if not self.bytes_done or self.bytes_done >= self.num_bytes:
            return None
        return elapsed * (self.num_bytes - self.bytes_done) / self.bytes_done


class Lines(Counting):
    """Plain lines: at every tenth of the bytes, and not more often than every few seconds."""

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(clock)
        self._stream = stream or sys.stderr
        self._last_line = clock()

    def phase(self, what: str) -> None:
        self._print(what)

    def begin(self, *, finished: int, to_do: int, num_bytes: int, noun: str = "source") -> None:
        super().begin(finished=finished, to_do=to_do, num_bytes=num_bytes, noun=noun)
        self._print(opening(finished, to_do, noun))

    def calls(self, sentence: str) -> None:
        super().calls(sentence)
        self._sometimes()

    def step(self, source: str, documents: int, questions: int) -> None:
        super().step(source, documents, questions)
        self._sometimes()

    def done(self, source: str, documents: int, questions: int, num_bytes: int) -> None:
        super().done(source, documents, questions, num_bytes)
        self._sometimes()

    def failed(self, source: str, reason: str, num_bytes: int) -> None:
        super().failed(source, reason, num_bytes)
        self._sometimes()

    def skipped(self, skip: Skip) -> None:
        self._print(skip_line(skip))

    def left_out(self, skip: Skip) -> None:
        self._print(skip_line(skip))

    def end(self) -> None:
        if self.to_do:
            self._print(self.sentence())
        self.to_do = 0

    def _sometimes(self) -> None:
        if self._clock() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._print(self.sentence())

    def _print(self, line: str) -> None:
        self._last_line = self._clock()
        print(line, file=self._stream, flush=True)


class Terminal(Counting):
    """One moving line with a bar; skipped sources scroll by above it."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._console = console
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)

    def phase(self, what: str) -> None:
        self._bar.update(self._task, description=what, total=None)
        self._bar.start()

    def begin(self, *, finished: int, to_do: int, num_bytes: int, noun: str = "source") -> None:
        super().begin(finished=finished, to_do=to_do, num_bytes=num_bytes, noun=noun)
        self._console.print(opening(finished, to_do, noun), markup=False, highlight=False)
        self._bar.reset(self._task, total=max(1, num_bytes))
        self._show()

    def step(self, source: str, documents: int, questions: int) -> None:
        super().step(source, documents, questions)
        self._show()

    def done(self, source: str, documents: int, questions: int, num_bytes: int) -> None:
        super().done(source, documents, questions, num_bytes)
        self._show()

    def failed(self, source: str, reason: str, num_bytes: int) -> None:
        super().failed(source, reason, num_bytes)
        self._show()

    def skipped(self, skip: Skip) -> None:
        self._console.print(skip_line(skip), markup=False, highlight=False, soft_wrap=True)

    def left_out(self, skip: Skip) -> None:
        self.skipped(skip)

    def calls(self, sentence: str) -> None:
        super().calls(sentence)
        self._show()

    def end(self) -> None:
        self._bar.stop()

    def _show(self) -> None:
        self._bar.update(self._task, description=self.sentence(), completed=self.bytes_done)


def progress_for(*, quiet: bool) -> Progress:
    """What fits standard error: a terminal, a log, or someone who wants to hear of losses only."""
    if quiet:
        return Quiet()
    console = Console(stderr=True)
    return Terminal(console) if console.is_terminal else Lines()


def opening(finished: int, to_do: int, noun: str) -> str:
    """What there is to do, in one line."""
    what = f"{to_do:,} {noun}{'' if to_do == 1 else 's'} to work on"
    return f"{what}, {finished:,} finished before" if finished else what


def skip_line(skip: Skip) -> str:
    """One line about something that was left out, without control characters."""
    detail = f" ({skip.detail})" if skip.detail else ""
    line = f"skipped {skip.name}: {skip.reason}{detail}"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


def duration(seconds: float) -> str:
    """ "45 s", "12 min", "3 h 20 min"."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
