"""The sketches of many documents, in a temporary file instead of memory: 2 KB of each.

with Sketches(folder) as sketches:
    for document in documents:
        sketches.append(document.sketch())
    near_duplicates.find(sketches)       # takes any sequence of sketches
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, overload

import numpy as np

from longdata.atomic import disk_errors
from longqa.near_duplicates import SKETCH, Hashes

_RECORD = 8 * (1 + SKETCH)  # how many hashes there are, then these, then zeros


class Sketches(Sequence[Hashes]):
    """A sequence that grows; its file in `folder` has no name and is gone with the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with disk_errors(folder):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - __exit__ closes it
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, sketch: Hashes) -> None:
        """Take the next document's. UserError: there is no room on the disk."""
        record = np.zeros(1 + SKETCH, "<u8")
        record[0] = len(sketch)
        record[1 : 1 + len(sketch)] = sketch
        with disk_errors(self._folder):
            self._file.write(record.tobytes())
            self._file.flush()
        self._count += 1

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Hashes: ...
    @overload
    def __getitem__(self, index: slice) -> list[Hashes]: ...
    def __getitem__(self, index: int | slice) -> Hashes | list[Hashes]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        record = np.frombuffer(os.pread(self._file.fileno(), _RECORD, index * _RECORD), "<u8")
        return record[1 : 1 + int(record[0])].astype(np.uint64)
