"""The output folder: whose it is, who works in it, and how a finished dataset comes into it.

    with Folder.claim(Path("out")) as folder:         # UserError: not ours, or another build is in
        folder.units                                  -> out/.work/units
        folder.ledger                                 -> out/.work/ledger.sqlite
        with folder.staging() as stage:               # .out.longqa-new, beside it
            write_everything(stage)
        # here stage and out have swapped their names: out holds the new dataset, whole

A folder is ours when it has `.work/lock`, which the build that is in holds locked. Where the
folder cannot be renamed (a mount point, the folder one stands in, a parent that may not be written)
the dataset is staged in `.work/new` and its four parts are moved in one after the other.

What a language model was paid for lies in the ledger, which is never removed, overwritten or in two
places. Close it before `staging` ends: the folder it lies in moves away there, and it comes back.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from longdata.atomic import (
    cannot_write,
    disk_errors,
    exchange,
    finish_exchange,
    remove_parts,
    sync_tree,
)
from longdata.engines import JOBS
from longdata.errors import UserError

WORK = ".work"
PARTS = ("data", "README.md", "build.json", "report.html")  # the rest of the folder is the user's
_SIDECARS = ("-journal", "-wal", "-shm")  # of SQLite, when a writer was killed or it is being read
_GITIGNORE = "*\n"  # a dataset folder may be a clone of a Hub repository


class Folder:
    """An output folder that this process alone may write to, until the block ends."""

    def __init__(self, path: Path, lock: IO[str], *, is_new: bool = False) -> None:
        self.path = path
        self._is_new = is_new
        self.units = path / WORK / "units"
        self.engine = path / WORK / "engine"  # marks and logs of a build on a cluster
        self.ledger = ledger_of(path)
        self._lock = lock

    @classmethod
    def claim(cls, path: Path) -> Self:
        """The folder, made if need be, locked, and rid of what a killed build left.

        UserError: it holds files that are not ours, another build is in it, it cannot be written.
        """
        path = Path(os.path.realpath(path))
        if path.exists() and not path.is_dir():
            raise UserError(
                f"got --out {path.name}, which is a file; allowed: a folder, new, empty or of an "
                "earlier build; fix: choose another name"
            )
        try:
            finish_exchange(_stage_of(path), path)
            if path.is_dir() and not _is_ours(path):
                raise UserError(
                    f"got --out {path.name}, which holds files that longqa build did not write; "
                    "allowed: a folder that is new, empty or of an earlier build; "
                    "fix: choose another name"
                )
            is_new = not path.exists()
            (path / WORK).mkdir(parents=True, exist_ok=True)
            folder = cls(path, _locked(path), is_new=is_new)
        except OSError as error:
            raise cannot_write(path, error) from error
        try:
            folder._settle()
        except BaseException as error:
            folder._lock.close()
            if isinstance(error, OSError):
                raise cannot_write(path, error) from error
            raise
        return folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # of a disk that is full or gone: the next claim does it
            if not self._is_handed_over():
                remove_parts(self.units)
            if self._is_new and not self.engine.exists() and not any(self.units.iterdir()):
                self._remove_if_nothing_came_of_it()
        self._lock.close()

    def _remove_if_nothing_came_of_it(self) -> None:
        """A folder made for a build that used no source, and asked nobody, leaves with it."""
        if not _holds_calls(self.ledger) and all(
            entry.name == WORK for entry in self.path.iterdir()
        ):
            shutil.rmtree(self.path / WORK)
            self.path.rmdir()

    def keep_units(self, names: set[str]) -> int:
        """Remove all units but these; the number removed."""
        others = [path for path in self.units.iterdir() if path.name not in names]
        for path in others:
            path.unlink()
        return len(others)

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty folder to write a dataset to, which replaces the old one when the block ends."""
        beside = _stage_of(self.path)
        stage = beside if self._can_be_renamed() else self.path / WORK / "new"
        with disk_errors(stage):
            try:
                stage.mkdir()
                shutil.copymode(self.path, stage)
                yield stage
                sync_tree(stage)
            except BaseException:
                shutil.rmtree(stage, ignore_errors=True)
                raise
            # from here on the stage may hold the old folder: only _settle knows what may go
            if stage == beside:
                self._swap(stage)
            else:
                self._move_in(stage)

    def _swap(self, stage: Path) -> None:
        (stage / WORK).mkdir()
        lock = _locked(stage)  # whoever comes right after the swap finds the new folder locked
        exchange(stage, self.path)
        self._lock.close()
        self._lock = lock
        self._settle()

    def _settle(self) -> None:
        """Bring over what a swapped-out folder still holds of the user's and of ours."""
        stage = _stage_of(self.path)
        if stage.is_dir():
            units, engine = stage / WORK / "units", stage / WORK / "engine"
            ledger = ledger_of(stage)
            if units.is_dir() or ledger.exists():  # swapped out, not yet emptied: the units go last
                for entry in sorted(stage.iterdir()):
                    if entry.name not in (*PARTS, WORK):
                        entry.rename(self.path / entry.name)
                _move_ledger(ledger, self.ledger)
                if engine.is_dir():
                    engine.rename(self.engine)
                if units.is_dir():
                    units.rename(self.units)
            shutil.rmtree(stage)
        shutil.rmtree(self.path / WORK / "new", ignore_errors=True)
        self.units.mkdir(exist_ok=True)
        (self.path / WORK / ".gitignore").write_text(_GITIGNORE)
        if not self._is_handed_over():
            remove_parts(self.units)

    def _is_handed_over(self) -> bool:
        """Whether jobs of Slurm may be writing units, which have no other name before they end."""
        return (self.engine / JOBS).exists()

    def _move_in(self, stage: Path) -> None:
        for name in PARTS:
            old, new = self.path / name, stage / name
            if old.is_dir() and new.is_dir():
                exchange(new, old)
            elif new.exists():
                new.replace(old)
        shutil.rmtree(stage)

    def _can_be_renamed(self) -> bool:
        parent = self.path.parent
        return (
            not self.path.is_mount()
            and not Path.cwd().is_relative_to(self.path)  # a shell that stands in it would be lost
            and os.access(parent, os.W_OK | os.X_OK)
            and parent.stat().st_dev == self.path.stat().st_dev
        )


def _stage_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.longqa-new")


def ledger_of(path: Path) -> Path:
    """Where the ledger of an output folder is, if it has one."""
    return path / WORK / "ledger.sqlite"


def _move_ledger(old: Path, new: Path) -> None:
    """Rename a ledger. Its sidecars, which hold its last answers, are there before it is."""
    if not old.exists():
        return
    if new.exists():
        raise UserError(
            f"got two ledgers ({old} and {new}); allowed: one; fix: move one of them away, the one "
            "with fewer answers"
        )
    for suffix in (*_SIDECARS, ""):
        part = old.with_name(old.name + suffix)
        if part.exists():
            part.rename(new.with_name(new.name + suffix))


def _holds_calls(ledger: Path) -> bool:
    """Whether there is anything in a ledger; one that cannot be read is held to have."""
    if not ledger.exists():
        return False
    from longqa.llm.ledger import Ledger

    try:
        with Ledger.open(ledger) as found:
            return not found.is_blank()
    except UserError:
        return True


def _is_ours(path: Path) -> bool:
    names = {entry.name for entry in path.iterdir()}
    if not names:
        return True
    inside = {entry.name for entry in (path / WORK).iterdir()} if WORK in names else set()
    return "lock" in inside or (names == {WORK} and not inside)


def _locked(path: Path) -> IO[str]:
    """The open, locked lock file of a folder; closing it lets the next one in."""
    try:
        import fcntl
    except ImportError:
        raise UserError(
            "got a system without file locks; allowed: Linux, macOS, and Windows through WSL; "
            "fix: run longqa build there"
        ) from None
    lock = (path / WORK / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(lock.fileno()), (path / WORK / "lock").stat()):
            raise BlockingIOError  # another build swapped the folder in between
    except (BlockingIOError, FileNotFoundError):
        lock.close()
        raise UserError(
            f"got --out {path.name}, where another longqa build is at work; allowed: one at a "
            "time; fix: wait for it, or choose another name"
        ) from None
    return lock
