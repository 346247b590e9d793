"""A long list that waits in a temporary file: eight bytes of each item stay in memory.

    spool = Spool(folder, to_bytes=dumps, from_bytes=json.loads)
    spool.append({"title": "The Tower"})
    spool[0]                     -> {"title": "The Tower"}, read from the file
    len(spool), list(spool)

What is handed out is a copy. The file has no name and is gone with the process.
"""

from __future__ import annotations

import json
import os
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from longdata.atomic import disk_errors

Item = TypeVar("Item")
_AHEAD = 1 << 16  # bytes that are written at once


def dumps(value: Any) -> bytes:
    """What json.loads reads."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


class Spool(Sequence[Item], Generic[Item]):
    """A sequence that grows."""

    def __init__(
        self,
        folder: Path,
        *,
        to_bytes: Callable[[Item], bytes],
        from_bytes: Callable[[bytes], Item],
        items: Iterable[Item] = (),
    ) -> None:
        self._folder, self._to_bytes, self._from_bytes = folder, to_bytes, from_bytes
        with disk_errors(folder):
            self._file = tempfile.TemporaryFile(dir=folder, buffering=_AHEAD)  # noqa: SIM115
        self._ends = array("q", [0])
        for item in items:
            self.append(item)

    def append(self, item: Item) -> None:
        """UserError: there is no room on the disk."""
        data = self._to_bytes(item)
        with disk_errors(self._folder):
            self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        numbers = range(len(self))[index]
        if isinstance(numbers, range):
            return [self._item(number) for number in numbers]
        return self._item(numbers)

    def __iter__(self) -> Iterator[Item]:
        return (self._item(number) for number in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it grows

    def _item(self, number: int) -> Item:
        begin, end = self._ends[number], self._ends[number + 1]
        with disk_errors(self._folder):
            self._file.flush()
            data = os.pread(self._file.fileno(), end - begin, begin)
        return self._from_bytes(data)
