"""The 13-word sequences of one evaluation set, sorted on disk, to be looked up by many processes.

    table = GramTable.build(texts, folder / "ab12")   # or GramTable.load(folder / "ab12")
    table.texts, table.grams                          -> 150, 9_812_004
    table.holds(hashes)                               -> one boolean per hash

A folder holds `hashes.npy`, sorted distinct unsigned 64-bit numbers that are mapped into memory and
shared, and `table.json` with the counts. It is made aside and renamed when it is whole. However
large the set is, building holds some eight million hashes at once: sorted runs go to the disk and
are merged range by range.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from longdata.ngrams import SCHEME, Hashes, distinct, hashes_in

_RUN = 1 << 23  # hashes that are sorted at once
_BUCKET_BITS = 9  # some hundred hashes in a bucket
_AT_ONCE = 1 << 18  # hashes that are looked up at once
_HASHES, _FACTS = "hashes.npy", "table.json"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True, eq=False)
class GramTable:
    """`texts` counts what was read, `grams` the distinct sequences of it."""

    hashes: Hashes  # sorted, distinct, mapped
    texts: int
    skipped: tuple[str, ...]  # "name: reason" of what could not be read

    @property
    def grams(self) -> int:
        """Distinct sequences."""
        return len(self.hashes)

    @classmethod
    def build(cls, texts: Iterable[str], path: Path, skipped: Iterable[str] = ()) -> GramTable:
        """Read all texts and make the folder `path`; `skipped` is asked after the texts."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".part-") as part:
            made = Path(part) / "table"
            made.mkdir()
            count = _Count(texts)
            runs = list(_runs(count, Path(part)))
            with (made / _HASHES).open("wb") as file:
                _merge(runs, file)
            facts = {"scheme": SCHEME, "texts": count.texts, "skipped": list(skipped)}
            (made / _FACTS).write_text(json.dumps(facts) + "\n", encoding="utf-8")
            del runs
            if path.exists() and cls.load(path) is None:
                shutil.rmtree(path)
            if not path.exists():
                try:
                    made.rename(path)
                except OSError:
                    if not path.exists():  # else another process was first, with the same content
                        raise
        table = cls.load(path)
        if table is None:
            raise ValueError(f"{path} cannot be read right after it was written")
        return table

    @classmethod
    def load(cls, path: Path) -> GramTable | None:
        """The table in a folder; None when there is none, or none that this version reads."""
        try:
            facts = json.loads((path / _FACTS).read_text(encoding="utf-8"))
            hashes = np.load(path / _HASHES, mmap_mode="r", allow_pickle=False)
            if facts["scheme"] != SCHEME or hashes.dtype != np.uint64 or hashes.ndim != 1:
                return None
            return cls(hashes, int(facts["texts"]), tuple(map(str, facts["skipped"])))
        except _UNREADABLE:
            return None

    @cached_property
    def _buckets(self) -> tuple[int, NDArray[np.int64]]:
        """(bits, where the hashes with each of the highest bits begin), for a table of any size."""
        bits = max(1, len(self.hashes).bit_length() - _BUCKET_BITS)
        borders = np.arange(1, 1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
        begins = np.searchsorted(self.hashes, borders)
        return bits, np.concatenate([[0], begins, [len(self.hashes)]])

    def holds(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Which of these hashes are in the table."""
        found = np.zeros(len(hashes), np.bool_)
        if len(self.hashes):
            for start in range(0, len(hashes), _AT_ONCE):
                found[start : start + _AT_ONCE] = self._holds(hashes[start : start + _AT_ONCE])
        return found

    def _holds(self, hashes: Hashes) -> NDArray[np.bool_]:
        order = np.argsort(hashes)  # sorted ones touch each page of the table once
        wanted = hashes[order]
        bits, begins = self._buckets
        bucket = (wanted >> np.uint64(64 - bits)).astype(np.int64)
        low, high = begins[bucket], begins[bucket + 1]
        last = len(self.hashes) - 1
        # All at once by halves: of a hundred million hashes, in half the time of searchsorted.
        for _ in range(int((high - low).max()).bit_length()):
            middle = (low + high) // 2
            is_less = (self.hashes[np.minimum(middle, last)] < wanted) & (low < high)
            low, high = np.where(is_less, middle + 1, low), np.where(is_less, high, middle)
        found = np.zeros(len(hashes), np.bool_)
        found[order] = self.hashes[np.minimum(low, last)] == wanted
        return found


class _Count:
    """Passes texts on and counts them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = texts
        self.texts = 0

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self.texts += 1
            yield text


def _runs(texts: Iterable[str], folder: Path) -> Iterator[Hashes]:
    """Sorted distinct hashes, at most about _RUN at a time; mapped when there are several."""
    held: list[Hashes] = []
    size = number = 0
    for text in texts:
        for hashes in hashes_in(text):
            held.append(hashes)
            size += len(hashes)
            if size >= _RUN:
                file = folder / f"{number}.npy"
                np.save(file, distinct(np.concatenate(held)))
                yield np.load(file, mmap_mode="r", allow_pickle=False)
                held, size, number = [], 0, number + 1
    if held:
        yield distinct(np.concatenate(held))


def _merge(runs: list[Hashes], file: IO[bytes]) -> None:
    """One .npy of all that stands in the runs: the hashes are even, so equal ranges are as well."""
    begin = _write_header(file, 0)
    total = 0
    borders = np.linspace(0, 2.0**64, max(1, len(runs)) + 1)[1:-1].astype(np.uint64)
    cuts = [[0, *np.searchsorted(run, borders).tolist(), len(run)] for run in runs]
    for part in range(len(borders) + 1):
        pieces = [run[c[part] : c[part + 1]] for run, c in zip(runs, cuts, strict=True)]
        merged = distinct(np.concatenate(pieces)) if pieces else np.empty(0, np.uint64)
        file.write(merged.astype("<u8").tobytes())
        total += len(merged)
    file.seek(0)
    if _write_header(file, total) != begin:
        raise ValueError("the header of the .npy file changed its length")


def _write_header(file: IO[bytes], count: int) -> int:
    """Where the numbers begin. numpy leaves room for the largest count there can be."""
    header = {"descr": "<u8", "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()
