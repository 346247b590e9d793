"""The tasks of a stage on this machine: in worker processes, or here where that is enough."""

from __future__ import annotations

import os
import sys

from longdata.engine_tasks import Tasks
from longdata.engines import Tell
from longdata.errors import UserError
from longdata.workers import Died, Done, Event, Failed, run
from longdata.workers import Tell as TellSteps


def available_cpus() -> int:
    """The processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_local(tasks: Tasks, workers: int | None, tell: Tell) -> None:
    """Do what is missing; the first failure ends the others."""
    missing = tasks.missing()
    done = tasks.stage.tasks - len(missing)
    tell(tasks.stage.name, done, tasks.stage.tasks)

    def hear(event: Event[int, None]) -> None:
        nonlocal done
        if isinstance(event, Done):
            done += 1
            tell(tasks.stage.name, done, tasks.stage.tasks)
        elif isinstance(event, Failed):
            if isinstance(event.error, UserError):
                raise event.error
            raise tasks.bug(event.task, event.trace or str(event.error))
        elif isinstance(event, Died):
            raise _died(tasks, event)

    run(
        _Work(tasks),
        missing,
        workers=max(1, min(workers or available_cpus(), len(missing))),
        on_event=hear,
        preload=[__name__, tasks.stage.work.__module__],
    )


class _Work:
    """A task by its rank, as a worker process takes it."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    def __call__(self, rank: int, /, *, tell: TellSteps) -> None:
        self._tasks.run(rank)


def _died(tasks: Tasks, event: Died[int]) -> UserError:
    code = f"exit code {event.exit_code}"
    cause = "killed, perhaps for lack of memory" if event.exit_code == -9 else code
    return UserError(
        f"got task {event.task} of the stage {tasks.stage.name}, whose process ended twice without "
        f"a word ({cause}); allowed: tasks that fit in memory; fix: fewer --workers or more "
        "memory, and run the same command again, it goes on where it was"
    )
