"""Any row of a packed folder at once: rows are mapped into memory, not read.

    rows = PackedRows.open(folder)
    len(rows), rows.ctx            -> 12_207, 8192
    rows.input_ids(4711)           -> int32, a view of the file
    rows[4711].documents           -> ("arxiv/3.jsonl:81920", "web/0.jsonl:5133")
    rows[4711].borders             -> [0, 5000, 8000, 8192]

Compressed rows cannot be mapped, so the first reader unpacks the Parquet files, each into one Arrow
file of four bytes a token, in `folder/.mapped` or where `cache` says; `datasets` does the same in a
cache of its own and ignores that folder. Many readers may do so at one time: a file is there whole
or not at all. An unpacked file is named after the pack.json that it belongs to.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from longdata.atomic import disk_errors, writing
from longdata.errors import UserError
from longdata.packed import PACK, read_facts, schema_of
from longdata.token_shard import TokenSettings, refuse_other_settings

MAPPED = ".mapped"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedRow:
    """One row. `borders` has the begin of each segment (a piece of a document; the last may be
    padding) and the row's end; the tuples have one entry for each piece."""

    input_ids: NDArray[np.int32]
    borders: NDArray[np.int64]
    n_pad: int
    documents: tuple[str, ...]
    sources: tuple[str, ...]
    starts: tuple[int, ...]
    document_lengths: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedRows:
    """The rows of a folder, in order; `facts` is its pack.json."""

    folder: Path
    cache: Path
    ctx: int
    facts: dict[str, Any] = field(repr=False)

    @classmethod
    def open(
        cls, folder: Path, settings: TokenSettings | None = None, cache: Path | None = None
    ) -> PackedRows:
        """The rows of a complete folder, unpacked if they are not yet.

        Raises UserError when the folder is not complete, when its tokens are not those of
        `settings`, and when the cache cannot be written.
        """
        facts = read_facts(folder)
        if settings is not None:
            said = facts["tokenizer"]  # which holds more than decides the tokens
            made_with = TokenSettings(**{one.name: said[one.name] for one in fields(settings)})
            refuse_other_settings(folder, made_with, settings)
        digest = hashlib.sha256((folder / PACK).read_bytes()).hexdigest()
        own = (cache or folder / MAPPED) / digest[:16]
        rows = cls(folder=folder, cache=own, ctx=int(facts["ctx"]), facts=facts)
        with disk_errors(own):
            own.mkdir(parents=True, exist_ok=True)
            for name in facts["shards"]:
                if not rows._mapped(name).exists():
                    _unpack(folder / name, rows._mapped(name), schema_of(rows.ctx))
        return rows

    def __len__(self) -> int:
        return self._begins[-1]

    def __getitem__(self, number: int) -> PackedRow:
        shard, row = self._find(number)
        table = self._tables[shard].slice(row, 1)
        values = {name: table[name][0].as_py() for name in table.column_names[1:]}
        return PackedRow(
            input_ids=self.input_ids(number),
            borders=np.cumsum([0, *values["seq_lengths"]]),
            n_pad=values["n_pad"],
            documents=tuple(values["documents"]),
            sources=tuple(values["sources"]),
            starts=tuple(values["starts"]),
            document_lengths=tuple(values["document_lengths"]),
        )

    def input_ids(self, number: int) -> NDArray[np.int32]:
        """The tokens of a row: a view that cannot be written to."""
        shard, row = self._find(number)
        begins, batches = self._ids[shard]
        at = bisect_right(begins, row) - 1
        ids: NDArray[np.int32] = batches[at][row - begins[at]]
        return ids

    def _find(self, number: int) -> tuple[int, int]:
        if not 0 <= number < len(self):
            raise IndexError(f"row {number} of {len(self)}")
        shard = bisect_right(self._begins, number) - 1
        return shard, number - self._begins[shard]

    def _mapped(self, name: str) -> Path:
        return self.cache / f"{Path(name).stem}.arrow"

    @cached_property
    def _begins(self) -> list[int]:
        """The number of each shard's first row, and of all rows."""
        return [0, *np.cumsum(list(self.facts["shards"].values())).tolist()]

    @cached_property
    def _tables(self) -> list[pa.Table]:
        found = []
        for name, rows in self.facts["shards"].items():
            path = self._mapped(name)
            try:
                table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
                if table.num_rows != rows:
                    raise ValueError(f"{table.num_rows} rows are not {rows}")
            except (OSError, ValueError, pa.ArrowException) as error:
                raise UserError(
                    f"got {path}, which cannot be read ({error}); allowed: what was unpacked from "
                    "the Parquet files; fix: remove it, it is made again"
                ) from error
            found.append(table)
        return found

    @cached_property
    def _ids(self) -> list[tuple[list[int], list[NDArray[np.int32]]]]:
        """For each shard: the first rows of its batches, and the tokens of each batch."""
        found: list[tuple[list[int], list[NDArray[np.int32]]]] = []
        for table in self._tables:
            batches = [chunk for chunk in table["input_ids"].chunks if len(chunk)]
            sizes = [len(chunk) for chunk in batches]
            begins = np.cumsum([0, *sizes])[:-1].tolist()
            arrays = [chunk.flatten().to_numpy().reshape(-1, self.ctx) for chunk in batches]
            found.append((begins, arrays))
        return found


def _unpack(parquet: Path, arrow: Path, schema: pa.Schema) -> None:
    """One batch for each row group, so memory is that of a group."""
    file = pq.ParquetFile(parquet)
    with (
        writing(arrow) as part,
        pa.OSFile(str(part), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        for group in range(file.metadata.num_row_groups):
            table = file.read_row_group(group, use_threads=False).cast(schema)
            writer.write_table(table.combine_chunks())
