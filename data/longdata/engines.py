"""A run of many tasks, in stages, on one machine or a cluster: the same tasks, the same bytes.

    stages = [Stage(name="tokens", tasks=64, work=tokens), Stage(name="plan", tasks=1, work=plan)]
    run_stages(stages, Engine(workers=8), folder=out / ".work" / "engine", plan="5be1…")
    -> True: every task of every stage has left its mark

`work(rank)` must be picklable, write its result atomically, and return at once when that is there.
A task that ended leaves a mark; the marks lie in a folder named after the plan, so that those of
another plan are never taken. A stage begins when all of the one before it is done, and a run ends
by counting marks: that an engine came back without an error proves nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from longdata.atomic import disk_errors
from longdata.engine_options import SlurmOptions
from longdata.errors import UserError

if TYPE_CHECKING:
    from longdata.engine_tasks import Tasks

JOBS = "jobs.json"  # in the folder: what Slurm was given
Name = Literal["local", "ray", "slurm"]
Tell = Callable[[str, int, int], None]  # stage, tasks done, tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Tasks that do not need each other. `work(rank)` does one, for ranks from 0 to tasks - 1."""

    name: str
    tasks: int
    work: Callable[[int], None]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", self.name) or self.tasks < 1:
            raise ValueError(f"got a stage {self.name!r} of {self.tasks} tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where tasks run. None of it decides what they write.

    `workers` are tasks at once; None: one per processor (of the cluster, with ray), and with slurm
    as many as it likes. `slurm` are options of sbatch and what engine_slurm adds to them.
    """

    name: Name = "local"
    workers: int | None = 1
    slurm: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in get_args(Name):
            raise UserError(
                f"got --engine {self.name}; allowed: {', '.join(get_args(Name))}; fix: leave it out"
            )
        if self.workers is not None and self.workers < 1:
            raise UserError(f"got --workers {self.workers}; allowed: 1 or more; fix: leave it out")
        SlurmOptions.of(self.slurm)  # wrong ones end here


def silent(stage: str, done: int, tasks: int) -> None:
    """Tells nobody."""


def run_stages(
    stages: Sequence[Stage], engine: Engine, *, folder: Path, plan: str, tell: Tell = silent
) -> bool:
    """Do what is left of a plan: True when all of it is done, False when it was handed to Slurm.

    `tell` hears how many tasks of a stage are done. UserError: a task's own, a process that died,
    a disk that is full, an engine that is not there. TaskBug: a task raised what it should not.
    """
    from longdata.engine_tasks import Tasks

    folder = folder.resolve() / _key(stages, plan)
    runs: list[Tasks] = []
    for number, stage in enumerate(stages):
        runs.append(
            Tasks(stage=stage, folder=folder / stage.name, after=runs[number - 1] if runs else None)
        )
    with disk_errors(folder):
        for run in runs:
            run.make_folders()
    if engine.name == "slurm":
        from longdata.engine_slurm import submit

        return submit(runs, engine, folder, tell)
    if not any(run.missing() for run in runs):
        for run in runs:
            tell(run.stage.name, run.stage.tasks, run.stage.tasks)
        return True
    with _runner(engine) as run_stage:
        for run in runs:
            run_stage(run, tell)
            run.must_be_complete()
    return True


@contextmanager
def _runner(engine: Engine) -> Iterator[Callable[[Tasks, Tell], None]]:
    if engine.name == "local":
        from longdata.engine_local import run_local

        yield partial(run_local, workers=engine.workers)
    else:
        from longdata.engine_ray import ray_cluster, run_ray

        with ray_cluster(engine.workers) as cluster:
            yield partial(run_ray, cluster=cluster)


def _key(stages: Sequence[Stage], plan: str) -> str:
    """The name of the folder of marks: of this plan, divided into these tasks."""
    decides = [plan, [[stage.name, stage.tasks] for stage in stages]]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]
