"""Packed rows on disk: Parquet that `datasets.load_dataset(folder)` reads with no code of ours.

    plan = RowPlan(store=store, packing=packing, document=chosen.document, pad_id=2)
    for name, rows in shards_of(packing):             # in any process, in any order
        write_rows(making / name, plan, rows)
    publish(making, folder, facts, packing)           # folder/pack.json is there, or nothing is

    input_ids         exactly ctx tokens, int32
    seq_lengths       [5000, 3000, 192]: where documents begin; together ctx, padding is the last
    n_pad             192: how many of the last tokens are padding
    documents         ["arxiv/3.jsonl:81920", …]: what each piece is a part of, without padding
    sources           ["arxiv", …]
    starts            [0, 8192, …]: where in its document a piece begins
    document_lengths  [5000, 40000, …]: tokens of the whole document

Masks across documents, positions that restart and labels all follow from `seq_lengths` and `n_pad`,
each for itself. `seq_lengths` is TRL's name and has its meaning. Tokens are compressed with zstd
after BYTE_STREAM_SPLIT: of what was measured the smallest, and as fast to read as no compression.
A shard's bytes depend on the plan alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from longdata.atomic import disk_errors, exchange, sync_tree, write_file, writing
from longdata.errors import UserError
from longdata.packing import Packing
from longdata.token_store import TokenStore

FORMAT = "longdata packed rows 1"
PACK = "pack.json"
SHARD_TOKENS = 256_000_000  # about 400 MB on disk
GROUP_TOKENS = 4_000_000  # what a writer and a reader hold at once
_MAPPED_GROUPS = 8  # while what was read of the store stays in memory

_LISTS = {
    "seq_lengths": pa.int32(),
    "documents": pa.string(),
    "sources": pa.string(),
    "starts": pa.int64(),
    "document_lengths": pa.int64(),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class RowPlan:
    """All that decides the rows. `document` gives the store's number for each one that was packed
    (the uses of a selection); `pad_id` fills a row's end.

    Raises ValueError unless every token of these documents was packed. With `is_checked` that was
    found before: one who writes some of the rows need not look at all documents.
    """

    store: TokenStore
    packing: Packing
    document: NDArray[np.int64]
    pad_id: int
    is_checked: bool = False

    def __post_init__(self) -> None:
        if self.is_checked:
            return
        packing, given = self.packing, len(self.document)
        packed = np.bincount(packing.document, packing.end - packing.start, minlength=given)
        if not np.array_equal(packed, self.store.lengths[self.document]):
            raise ValueError("the documents are not those that were packed")


def schema_of(ctx: int) -> pa.Schema:
    """The columns, with the features that `datasets` restores."""
    fields = [("input_ids", pa.list_(pa.int32(), ctx))]
    fields += [(name, pa.list_(kind)) for name, kind in _LISTS.items()]
    fields.append(("n_pad", pa.int32()))
    features: dict[str, Any] = {name: [_value(kind)] for name, kind in _LISTS.items()}
    # "Sequence" is what every version of that library reads.
    features["input_ids"] = {"feature": _value(pa.int32()), "length": ctx, "_type": "Sequence"}
    features["n_pad"] = _value(pa.int32())
    ordered = {name: features[name] for name, _ in fields}
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": ordered}})})


def shards_of(packing: Packing) -> list[tuple[str, range]]:
    """The shards' names and rows; one without rows when there are none."""
    size = max(1, SHARD_TOKENS // packing.ctx)
    count = max(1, -(-packing.num_rows // size))
    return [
        (
            f"data/train-{number:05d}-of-{count:05d}.parquet",
            range(number * size, min(packing.num_rows, (number + 1) * size)),
        )
        for number in range(count)
    ]


def write_rows(path: Path, plan: RowPlan, rows: range) -> None:
    """One shard, whole or not at all; memory is that of one row group."""
    schema = schema_of(plan.packing.ctx)
    lists = [f"{name}.list.element" for name in _LISTS]
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        disk_errors(path.parent),
        writing(path) as part,
        pq.ParquetWriter(
            part,
            schema,
            version="2.6",
            compression="zstd",
            compression_level=1,
            use_dictionary=lists,
            column_encoding={"input_ids.list.element": "BYTE_STREAM_SPLIT"},
            write_statistics=[*lists, "n_pad"],
            write_page_index=True,
        ) as writer,
    ):
        size = max(1, GROUP_TOKENS // plan.packing.ctx)
        for number, first in enumerate(range(rows.start, rows.stop, size), 1):
            group = range(first, min(rows.stop, first + size))
            writer.write_table(_table(plan, group, schema), row_group_size=len(group))
            if number % _MAPPED_GROUPS == 0:
                plan.store.release()


def publish(making: Path, folder: Path, facts: Mapping[str, Any], packing: Packing) -> None:
    """Make `folder` out of the shards in `making`, on the same file system, in one step.

    What was in `folder` is replaced. Raises UserError when a shard is missing, another one is there
    or one has other rows than were planned.
    """
    planned = {name: len(rows) for name, rows in shards_of(packing)}
    _refuse_unplanned(making, planned, packing.ctx)
    with disk_errors(making):
        said = {"format": FORMAT, **facts, "shards": planned}
        write_file(making / PACK, json.dumps(said, indent=1) + "\n")
        sync_tree(making)
        if folder.exists():
            exchange(making, folder)
            shutil.rmtree(making)
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
            making.replace(folder)


def read_facts(folder: Path) -> dict[str, Any]:
    """pack.json of a folder whose shards are all there. UserError when it is not complete."""
    try:
        facts: dict[str, Any] = json.loads((folder / PACK).read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is {facts['format']}")
        planned, ctx = dict(facts["shards"]), int(facts["ctx"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"got {folder}, which holds no complete packed rows ({error}); allowed: a folder with "
            f"{PACK}, which is written last; fix: run the command that makes it again"
        ) from error
    _refuse_unplanned(folder, planned, ctx)
    return facts


def _refuse_unplanned(folder: Path, planned: Mapping[str, int], ctx: int) -> None:
    names = {f"data/{path.name}" for path in (folder / "data").glob("*.parquet")}
    strangers = sorted(names - planned.keys())
    try:
        if strangers:
            raise ValueError(f"{strangers[0]} was not planned")
        for name, rows in planned.items():
            file = pq.ParquetFile(folder / name)
            if file.metadata.num_rows != rows or not file.schema_arrow.equals(schema_of(ctx)):
                raise ValueError(f"{name} has other rows than were planned")
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(
            f"got {folder}, whose shards are not those that were planned ({error}); allowed: the "
            "shards as they were written; fix: run the command that makes them again"
        ) from error


def _table(plan: RowPlan, rows: range, schema: pa.Schema) -> pa.Table:
    packing, store = plan.packing, plan.store
    first = packing.first[rows.start : rows.stop + 1]
    pieces = slice(int(first[0]), int(first[-1]))
    document = plan.document[packing.document[pieces]]
    start, end = packing.start[pieces], packing.end[pieces]
    bounds = (first - first[0]).tolist()
    ids = np.full((len(rows), packing.ctx), plan.pad_id, np.int32)
    pad = np.zeros(len(rows), np.int32)
    taken = zip(document.tolist(), start.tolist(), end.tolist(), strict=True)
    for row, (begin, stop) in enumerate(pairwise(bounds)):
        place = 0
        for _ in range(begin, stop):
            number, at, until = next(taken)
            ids[row, place : place + until - at] = store.tokens(number)[at:until]
            place += until - at
        pad[row] = packing.ctx - place
    offsets = np.array(bounds, np.int32)
    columns: dict[str, pa.Array] = {
        "input_ids": pa.FixedSizeListArray.from_arrays(pa.array(ids.reshape(-1)), packing.ctx),
        "seq_lengths": _segments(end - start, pad, offsets),
        "documents": _listed(offsets, pa.array(store.names(document), pa.string())),
        "sources": _listed(offsets, pa.array(store.names(document, "source"), pa.string())),
        "starts": _listed(offsets, pa.array(start, pa.int64())),
        "document_lengths": _listed(offsets, pa.array(store.lengths_of(document), pa.int64())),
        "n_pad": pa.array(pad),
    }
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _segments(
    lengths: NDArray[np.int64], pad: NDArray[np.int32], offsets: NDArray[np.int32]
) -> pa.Array:
    """The lengths of each row's pieces, and behind them its padding if there is any."""
    padded = np.flatnonzero(pad)
    values = np.insert(lengths, offsets[padded + 1], pad[padded])
    added = np.concatenate([[0], np.cumsum(pad > 0)])
    return _listed((offsets + added).astype(np.int32), pa.array(values, pa.int32()))


def _listed(offsets: NDArray[np.int32], values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def _value(kind: pa.DataType) -> dict[str, str]:
    return {"dtype": str(kind), "_type": "Value"}
