"""The tasks of all stages on a Ray cluster: the one that RAY_ADDRESS names, or one on this machine.

    with ray_cluster(workers=8) as cluster:
        run_ray(tasks, tell, cluster=cluster)
        tasks.must_be_complete()         # it comes back without an error when tasks have failed

A task gets a processor and a GiB. Its folder must be one that all machines see, under one path, and
they need the same Python and the same LongQA. A cluster started here ends with this process and
listens on the loopback interface only.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from datatrove.executor import RayPipelineExecutor
from datatrove.utils.stats import PipelineStats

from longdata.engine_executors import StageStep, TaskExecutor, quiet
from longdata.engine_local import run_ranks
from longdata.engine_tasks import Tasks
from longdata.engines import Tell
from longdata.errors import UserError
from longdata.extras import require
from longdata.workers import available_cpus

GIB = 1 << 30
_LOOK_EVERY = 1.0  # seconds between two counts of marks, and between two looks for the parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What Ray has for us."""

    workers: int  # tasks at once


@contextlib.contextmanager
def ray_cluster(workers: int | None) -> Iterator[Cluster]:
    """A connection to Ray. UserError: it is not installed, or has no room for a single task."""
    address = os.environ.get("RAY_ADDRESS")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # these are read when ray is imported
    if address:
        _must_answer(address)
    else:  # the name says other systems; what it does is to stay on the loopback interface
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    ray = require("ray", "ray")
    is_ours = not ray.is_initialized()
    if is_ours:
        _start(ray, workers)
    try:
        has = ray.cluster_resources()
        room = int(min(has.get("CPU", 0), has.get("memory", 0) / GIB))
        if room < 1:
            raise UserError(
                f"got a Ray cluster of {has.get('CPU', 0):g} processors and "
                f"{has.get('memory', 0) / GIB:.1f} GiB; allowed: one of each for a task; fix: "
                "start it with more, or use --engine local"
            )
        yield Cluster(workers=min(room, workers or room))
    finally:
        if is_ours:
            ray.shutdown()


def run_ray(tasks: Tasks, tell: Tell, *, cluster: Cluster) -> None:
    """Do what is missing of a stage, as far as it goes: count the marks afterwards."""
    missing = tasks.missing()
    with quiet(tasks.folder), _telling(tasks, tell):
        if missing:
            RayTasks(tasks, workers=cluster.workers).run()


class RayTasks(TaskExecutor, RayPipelineExecutor):  # type: ignore[misc]
    """Each rank in an actor of its own."""

    def __init__(self, tasks: Tasks, *, workers: int) -> None:
        super().__init__(
            [StageStep(tasks)],
            tasks=tasks.stage.tasks,
            workers=workers,
            logging_dir=str(tasks.folder),
            cpus_per_task=1,
            mem_per_cpu_gb=1,
        )
        self._tasks = tasks
        stats = tasks.folder / "stats"  # datatrove adds them up in the end and misses each it lacks
        stats.mkdir(exist_ok=True)
        for rank in range(tasks.stage.tasks):
            (stats / f"{rank:05d}.json").write_text("[]")

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        """In a process of its own: datatrove's waits for ever for one that the kernel killed."""
        threading.Thread(target=_end_with_parent, daemon=True).start()
        run_ranks(self._tasks, [rank], workers=2, on_done=lambda rank: None)
        return PipelineStats()


def _start(ray: ModuleType, workers: int | None) -> None:
    """Join the cluster that RAY_ADDRESS names, or start one."""
    own: dict[str, object] = {}
    if not os.environ.get("RAY_ADDRESS"):
        own = {"address": "local", "num_cpus": workers or available_cpus()}
        own["include_dashboard"] = False
    try:
        ray.init(**own, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # it raises nothing more special when its processes take too long
        raise UserError(
            f"got a Ray that did not start ({error}); allowed: one that does within half a minute; "
            "fix: wait until the machine is less busy, or use --engine local"
        ) from error


def _must_answer(address: str) -> None:
    """Ray itself tries for minutes, and then ends the process."""
    place = re.fullmatch(r"(?:ray://)?(.+):(\d+)", address)
    if place is None:  # "auto"
        return
    try:
        socket.create_connection((place[1].strip("[]"), int(place[2])), timeout=10).close()
    except OSError as error:
        raise UserError(
            f"got RAY_ADDRESS={address}, where no Ray cluster answers ({error}); allowed: a "
            "running cluster; fix: start it, or unset RAY_ADDRESS for one on this machine"
        ) from None


@contextlib.contextmanager
def _telling(tasks: Tasks, tell: Tell) -> Iterator[None]:
    """Counts marks while Ray is at work: it says nothing itself."""
    over = threading.Event()
    total = tasks.stage.tasks

    def count() -> None:
        last = -1
        while True:
            is_over = over.wait(0 if last < 0 else _LOOK_EVERY)
            done = total - len(tasks.missing())
            if done != last:
                tell(tasks.stage.name, done, total)
            last = done
            if is_over:
                return

    thread = threading.Thread(target=count, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _end_with_parent() -> None:
    """An actor that is gone cannot end the process it forked."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os._exit(1)
