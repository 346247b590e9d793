"""Reading packed rows for training: random rows by `PackedRows`, and by `datasets`.

    python benchmarks/pack_reading.py [--tokens 100000000] [--rows 4000]

Rows of invented tokens are written for each ctx, as much as is asked for, and read one by one in
random order as the 64-bit integers that training asks for: mapped by `PackedRows`, with borders and
document names too, and through `datasets` with its numpy format. One process, one thread, in
processor time; the tokens read must be those that were written.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pack_measuring import machine

from longdata.packed import FORMAT, GROUP_TOKENS, PACK, schema_of
from longdata.packed_rows import PackedRows

CTX = (8192, 32768, 100_000)
AIM = 50  # M tokens a second, random


def main() -> None:
    """Write, read, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", type=int, default=100_000_000)
    parser.add_argument("--rows", type=int, default=4000, help="how many are read, at 8,192")
    arguments = parser.parse_args()
    print(f"{machine()}\n")
    print(
        "| ctx | rows | first opening, s | tokens, M/s | with borders and names, M/s "
        "| wall, M/s | datasets, M/s | aim |\n|" + 8 * "---|"
    )
    for ctx in CTX:
        with tempfile.TemporaryDirectory(prefix="pack-reading-") as name:
            read(Path(name), ctx, arguments)


def read(folder: Path, ctx: int, arguments: argparse.Namespace) -> None:
    """One line of the table."""
    sums = write(folder, ctx, max(1, arguments.tokens // ctx))
    begin = process_time()
    rows = PackedRows.open(folder)
    opening = process_time() - begin
    count = max(200, arguments.rows * CTX[0] // ctx)
    order = random.Random(0).choices(range(len(rows)), k=count)
    expected = int(sums[order].sum())
    taken = np.zeros(ctx, np.int64)

    def ids_alone() -> int:
        total = 0
        for number in order:
            np.copyto(taken, rows.input_ids(number))
            total += int(taken[0])
        return total

    def whole_rows() -> int:
        total = 0
        for number in order:
            row = rows[number]
            np.copyto(taken, row.input_ids)
            total += int(taken[0]) + 0 * len(row.borders)
        return total

    alone, wall = rate(ids_alone, expected, count * ctx)
    whole, _ = rate(whole_rows, expected, count * ctx)
    other = through_datasets(folder, order, expected, ctx)
    print(
        f"| {ctx:,} | {len(rows):,} | {opening:.2f} | {alone:,.0f} | {whole:,.0f} | {wall:,.0f} | "
        f"{other:,.0f} | {AIM} |"
    )


def through_datasets(folder: Path, order: list[int], expected: int, ctx: int) -> float:
    """M tokens a second by random access to its memory-mapped table."""
    import datasets

    datasets.disable_progress_bars()
    found = datasets.load_dataset(
        "parquet",
        data_files=str(folder / "data" / "*.parquet"),
        split="train",
        cache_dir=str(folder / "cache"),
    )
    found = found.select_columns(["input_ids"]).with_format("numpy")

    def rows() -> int:
        return sum(int(found[number]["input_ids"].astype(np.int64)[0]) for number in order)

    return rate(rows, expected, len(order) * ctx)[0]


def rate(work: Callable[[], int], expected: int, tokens: int) -> tuple[float, float]:
    """M tokens a second of processor time and of wall time."""
    begin, wall = process_time(), perf_counter()
    if work() != expected:
        sys.exit("what was read is not what was written: the numbers mean nothing")
    return tokens / 1e6 / (process_time() - begin), tokens / 1e6 / (perf_counter() - wall)


def write(folder: Path, ctx: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Rows of random tokens in the format of packed rows; each row's first token."""
    draw = np.random.default_rng(0)
    schema = schema_of(ctx)
    name = "data/train-00000-of-00001.parquet"
    (folder / "data").mkdir()
    firsts = []
    size = max(1, GROUP_TOKENS // ctx)
    with pq.ParquetWriter(
        folder / name,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=["documents.list.element", "sources.list.element"],
        column_encoding={"input_ids.list.element": "BYTE_STREAM_SPLIT"},
    ) as writer:
        for first in range(0, count, size):
            rows = min(size, count - first)
            ids = np.minimum(draw.zipf(1.2, rows * ctx), 31_999).astype(np.int32)
            firsts.append(ids[::ctx].astype(np.int64))
            half = [ctx // 2, ctx - ctx // 2]
            columns = {
                "input_ids": pa.FixedSizeListArray.from_arrays(pa.array(ids), ctx),
                "seq_lengths": [half] * rows,
                "documents": [[f"a.jsonl:{first + n}", f"b.jsonl:{n}"] for n in range(rows)],
                "sources": [["web", "book"]] * rows,
                "starts": [[0, 0]] * rows,
                "document_lengths": [half] * rows,
                "n_pad": [0] * rows,
            }
            arrays = [pa.array(columns[one.name], one.type) for one in schema]
            writer.write_table(pa.table(arrays, schema=schema), row_group_size=rows)
    said = {"format": FORMAT, "ctx": ctx, "rows": count, "shards": {name: count}}
    (folder / PACK).write_text(json.dumps(said))
    return np.concatenate(firsts)


if __name__ == "__main__":
    main()
