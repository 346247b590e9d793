"""The files of sources, made by an engine: what a build then finds as if it had made them itself.

    fill_units(sources, order, folder, progress, name=unit_name_of, work=partial(work_on, …))

The sources are divided into tasks by their names alone. A source that cannot be used leaves no
file: the build takes it up again itself and says why. Tasks write straight into the folder's units,
so the folder must be one that all machines see, and so must the sources.
"""

from __future__ import annotations

import hashlib
import socket
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from longdata.cli_engine import submitted
from longdata.engines import Stage, run_stages
from longdata.errors import SourceError, UserError
from longdata.sources import Source
from longdata.workers import Work
from longqa.folder import Folder
from longqa.order import Order
from longqa.progress import Progress
from longqa.work import public_name

MOST_TASKS = 256


class Submitted(Exception):
    """Slurm has the work; `lines` say which jobs, and how to go on."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def fill_units(
    sources: Sequence[Source],
    order: Order,
    folder: Folder,
    progress: Progress,
    *,
    name: Callable[[Source], str],
    work: Work[Source, Path],
) -> int:
    """Make the files that are missing, and say how many were made.

    Submitted: Slurm makes them. UserError, TaskBug: as `run_stages`.
    """
    named = {name(source): source for source in sources}
    missing = [file for file in named if not (folder.units / file).exists()]
    if not missing:
        return 0
    largest_first = sorted(named, key=lambda file: (-_size(named[file]), file))
    stage = Stage(
        name="sources",
        tasks=min(len(named), MOST_TASKS),
        work=SourceTasks(
            sources={file: named[file] for file in largest_first},
            tasks=min(len(named), MOST_TASKS),
            units=folder.units,
            work=work,
        ),
    )
    if not run_stages(
        [stage],
        order.engine,
        folder=folder.engine,
        plan=hashlib.sha256("\n".join(sorted(named)).encode()).hexdigest(),
        tell=lambda _, done, tasks: progress.phase(
            f"reading documents with {order.engine.name}: {done} of {tasks} tasks"
        ),
    ):
        raise Submitted(submitted(folder.engine))
    return sum((folder.units / file).exists() for file in missing)


@dataclass(frozen=True, kw_only=True)
class SourceTasks:
    """Every so manyth source, beginning with the rank: its file is made if it is not there."""

    sources: Mapping[str, Source]  # by the names of their files
    tasks: int
    units: Path
    work: Work[Source, Path]

    def __call__(self, rank: int) -> None:
        traces = []
        for file in list(self.sources)[rank :: self.tasks]:
            if (self.units / file).exists():
                continue
            source = self.sources[file]
            try:
                made = self.work(source, tell=lambda news: None)
            except SourceError:
                continue  # the build reads it again, counts it and says why
            except UserError:
                raise
            except Exception:  # the other sources are worked on before this one is said
                traces.append(f"{public_name(source.name)}:\n{traceback.format_exc()}")
                continue
            if made.name != file:
                raise UserError(
                    f"got another longqa, or other libraries, on {socket.gethostname()} than where "
                    "the build was started; allowed: the same on all machines; fix: install the "
                    "same versions there, and run the same command again"
                )
        if traces:
            raise RuntimeError("\n".join(traces))


def _size(source: Source) -> int:
    try:
        return source.path.stat().st_size
    except OSError:
        return 0  # it vanished: that is said when it is read
