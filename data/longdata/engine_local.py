"""The tasks of a stage on this machine: in worker processes, or here where that is enough.

    run_local(tasks, tell, workers=8)
    run_ranks(tasks, [3, 5], workers=2, on_done=print)      # prints 3 and 5, in any order

The first task that fails ends the others. A task whose process dies is tried a second time, alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from longdata.engine_tasks import Tasks
from longdata.engines import Tell
from longdata.errors import UserError
from longdata.tokenizers import single_threaded
from longdata.workers import Died, Done, Event, Failed, available_cpus, run
from longdata.workers import Tell as TellSteps

_PACKAGES = ("longdata", "longqa", "longtune", "longeval")


def run_local(tasks: Tasks, tell: Tell, *, workers: int | None) -> None:
    """Do what is missing of a stage. UserError, TaskBug: as `run_stages`."""
    missing = tasks.missing()
    done = tasks.stage.tasks - len(missing)

    def on_done(rank: int) -> None:
        nonlocal done
        done += 1
        tell(tasks.stage.name, done, tasks.stage.tasks)

    tell(tasks.stage.name, done, tasks.stage.tasks)
    run_ranks(tasks, missing, workers=_processes(len(missing), workers), on_done=on_done)


def run_ranks(
    tasks: Tasks, ranks: Sequence[int], *, workers: int, on_done: Callable[[int], None]
) -> None:
    """Do some tasks of a stage; with one worker in this process, else in others."""

    def hear(event: Event[int, None]) -> None:
        if isinstance(event, Done):
            on_done(event.task)
        elif isinstance(event, Failed):
            if isinstance(event.error, UserError):
                raise event.error
            raise tasks.bug(event.task, event.trace)
        elif isinstance(event, Died):
            error = _died(tasks, event)
            tasks.report(event.task, error)
            raise error

    if workers == 1:
        single_threaded()
    work = _in_this_process if workers == 1 else _in_a_worker
    own = tasks.stage.work.__module__
    preload = ["longdata.engine_executors"]
    if own.partition(".")[0] in _PACKAGES:  # others may do more when they are imported
        preload.append(own)
    run(_Work(tasks, work), ranks, workers=workers, on_event=hear, preload=preload)


class _Work:
    """A task by its rank, as `longdata.workers` takes it."""

    def __init__(self, tasks: Tasks, do: Callable[[Tasks, int], None]) -> None:
        self._tasks, self._do = tasks, do

    def __call__(self, rank: int, /, *, tell: TellSteps) -> None:
        self._do(self._tasks, rank)


def _in_this_process(tasks: Tasks, rank: int) -> None:
    tasks.run(rank)


def _in_a_worker(tasks: Tasks, rank: int) -> None:
    from longdata.engine_executors import LocalTasks

    LocalTasks(tasks).run_rank(rank)


def _processes(tasks: int, workers: int | None) -> int:
    return max(1, min(available_cpus() if workers is None else workers, tasks))


def _died(tasks: Tasks, event: Died[int]) -> UserError:
    code = f"exit code {event.exit_code}"
    cause = "killed, perhaps for lack of memory" if event.exit_code == -9 else code
    return UserError(
        f"got task {event.task} of the stage {tasks.stage.name}, whose process ended twice without "
        f"a word ({cause}); allowed: tasks that fit in memory; fix: fewer --workers or more "
        "memory, and run the same command again, it goes on where it was"
    )
