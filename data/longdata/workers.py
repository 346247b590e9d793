"""One function over many tasks, in several processes, where nothing that dies takes the rest along.

    run(work, tasks, workers=4, on_event=print)
    -> Step(task=…, news=…)        # whatever work() told on its way
       Done(task=…, result=…)
       Failed(task=…, error=SourceError(…), trace="Traceback …")
       Died(task=…, exit_code=-9)  # twice: the second time alone, so that memory was not shared

Processes are never forked off this one: the tokenizers' threads do not survive a fork. They are
spawned or, with `preload`, forked off a server which has imported those modules and nothing else.
Each worker has its own pipe, so it is known which task a dead worker held, and a worker whose
parent was killed notices and ends. A script that calls `run` needs no `if __name__ == "__main__"`,
unless what it passes is defined in the script itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from longdata.errors import SourceError, UserError
from longdata.tokenizers import single_threaded

Task = TypeVar("Task")
Result = TypeVar("Result")
Given = TypeVar("Given", contravariant=True)
Made = TypeVar("Made", covariant=True)
News = tuple[int, int]  # documents and questions so far
Tell = Callable[[News], None]


class Work(Protocol[Given, Made]):
    """What is done with a task; it may tell how far it is."""

    def __call__(self, task: Given, /, *, tell: Tell) -> Made: ...


@dataclass(frozen=True, slots=True)
class Step(Generic[Task]):
    """A task is on its way."""

    task: Task
    news: News


@dataclass(frozen=True, slots=True)
class Done(Generic[Task, Result]):
    """A task was finished."""

    task: Task
    result: Result


@dataclass(frozen=True, slots=True)
class Failed(Generic[Task]):
    """A task raised; `error` is None when it was nothing that this project expects."""

    task: Task
    error: SourceError | UserError | None
    trace: str


@dataclass(frozen=True, slots=True)
class Died(Generic[Task]):
    """The process that worked on a task ended without a word, twice; -9 is a kill by signal 9."""

    task: Task
    exit_code: int | None


Event = Step[Task] | Done[Task, Result] | Failed[Task] | Died[Task]


def available_cpus() -> int:
    """The processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(
    work: Work[Task, Result],
    tasks: Iterable[Task],
    *,
    workers: int,
    on_event: Callable[[Event[Task, Result]], None],
    preload: Sequence[str] = (),
) -> None:
    """Work on every task, in any order, and say what came of each.

    `work` and the tasks must be picklable. With one worker everything happens in this process,
    and what kills it kills all. `preload`: modules that all workers need, imported once.
    What `on_event` raises ends the run: unfinished work is dropped and the processes are stopped.
    """
    if workers == 1:
        for task in tasks:
            on_event(_in_this_process(work, task, on_event))
        return
    for task, _ in _in_processes(work, deque(tasks), workers, on_event, preload):
        # again, alone, with the machine's whole memory
        for again, exit_code in _in_processes(work, deque([task]), 1, on_event, preload):
            on_event(Died(again, exit_code))


def _in_this_process(
    work: Work[Task, Result], task: Task, on_event: Callable[[Event[Task, Result]], None]
) -> Event[Task, Result]:
    def tell(news: News) -> None:
        on_event(Step(task, news))

    try:
        return Done(task, work(task, tell=tell))
    except (SourceError, UserError) as error:
        return Failed(task, error, "")
    except Exception:
        return Failed(task, None, traceback.format_exc())


def _in_processes(
    work: Work[Task, Result],
    tasks: deque[Task],
    workers: int,
    on_event: Callable[[Event[Task, Result]], None],
    preload: Sequence[str],
) -> list[tuple[Task, int | None]]:
    """The tasks whose process died, with its exit code."""
    lost: list[tuple[Task, int | None]] = []
    pool: dict[Connection, _Worker] = {}
    held: dict[Connection, Task] = {}
    try:
        while tasks or held:
            while len(pool) < min(workers, len(tasks) + len(held)):
                worker = _Worker(work, preload)
                pool[worker.connection] = worker
            for connection in pool:
                if tasks and connection not in held:
                    held[connection] = tasks.popleft()
                    pool[connection].give(held[connection])
            for ready in wait(list(held)):
                assert isinstance(ready, Connection)
                task = held[ready]
                try:
                    said, *rest = ready.recv()
                except (EOFError, OSError):
                    lost.append((held.pop(ready), pool.pop(ready).exit_code()))
                    continue
                if said == "step":
                    on_event(Step(task, rest[0]))
                    continue
                del held[ready]
                on_event(Done(task, rest[0]) if said == "done" else Failed(task, *rest))
    finally:
        for worker in pool.values():
            worker.stop(at_once=bool(held))
    return lost


class _Worker:
    """A process and this side of its pipe."""

    def __init__(self, work: Work[Any, Any], preload: Sequence[str]) -> None:
        context: ForkServerContext | SpawnContext = multiprocessing.get_context("spawn")
        if preload:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(list(preload))  # heard by a server that is yet to start
        self.connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(theirs, work, dict(os.environ)), daemon=True
        )
        with (
            _without_main() if b"__main__" not in pickle.dumps(work) else contextlib.nullcontext(),
            interrupts_held(),
        ):
            self._process.start()
        theirs.close()  # or the end of the process would not close the pipe

    def give(self, task: object) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(task)  # if it died before it had work, the next recv says so

    def exit_code(self) -> int | None:
        self._process.join(timeout=10)
        self.connection.close()
        return self._process.exitcode

    def stop(self, *, at_once: bool) -> None:
        if at_once:
            self._process.kill()  # every write is atomic, so nothing can be left half done
        self.connection.close()  # an idle worker ends by itself
        self._process.join()


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C waits: a process that starts in here never hears of it, not even while it imports."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """A new process runs the main module first, to find in it what it was sent. Nothing is there,
    and a script that has no guard would begin all over again in each of its workers."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _serve(connection: Connection, work: Work[Any, Any], environment: dict[str, str]) -> None:
    """What a worker process does: task in, result out, until the pipe closes."""
    os.environ.clear()  # a fork server has that of the moment it was started
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    # one thread each: the processes are what makes use of the cores
    single_threaded()

    def tell(news: News) -> None:
        connection.send(("step", news))

    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            answer: tuple[Any, ...] = ("done", work(task, tell=tell))
        except (SourceError, UserError) as error:
            answer = ("failed", error, "")
        except Exception:
            answer = ("failed", None, traceback.format_exc())
        connection.send(answer)


def _end_with(parent: BaseProcess) -> None:
    """A worker without a parent would work on for nobody."""
    parent.join()
    os._exit(1)
