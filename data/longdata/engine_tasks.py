"""One task of a stage, wherever it runs: done once, marked when it is done, reported when not.

    tasks = Tasks(stage=stage, folder=Path("out/.work/engine/5be1…/tokens"))
    tasks.run(3)                 # does it, and writes completions/00003; a second time: nothing
    tasks.missing()              -> [0, 1, 2, 4]
    tasks.must_be_complete()     # raises what a task said that failed

The names are those of datatrove, whose executors read them: completions/00003, logs/task_00003.log.
A failure is written down beside them, because an executor on other machines may not hand it back.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from longdata.atomic import cannot_write, write_file
from longdata.errors import SourceError, UserError

if TYPE_CHECKING:
    from longdata.engines import Stage


class TaskBug(Exception):
    """A task raised what no task should: a bug. Its traceback is the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """The tasks of a stage and the folder of their marks; `after` must be complete before."""

    stage: Stage
    folder: Path
    after: Tasks | None = None
    cwd: Path = field(default_factory=Path.cwd)  # paths in the work may begin here

    def make_folders(self) -> None:
        """The folders that tasks write to."""
        for name in ("completions", "failures", "logs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def missing(self) -> list[int]:
        """The ranks of the tasks that have left no mark."""
        marks = {path.name for path in (self.folder / "completions").iterdir()}
        return [rank for rank in range(self.stage.tasks) if f"{rank:05d}" not in marks]

    def run(self, rank: int) -> None:
        """Do a task, if that has not been done. What it raises is reported, and raised."""
        mark = self.folder / "completions" / f"{rank:05d}"
        if mark.exists():
            return
        started = time.monotonic()
        try:
            with self._full_disk_is_said():
                self._failure(rank).unlink(missing_ok=True)
                if self.after is not None:
                    self.after.must_be_complete()
                self._log(rank, f"begun by process {os.getpid()} of {socket.gethostname()}")
                self._work(rank)
                self._log(rank, f"done in {time.monotonic() - started:.1f} s")
                write_file(mark, b"")
        except Exception as error:
            self.report(rank, error)
            raise

    def must_be_visible(self) -> None:
        """Another machine has the folders that this one started in."""
        for folder in (self.folder, self.cwd):
            if not folder.is_dir():
                raise UserError(
                    f"got a machine, {socket.gethostname()}, without {folder}; allowed: folders "
                    "that all machines of the engine have, under the same path; fix: run the "
                    "command in a folder of the shared file system, with --out there"
                )

    def must_be_complete(self) -> None:
        """Every task has left its mark, or what a task without one said is raised."""
        missing = self.missing()
        if not missing:
            return
        for rank in missing:
            if (failure := self._failure(rank)).exists():
                report = json.loads(failure.read_text(encoding="utf-8"))
                if report["is_bug"]:
                    raise self.bug(rank, report["said"])
                raise UserError(report["said"])
        raise UserError(
            f"got {len(missing)} of {self.stage.tasks} tasks of the stage {self.stage.name} that "
            f"ended without a word (the first: task {missing[0]}); allowed: all of them done; fix: "
            f"look for the cause (memory, time, a lost machine) in the logs of {self.folder} and "
            "run the same command again, it goes on where it was"
        )

    def report(self, rank: int, error: Exception) -> None:
        """Write down why a task failed, where the disk still takes it."""
        is_bug = not isinstance(error, UserError)
        said = "".join(traceback.format_exception(error)) if is_bug else str(error)
        with contextlib.suppress(OSError):  # a full disk is what `error` is about, and it is raised
            write_file(self._failure(rank), json.dumps({"is_bug": is_bug, "said": said}))
            self._log(rank, said)

    def bug(self, rank: int, trace: str) -> TaskBug:
        """A task's traceback, to be raised."""
        return TaskBug(f"task {rank} of the stage {self.stage.name} failed:\n{trace}")

    def _work(self, rank: int) -> None:
        try:
            self.stage.work(rank)
        except SourceError as error:
            raise AssertionError("a task counts what it cannot use, and goes on") from error

    def _failure(self, rank: int) -> Path:
        return self.folder / "failures" / f"{rank:05d}.json"

    def _log(self, rank: int, line: str) -> None:
        with (self.folder / "logs" / f"task_{rank:05d}.log").open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line.rstrip()}\n")

    @contextlib.contextmanager
    def _full_disk_is_said(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise cannot_write(Path(error.filename or self.folder), error) from error
            raise
