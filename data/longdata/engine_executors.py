"""datatrove's executors, running our tasks: it decides where and when, `Tasks` what a task is.

    LocalTasks(tasks).run_rank(3)                # in a worker process of engine_local.py
    RayTasks(tasks, workers=64).run()            # engine_ray.py
    SlurmTasks(tasks, …).launch_job()            # engine_slurm.py

Logs, marks and failures are those of `Tasks`. datatrove 0.10 has logs of its own, which go to the
terminal too, and statistics, which after a resume are those of the last run only.

A single process or a single task needs no executor; then none is imported (half a second).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor
from datatrove.executor.base import PipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.stats import PipelineStats

from longdata.engine_tasks import Tasks
from longdata.tokenizers import single_threaded


class StageStep(PipelineStep):  # type: ignore[misc]
    """A stage as the one step of a pipeline: its rank is the task, and nothing flows through it."""

    type = "LongQA"

    def __init__(self, tasks: Tasks) -> None:
        self.name = tasks.stage.name
        super().__init__()
        self.tasks = tasks

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterable[Any]:
        single_threaded()  # the processes are what makes use of the cores
        self.tasks.must_be_visible()
        os.chdir(self.tasks.cwd)
        self.tasks.run(rank)
        return ()


class TaskExecutor(PipelineExecutor):  # type: ignore[misc]
    """An executor that leaves logs, marks and failures to its step."""

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        for step in self.pipeline:
            step.run(None, rank, self.world_size)
        return PipelineStats()


class LocalTasks(TaskExecutor, LocalPipelineExecutor):  # type: ignore[misc]
    """On this machine. One rank at a time: the pool around it is that of `longdata.workers`.

    datatrove's own waits for ever for a worker that the kernel killed, leaves its manager process
    behind when the run is killed, and needs a guard in the script that starts it.
    """

    def __init__(self, tasks: Tasks) -> None:
        super().__init__([StageStep(tasks)], tasks.stage.tasks, logging_dir=str(tasks.folder))

    def run_rank(self, rank: int) -> None:
        """Do one task in this process."""
        self._run_for_rank(rank)


@contextmanager
def quiet(folder: Path) -> Iterator[None]:
    """What datatrove says goes to a file; by itself it writes to the terminal."""
    from loguru import logger

    logger.remove()
    sink = logger.add(folder / "engine.log", level="DEBUG", diagnose=False, colorize=False)
    try:
        yield
    finally:
        logger.remove(sink)
