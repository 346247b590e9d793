"""What a training run says: everything it is at its start, and then how it goes.

    step 120 of 1,000 · loss 2.914 · lr 2.00e-05 · 7,812 tokens/s · 812 MB · 14 min left

On a terminal that line is redrawn under a bar; in a log there is one every few seconds. `Progress`
itself says nothing: it is what tests, library users and all processes but the first take.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longtune.adapters import Group
from longtune.config import Recipe, lines_of
from longtune.metrics import Line
from longtune.rope import Rope
from longtune.sharding import idle_gpus

if TYPE_CHECKING:
    from rich.console import Console

_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Hears everything and says nothing."""

    def recipe(self, recipe: Recipe, data: Mapping[str, Any], num_processes: int) -> None:
        """A run is about to begin: all its settings, and what it reads."""

    def model(self, rope: Rope, groups: Sequence[Group]) -> None:
        """The model is there: its positions, and what of it is trained."""

    def begin(self, steps: int, done: int) -> None:
        """Training begins, after `done` of its steps."""

    def step(self, line: Line) -> None:
        """A line of metrics.jsonl."""

    def saved(self, path: Path) -> None:
        """Something was written."""

    def end(self) -> None:
        """Training ends; also called when it ends early."""


class Terminal(Progress):
    """Says it to a console: a bar on a terminal, lines in a log."""

    def __init__(
        self, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        from rich.console import Console

        self._console = console or Console(file=sys.stderr, soft_wrap=True)
        self._clock = clock
        self._said = self._begun = clock()
        self._steps = self._done = 0
        self._bar: Any = None

    def recipe(self, recipe: Recipe, data: Mapping[str, Any], num_processes: int) -> None:
        for line in lines_of(recipe):
            self._print(line)
        shown = {name: value for name, value in data.items() if name != "fingerprint"}
        self._print("\ndata: " + ", ".join(f"{k} {_number(v)}" for k, v in shown.items()))
        rows = recipe.rows_per_step(num_processes)
        self._print(
            f"a step: {rows:,} rows of up to {recipe.ctx:,} tokens ({recipe.batch_size} × "
            f"{recipe.accumulation} accumulated, by {num_processes} process"
            f"{'es' if num_processes > 1 else ''})"
        )
        if recipe.epochs is None and data.get("examples"):
            self._print(f"data read {recipe.steps * rows / data['examples']:.3g} times")
        idle = idle_gpus(sys.argv[1:])
        if idle:
            self._print(idle)

    def model(self, rope: Rope, groups: Sequence[Group]) -> None:
        from rich.table import Table

        self._print(f"rope: {rope}\n")
        table = Table("trained", "modules", box=None, pad_edge=False, header_style="bold")
        for title in ("tensors", "parameters", "of the model"):
            table.add_column(title, justify="right")
        for group in groups:
            table.add_row(group.name, ", ".join(group.modules), *_counts(group))
        if len(groups) > 1:
            table.add_row("together", "", *_counts(_together(groups)), style="bold")
        self._console.print(table)
        self._print("")

    def begin(self, steps: int, done: int) -> None:
        self._steps, self._done, self._begun = steps, done, self._clock()
        if done:
            self._print(f"goes on after step {done:,}")
        if self._console.is_terminal:
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                BarColumn(bar_width=24),
                TextColumn("{task.description}"),
                console=self._console,
            )
            self._bar.start()
            self._bar.add_task("the first step …", total=steps, completed=done)

    def step(self, line: Line) -> None:
        said = self._sentence(line)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=line["step"], description=said)
            return
        now, last = self._clock(), line["step"] == self._steps
        if now - self._said >= _SECONDS_BETWEEN_LINES or last or line["step"] == self._done + 1:
            self._said = now
            self._print(said)

    def saved(self, path: Path) -> None:
        self._print(f"saved {path}")

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _sentence(self, line: Line) -> str:
        here = line["step"] - self._done
        left = (self._clock() - self._begun) / here * (self._steps - line["step"]) if here else 0.0
        parts = [
            f"step {line['step']:,} of {self._steps:,}",
            f"loss {line['loss']:.4f}",
            f"lr {line['learning_rate']:.2e}",
            f"{line['tokens_per_second']:,.0f} tokens/s",
            f"{line['memory_bytes'] / 1e9:.2f} GB",
        ]
        if line["step"] < self._steps:
            parts.append(f"{_duration(left)} left")
        return " · ".join(parts)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)


@contextlib.contextmanager
def without_other_bars() -> Iterator[None]:
    """transformers shows a bar for every file of weights; a run has its own."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _together(groups: Sequence[Group]) -> Group:
    return Group(
        name="together",
        modules=(),
        tensors=sum(group.tensors for group in groups),
        parameters=sum(group.parameters for group in groups),
        share=sum(group.share for group in groups),
    )


def _counts(group: Group) -> tuple[str, str, str]:
    return f"{group.tensors:,}", f"{group.parameters:,}", f"{100 * group.share:.4g} %"


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
