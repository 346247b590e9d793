"""The tasks of all stages as array jobs of Slurm, each stage after the one before it.

    submit(runs, Engine(name="slurm", slurm={"partition": "cpu"}), folder, tell)
    -> False: sbatch has them, and jobs.json beside the folder says which they are
    -> True: all marks are there, and nothing was submitted

Once more with the same plan: while the jobs are in the queue nothing happens; when they have left
it, what failed is said, and the time after that the missing tasks are submitted again. The folder
must be one that all nodes see, and the Python that submits must be there under the same path.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datatrove.executor import SlurmPipelineExecutor

from longdata.atomic import write_file
from longdata.engine_executors import StageStep, TaskExecutor, quiet
from longdata.engine_options import SlurmOptions
from longdata.engine_tasks import Tasks
from longdata.engines import JOBS, Engine, Tell
from longdata.errors import UserError

_THREADS = "RAYON_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1"


def submit(runs: Sequence[Tasks], engine: Engine, folder: Path, tell: Tell) -> bool:
    """Submit what is missing, or say what became of what was submitted.

    True: all is done. UserError: no Slurm here, sbatch refused, or a task of the last time failed.
    """
    record = folder.parent / JOBS  # one for all plans, which would write to the same files
    for tasks in runs:
        tell(tasks.stage.name, tasks.stage.tasks - len(tasks.missing()), tasks.stage.tasks)
    if not any(tasks.missing() for tasks in runs):
        record.unlink(missing_ok=True)
        return True
    _must_have_slurm()
    if record.exists():
        if _is_queued(json.loads(record.read_text(encoding="utf-8"))):
            return False
        record.unlink()
        for tasks in runs:
            tasks.must_be_complete()
    with quiet(folder):
        _launch(runs, engine, record)
    return False


class SlurmTasks(TaskExecutor, SlurmPipelineExecutor):  # type: ignore[misc]
    """A stage as one array job, or as several where the cluster allows no array that long."""

    def __init__(
        self, tasks: Tasks, options: SlurmOptions, *, workers: int | None, after: SlurmTasks | None
    ) -> None:
        super().__init__(
            [StageStep(tasks)],
            tasks=tasks.stage.tasks,
            time="",
            partition="",
            workers=workers or -1,
            job_name=f"{tasks.folder.parent.name[:8]}-{tasks.stage.name}",
            depends=after,
            logging_dir=str(tasks.folder),
            job_id_retriever=JobIds(),
            max_array_size=options.max_array,
            tasks_per_job=options.tasks_per_job,
        )
        self._folder, self._options = tasks.folder, options

    @property
    def ids(self) -> list[str]:
        """The jobs that sbatch has taken."""
        return list(self.job_id_retriever.seen)

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, str]:
        at_once = "" if self.workers == -1 else f"%{self.workers}"
        return {
            "job-name": self.job_name,
            "array": f"0-{max_array - 1}{at_once}",
            "ntasks": "1",
            **self._options.sbatch,
            "output": str(self._folder / "logs" / "slurm_%A_%a.log"),
            "open-mode": "append",
            "requeue": "",
            "kill-on-invalid-dep": "yes",
        }

    def get_launch_file_contents(self, sbatch_args: Mapping[str, str], run_script: str) -> str:
        lines = [
            f"#SBATCH --{name}={shlex.quote(value)}" if value else f"#SBATCH --{name}"
            for name, value in sbatch_args.items()
        ]
        run = [sys.executable, "-m", "datatrove.tools.launch_pickled_pipeline"]
        return "\n".join(
            [
                "#!/bin/bash",
                *lines,
                "set -e",
                *filter(None, [self._options.setup]),
                f"export {_THREADS}",
                f"exec {shlex.join([*run, str(self._folder / 'executor.pik')])}",
                "",
            ]
        )

    def launch_merge_stats(self) -> None:
        """There are none; datatrove would submit a job for them."""


class JobIds:
    """Reads the id of a job out of what sbatch prints, and remembers it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, printed: str) -> str:
        found = re.search(r"\b\d+\b", printed)
        if found is None:
            raise UserError(
                f"got {printed.strip()!r} from sbatch; allowed: a line with the id of the job; "
                "fix: see what sbatch is here (an alias, a wrapper?)"
            )
        self.seen.append(found.group())
        return found.group()


def _launch(runs: Sequence[Tasks], engine: Engine, record: Path) -> None:
    options = SlurmOptions.of(engine.slurm)
    stages: list[dict[str, Any]] = []
    executor: SlurmTasks | None = None
    for tasks in runs:
        executor = SlurmTasks(tasks, options, workers=engine.workers, after=executor)
        try:
            executor.launch_job()
        except subprocess.CalledProcessError as error:
            taken = ", ".join(id for stage in stages for id in stage["jobs"]) or "none"
            raise UserError(
                f"got a refusal of sbatch for the stage {tasks.stage.name} (exit code "
                f"{error.returncode}; what it said is above; jobs taken before: {taken}); allowed: "
                "options that this cluster knows; fix: mend --slurm, scancel the jobs taken, and "
                "run the same command again"
            ) from None
        finally:
            stages.append(
                {
                    "stage": tasks.stage.name,
                    "tasks": tasks.stage.tasks,
                    "marks": str(tasks.folder / "completions"),
                    "name": executor.job_name,
                    "jobs": executor.ids,
                }
            )
            write_file(record, json.dumps(stages, indent=1))


def _is_queued(stages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any of the jobs waits or runs."""
    asked = ["squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%j"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", None) or error
        raise UserError(
            f"got no answer of squeue ({str(detail).strip()}), so that it is not known whether the "
            "jobs still run; allowed: a machine where it answers; fix: run the command there"
        ) from None
    return not {stage["name"] for stage in stages}.isdisjoint(said.split())


def _must_have_slurm() -> None:
    if "SLURM_ARRAY_TASK_ID" in os.environ:
        raise UserError(
            "got --engine slurm inside of a Slurm array job; allowed: a login node; fix: run it "
            "there, or --engine local here"
        )
    if shutil.which("sbatch") is None:
        raise UserError(
            "got --engine slurm on a machine without sbatch; allowed: a login node of a Slurm "
            "cluster; fix: run it there, or --engine local"
        )
