"""Every source → its file in the units' folder, in several processes: those that are there are
taken, the others made, and what cannot be used is said.

    work = SourceWork(order, folder, progress, name=…, read=read_unit, work=partial(work_on, …))
    work.do(sources)
    work.made["3fe1….arrow"].documents
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from longdata.errors import UserError
from longdata.sources import Skip, Source
from longdata.workers import Done, Event, Failed, Step, Work, run
from longqa.folder import Folder
from longqa.order import Order
from longqa.progress import Progress
from longqa.work import public_name


class Made(Protocol):
    """What a source gave."""

    @property
    def problems(self) -> list[Skip]: ...

    def num_documents(self) -> int: ...

    def num_rows(self) -> int: ...


M = TypeVar("M", bound=Made)


class Crash(Exception):
    """Sources at which the code itself failed: a bug. The work on all others is kept."""

    def __init__(self, traces: Mapping[str, str]) -> None:
        super().__init__(", ".join(traces))
        self.traces = traces


class SourceWork(Generic[M]):
    """The files of all sources: those that are there, and those to be made."""

    def __init__(
        self,
        order: Order,
        folder: Folder,
        progress: Progress,
        *,
        name: Callable[[Source], str],
        read: Callable[[Path], M | None],
        work: Work[Source, Path],
    ) -> None:
        self._order, self._folder, self._progress = order, folder, progress
        self._name, self._read, self._work = name, read, work
        self._crashes: dict[str, str] = {}
        self.made: dict[str, M] = {}  # by file name
        self.skips: list[Skip] = []
        self.num_worked = 0

    def do(self, sources: Sequence[Source]) -> None:
        """Work on every source that has no file yet, the largest first. Where an engine was asked
        to, it has done so before: what is left are the sources that cannot be used."""
        if self._order.engine.name != "local":
            from longqa.engine_units import fill_units

            self.num_worked += fill_units(
                sources,
                self._order,
                self._folder,
                self._progress,
                name=self._name,
                work=self._work,
            )
        to_do = []
        for source in sources:
            made = self._read(self._folder.units / self._name(source))
            if made is None:
                to_do.append(source)
            else:
                self._take(source, made)
        to_do.sort(key=_size, reverse=True)
        self._progress.begin(
            finished=len(self.made), to_do=len(to_do), num_bytes=sum(map(_size, to_do))
        )
        run(self._work, to_do, workers=self._order.workers, on_event=self._hear)
        self._progress.end()
        if self._crashes:
            raise Crash(self._crashes)

    def of(self, sources: Sequence[Source]) -> list[tuple[str, M]]:
        """What the sources gave, in their order, with their public names."""
        return [
            (public_name(source.name), made)
            for source in sources
            if (made := self.made.get(self._name(source))) is not None
        ]

    def _hear(self, event: Event[Source, Path]) -> None:
        source = event.task
        name = public_name(source.name)
        if isinstance(event, Step):
            self._progress.step(name, *event.news)
        elif isinstance(event, Done):
            made = self._read(event.result)
            if made is None:
                raise UserError(
                    f"got no readable {event.result.name} right after it was written; allowed: an "
                    "output folder on a sound disk; fix: choose another --out"
                )
            self.num_worked += 1
            self._progress.done(name, made.num_documents(), made.num_rows(), _size(source))
            self._take(source, made)
        elif isinstance(event, Failed):
            self._failed(source, event)
        else:
            code = f"exit code {event.exit_code}"
            killed = "killed, perhaps for lack of memory" if event.exit_code == -9 else code
            self._skip(source, Skip(source.name, "worker died", f"twice: {killed}"))

    def _failed(self, source: Source, event: Failed[Source]) -> None:
        if isinstance(event.error, UserError):  # of the disk or the tokenizer: so will the others
            raise event.error
        if event.error is not None:
            self._skip(source, Skip(source.name, event.error.reason, event.error.detail))
            return
        name = public_name(source.name)
        self._crashes[name] = event.trace
        self._progress.failed(name, "a bug in longqa", _size(source))

    def _take(self, source: Source, made: M) -> None:
        self.made[self._name(source)] = made
        self.skips += [told(problem, self._order, self._progress) for problem in made.problems]

    def _skip(self, source: Source, skip: Skip) -> None:
        self._progress.failed(public_name(source.name), skip.reason, _size(source))
        self.skips.append(told(skip, self._order, self._progress))


def told(skip: Skip, order: Order, progress: Progress) -> Skip:
    """The skip as it may be published; a loss is told, and ends a strict build."""
    public = Skip(public_name(skip.name), skip.reason, skip.detail)
    if is_loss(skip):
        if order.strict:
            detail = f" ({skip.detail})" if skip.detail else ""
            raise UserError(
                f"got {skip.name}: {skip.reason}{detail}; allowed with --strict: sources that can "
                "all be used; fix: mend it, leave it out, or build without --strict"
            )
        progress.skipped(public)
    return public


def is_loss(skip: Skip) -> bool:
    """Whether something that should have been used was not."""
    return skip.is_loss and skip.reason != "duplicate"


def _size(source: Source) -> int:
    try:
        return source.path.stat().st_size
    except OSError:
        return 0  # it vanished: that is said when it is read
