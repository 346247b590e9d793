"""Losses on disk: each block of passes a file of its own, there whole or not at all.

    store = Store(Path("out/losses"), key="of the model, the data, the dtype …")
    for block in store.compute(blocks, scorer): …     # what is there already is not computed again
    store.read(block)      -> one float32 array for each pass, or None

A file is called after everything that decides its numbers: the key and the passes. It holds a
SHA-256 over its name and content; one that is torn, changed or renamed is counted in `damaged` and
computed again. A block is claimed by a lock on one byte of one file, which the system gives back
when a process dies: any number of processes, started at any time, on one machine or on several that
share the folder, divide the work, and none waits for one that is dead.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from longdata.atomic import disk_errors
from longdata.errors import UserError
from longeval.nll import Losses
from longeval.passes import Block

_MAGIC = b"longeval losses 1\n"
_HEAD = len(_MAGIC) + 32

Compute = Callable[[Block], Sequence[Losses]]


class Store:
    """The losses of blocks in a folder, for one thread; leaving the with block ends its locks."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key
        self.damaged = 0
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._locks = os.open(folder / "locks", os.O_RDWR | os.O_CREAT, 0o644)

    def path(self, block: Block) -> Path:
        """The file of a block, whether it is there or not."""
        decides = [
            self.key,
            [[(p.start, p.end, p.bos, p.ranges) for p in b] for b in block.batches],
        ]
        name = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:40]
        return self.folder / name[:2] / f"{name}.nll"

    def read(self, block: Block) -> list[Losses] | None:
        """The losses of each pass; None when they are not there or the file is damaged."""
        path = self.path(block)
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        sizes = [one.num_scored for one in block.passes]
        content = raw[_HEAD:]
        if raw[:_HEAD] != _head(path, content) or len(content) != 4 * sum(sizes):
            self.damaged += 1
            path.unlink(missing_ok=True)
            return None
        losses = np.frombuffer(content, "<f4")
        return np.split(losses, np.cumsum(sizes)[:-1])

    def write(self, block: Block, losses: Sequence[Losses]) -> None:
        """Put the losses of a block there; its claim must be held."""
        path = self.path(block)
        content = np.concatenate(losses).astype("<f4").tobytes()
        part = path.with_name(f".part-{path.name}")  # that of the one who holds the claim
        with disk_errors(self.folder):
            path.parent.mkdir(exist_ok=True)
            part.write_bytes(_head(path, content) + content)
            part.replace(path)  # nothing is synced: a file that a crash tears is found out

    def compute(
        self, blocks: Sequence[Block], compute: Compute, *, rank: int = 0, world: int = 1
    ) -> Iterator[Block]:
        """Compute what is missing and yield each block as soon as it is known to be there.

        Each process begins at another place, takes what nobody has claimed, and in the end waits
        for what others are still at; what a dead one had claimed is done by those who wait.
        """
        first = rank * len(blocks) // world
        left: list[Block] = []
        for block in [*blocks[first:], *blocks[:first]]:
            with self._claim(block, wait=False) as is_mine:
                if not is_mine:
                    left.append(block)
                    continue
                self._fill(block, compute)
            yield block
        for block in left:
            with self._claim(block, wait=True):
                self._fill(block, compute)
            yield block

    def reading(self, compute: Compute) -> Callable[[Block], Sequence[Losses]]:
        """A function that reads a block; one that was damaged meanwhile is computed again."""

        def read(block: Block) -> Sequence[Losses]:
            found = self.read(block)
            if found is None:
                list(self.compute([block], compute))
                found = self.read(block)
            if found is None:
                raise UserError(
                    f"got a folder for losses that does not keep what is written ({self.folder}); "
                    "allowed: a sound file system; fix: another --out"
                )
            return found

        return read

    def _fill(self, block: Block, compute: Compute) -> None:
        if self.read(block) is None:
            self.write(block, compute(block))

    @contextlib.contextmanager
    def _claim(self, block: Block, *, wait: bool) -> Iterator[bool]:
        """Whether the block is this process's until the end of the with block."""
        import fcntl

        byte = int(self.path(block).name[:15], 16)
        how = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
        try:
            fcntl.lockf(self._locks, how, 1, byte)
        except (BlockingIOError, PermissionError):
            yield False
            return
        except OSError as error:
            raise UserError(
                f"got a folder for losses where no file can be locked ({self.folder}: "
                f"{error.strerror}); allowed: a file system with locks; fix: another --out"
            ) from error
        try:
            yield True
        finally:
            fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, byte)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._locks)


def _head(path: Path, content: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(path.name.encode() + content).digest()
