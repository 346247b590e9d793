"""Writes a token set so that it is there whole or not at all.

    with TokenWriter.open(Path("pg19/tokens.bin"), "uint16") as writer:
        writer.begin(); writer.append(ids); place = writer.end()   # or writer.drop()
        writer.finish([place, …], facts)                           # now the set is there

Tokens go to `.part-tokens.bin` as they come; a document that turns out to be too short is cut off
again. `finish` gives the files their names, the sidecar last: before that moment nothing reads as a
set, and a run that was killed leaves only `.part-` files, which the next one takes over. Documents
that lost the draw are left out when the file is copied; without a draw nothing is copied.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from longdata.atomic import write_file
from longdata.errors import UserError
from longdata.eval_tokens import DTYPES, FORMAT, VERSION, EvalDocument, paths_of, sha256_of

MOST_INSIDE = 10_000  # documents that are listed in the sidecar itself
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_COPIED = 1 << 22  # tokens copied at a time


class TokenWriter:
    """The one process that writes a set. `place` is where the document that was begun begins."""

    def __init__(self, binary: Path, dtype: str, file: IO[bytes]) -> None:
        self.path = binary
        self._sidecar = paths_of(binary)[1]
        self._dtype = dtype
        self._type = np.dtype(DTYPES[dtype])
        self._file = file
        self._part = _part_of(binary)
        self._length = 0  # tokens in the part
        self.place = 0
        self._last: int | None = None
        self._is_done = False

    @classmethod
    def open(cls, binary: Path, dtype: str) -> TokenWriter:
        """UserError: the folder cannot be made or written, another process is at it."""
        with disk_errors(binary):
            binary.parent.mkdir(parents=True, exist_ok=True)
            file = _locked(_part_of(binary))
            file.truncate(0)
        return cls(binary, dtype, file)

    def begin(self) -> None:
        self.place = self._length
        self._last = None

    def append(self, ids: NDArray[Any]) -> None:
        """More tokens of the document."""
        if len(ids) == 0:
            return
        with disk_errors(self.path):
            self._file.write(ids.astype(self._type).tobytes())
        self._length += len(ids)
        self._last = int(ids[-1])

    @property
    def last(self) -> int | None:
        """The token that was written last of this document."""
        return self._last

    @property
    def written(self) -> int:
        """Tokens of the document so far."""
        return self._length - self.place

    def drop(self) -> None:
        """Take back what was written of the document."""
        with disk_errors(self.path):
            self._file.flush()
            self._file.truncate(self.place * self._type.itemsize)
            self._file.seek(0, os.SEEK_END)
        self._length = self.place
        self._last = None

    def finish(self, documents: Sequence[EvalDocument], facts: Mapping[str, Any]) -> dict[str, Any]:
        """Put the set in its place; what the sidecar then says.

        `documents` are those to keep, in order; their `start` is where they stand in the part.
        """
        with disk_errors(self.path):
            self._file.flush()
            kept, part = self._without_gaps(documents)
            told = {
                "format": FORMAT,
                "version": VERSION,
                "name": self.path.name,
                "dtype": self._dtype,
                "byte_order": "little",
                "num_tokens": sum(document.tokens for document in kept),
                "num_documents": len(kept),
                "sha256": sha256_of(part),
                **facts,
            }
            self._sidecar.unlink(missing_ok=True)  # from here on the old set is none
            told.update(self._listed(kept))
            part.replace(self.path)
            if part != self._part:
                self._part.unlink()
            self._is_done = True  # from here on a part is another run's
            text = json.dumps(told, ensure_ascii=False, indent=1)
            write_file(self._sidecar, (text + "\n").encode("utf-8", "replace"))
        return told

    def _without_gaps(self, documents: Sequence[EvalDocument]) -> tuple[list[EvalDocument], Path]:
        """The documents where they will stand, and the file in which they do."""
        if sum(document.tokens for document in documents) == self._length:
            os.fsync(self._file.fileno())
            return list(documents), self._part
        copy = self._part.with_name(self._part.name + "-copy")
        held = np.memmap(self._part, self._type, "r")
        kept: list[EvalDocument] = []
        start = 0
        with copy.open("wb") as file:
            for document in documents:
                end = document.start + document.tokens
                for at in range(document.start, end, _COPIED):
                    file.write(held[at : min(at + _COPIED, end)].tobytes())
                kept.append(dataclasses.replace(document, start=start))
                start += document.tokens
            file.flush()
            os.fsync(file.fileno())
        return kept, copy

    def _listed(self, documents: Sequence[EvalDocument]) -> dict[str, Any]:
        """The documents for the sidecar, or the two files that hold them."""
        rows = map(dataclasses.asdict, documents)
        names = [self.path.with_suffix(suffix) for suffix in (".documents.jsonl", ".offsets.bin")]
        if len(documents) <= MOST_INSIDE:
            for path in names:
                path.unlink(missing_ok=True)
            return {"documents": list(rows)}
        offsets = np.array([*(d.start for d in documents), 0], "<i8")
        offsets[-1] = documents[-1].start + documents[-1].tokens
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_file(names[0], lines)
        write_file(names[1], offsets.tobytes())
        return {
            key: {"name": path.name, "sha256": sha256_of(path)}
            for key, path in zip(("documents_file", "offsets_file"), names, strict=True)
        }

    def __enter__(self) -> TokenWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_done:
            for part in (self._part, self._part.with_name(self._part.name + "-copy")):
                part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a full disk was said when it was met
            self._file.close()


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns what the disk says (full, read-only, gone) into the line for the user."""
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error) or type(error).__name__
        fix = "make room" if error.errno in _FULL else "make it writable or choose another --out"
        raise UserError(
            f"got an output folder that cannot be written ({path.parent}: {said}); "
            f"allowed: a writable folder with room; fix: {fix}, and run the same command again"
        ) from error


def _part_of(binary: Path) -> Path:
    return binary.with_name(f".part-{binary.name}")


def _locked(part: Path) -> IO[bytes]:
    """The part, open and locked: two runs that write one set at a time would mix their tokens."""
    try:
        import fcntl
    except ImportError:
        raise UserError(
            "got a system without file locks; allowed: Linux, macOS, and Windows through WSL; "
            "fix: run longdata prepare there"
        ) from None
    file = part.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(file.fileno()), part.stat()):
            raise BlockingIOError  # the other run ended in between, and this is its finished file
    except (BlockingIOError, FileNotFoundError):
        file.close()
        raise UserError(
            f"got {part.name.removeprefix('.part-')}, which another run is writing; allowed: one "
            "at a time; fix: wait for it, or choose another --out"
        ) from None
    return file
