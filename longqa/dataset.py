"""Rows ↔ the dataset folder: `data/{train,validation,test}-00000-of-00001.parquet`.

    with SplitWriter(folder, "train") as writer:
        for example in examples:
            writer.write(example.row())
    writer.files                      -> SplitFiles(split="train", num_examples=3000, …)
    next(read_rows(folder))["split"]  -> "train"

Many rows share one context, so each row group stores a context once and the rows point to it
(Parquet's dictionary encoding with one large dictionary page). Write the rows of a document next
to each other: a context is stored again only where a row group ends.

The same rows give the same bytes with one version of pyarrow. Files appear under their names only
when the split is complete; until then they are hidden from `datasets` by a leading dot.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from longdata.errors import UserError
from longqa.facts import SPLITS, SplitName

# A check that was not run on a row is null there.
CHECKS = (
    "evidence_exact",
    "answer_not_in_question",
    "within_budget",
    "closed_book_failed",
    "one_passage_failed",
    "not_answered_by_text",
    "judged_good",
)

_EVIDENCE = pa.struct(
    [("start", pa.int64()), ("end", pa.int64()), ("text", pa.string()), ("depth", pa.float64())]
)
_SOURCE = pa.struct(
    [
        ("title", pa.string()),
        ("author", pa.string()),
        ("year", pa.int64()),
        ("license", pa.string()),
        ("url", pa.string()),
        ("sha256", pa.string()),
    ]
)
_GENERATOR = pa.struct(
    [("backend", pa.string()), ("model", pa.string()), ("prompt_sha", pa.string())]
)
_FIELDS = [
    ("id", pa.string()),
    ("question", pa.string()),
    ("answer", pa.string()),
    ("context", pa.string()),
    ("ctx", pa.int64()),
    ("context_tokens", pa.int64()),
    ("row_tokens", pa.int64()),
    ("question_kind", pa.string()),
    ("material_kind", pa.string()),
    ("is_whole", pa.bool_()),
    ("evidence", pa.list_(_EVIDENCE)),
    ("spread", pa.float64()),
    ("sources", pa.list_(_SOURCE)),
    ("generator", _GENERATOR),
    ("checks", pa.struct([(name, pa.bool_()) for name in CHECKS])),
]


def _feature(kind: pa.DataType) -> Any:
    """An Arrow type as the `datasets` library writes it; a list as [item], which every version of
    that library reads."""
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    if pa.types.is_list(kind):
        return [_feature(kind.value_type)]
    return {"dtype": str(kind).replace("double", "float64"), "_type": "Value"}


FEATURES: dict[str, Any] = {name: _feature(kind) for name, kind in _FIELDS}
_METADATA = {"huggingface": json.dumps({"info": {"features": FEATURES}})}
SCHEMA = pa.schema(_FIELDS, metadata=_METADATA)

_COMPRESSION_LEVEL = 9  # 10 % smaller than 3 and still faster than the disk
_GROUP_UNIQUE_BYTES = 64 << 20  # what the writer and a reader hold at once
_GROUP_RAW_BYTES = 256 << 20  # what a reader without dictionaries holds at once
_GROUP_ROWS = 200  # rows are held as objects, a few KB each, until their group is written
_SHARD_BYTES = 256 << 20  # compressed; a shard ends with the row group that passes it
_SHARD_NAME = re.compile(r"(train|validation|test)-(\d{5,})-of-(\d{5,})\.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFiles:
    """A written split. `num_bytes` counts it in memory, as `datasets` does, `file_bytes` on disk.

    `paths` are relative to the dataset folder, with "/" on every system; none for an empty split.
    """

    split: SplitName
    paths: tuple[str, ...]
    num_examples: int
    num_bytes: int
    file_bytes: int


class SplitWriter:
    """Writes one split of a dataset folder row by row, holding at most one row group.

    `files` is there after the `with` block. An exception inside the block leaves the split as it
    was before.
    """

    def __init__(self, folder: Path, split: SplitName) -> None:
        self._folder = folder / "data"
        self._split = split
        self._parts: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._sink: Any = None
        self._rows: list[Mapping[str, Any]] = []
        self._context_of: dict[str, int] = {}  # context → its place in the row group's dictionary
        self._contexts: list[int] = []  # of each waiting row
        self._unique_bytes = self._raw_bytes = 0
        self._sizes: list[int] = []  # of the contexts in the dictionary, in bytes
        self._num_examples = self._num_bytes = 0
        self.files: SplitFiles

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        for left_over in self._folder.glob(f".{self._split}-*.part"):
            left_over.unlink()
        return self

    def write(self, row: Mapping[str, Any]) -> None:
        """Add one row; it must have exactly the columns of `SCHEMA`."""
        if row.keys() != FEATURES.keys() or not row["checks"].keys() <= FEATURES["checks"].keys():
            raise ValueError(
                f"got a row with {sorted(row)} and checks {sorted(row.get('checks', ()))}; "
                f"allowed: {sorted(FEATURES)} and checks among {sorted(CHECKS)}"
            )
        context = row["context"]
        place = self._context_of.setdefault(context, len(self._sizes))
        if place == len(self._sizes):
            self._sizes.append(len(context.encode()))
            self._unique_bytes += self._sizes[place]
        self._raw_bytes += self._sizes[place]
        self._rows.append(row)
        self._contexts.append(place)
        if (
            self._unique_bytes >= _GROUP_UNIQUE_BYTES
            or self._raw_bytes >= _GROUP_RAW_BYTES
            or len(self._rows) >= _GROUP_ROWS
        ):
            self._write_group()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._write_group()
            self._close_shard()
            if kind is None:
                self._publish()
        finally:
            for part in self._parts:
                part.unlink(missing_ok=True)

    def _write_group(self) -> None:
        if not self._rows:
            return
        columns = []
        for field in SCHEMA:
            if field.name == "context":
                places = pa.array(self._contexts, pa.int32())
                texts = pa.array(list(self._context_of), pa.string())
                columns.append(pa.DictionaryArray.from_arrays(places, texts))
            else:
                columns.append(pa.array([row[field.name] for row in self._rows], field.type))
        table = pa.table(columns, names=SCHEMA.names)
        if self._writer is None:
            self._parts.append(self._folder / f".{self._split}-{len(self._parts):05d}.part")
            self._sink = self._parts[-1].open("wb")
            self._writer = pq.ParquetWriter(
                self._sink,
                table.schema,
                version="2.6",
                compression="zstd",
                compression_level=_COMPRESSION_LEVEL,
                dictionary_pagesize_limit=1 << 30,  # never fall back to one text per row
                store_schema=False,  # else readers get a dictionary type instead of strings
            )
            self._writer.add_key_value_metadata(_METADATA)
        self._writer.write_table(table, row_group_size=len(self._rows))
        self._num_examples += len(self._rows)
        self._num_bytes += table.drop_columns("context").nbytes
        self._num_bytes += self._raw_bytes + 4 * len(self._rows)
        self._rows, self._contexts, self._context_of, self._sizes = [], [], {}, []
        self._unique_bytes = self._raw_bytes = 0
        if self._sink.tell() >= _SHARD_BYTES:
            self._close_shard()

    def _close_shard(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._sink.flush()
        os.fsync(self._sink.fileno())
        self._sink.close()
        self._writer = None

    def _publish(self) -> None:
        """Shards get their names, now that their number is known; those of an older run go."""
        count = len(self._parts)
        names = [f"{self._split}-{i:05d}-of-{count:05d}.parquet" for i in range(count)]
        for old in self._folder.glob(f"{self._split}-*.parquet"):
            if old.name not in names:
                old.unlink()
        paths = [self._folder / name for name in names]
        for part, path in zip(self._parts, paths, strict=True):
            part.replace(path)
        self.files = SplitFiles(
            split=self._split,
            paths=tuple(f"data/{name}" for name in names),
            num_examples=self._num_examples,
            num_bytes=self._num_bytes,
            file_bytes=sum(path.stat().st_size for path in paths),
        )


def write_split(rows: Iterable[Mapping[str, Any]], folder: Path, split: SplitName) -> SplitFiles:
    """Write all rows of a split; a split without rows has no file."""
    with SplitWriter(folder, split) as writer:
        for row in rows:
            writer.write(row)
    return writer.files


def split_paths(folder: Path) -> dict[SplitName, list[Path]]:
    """The Parquet files of a dataset folder, by split, in order.

    Raises `UserError` when there is none, or when a shard is missing.
    """
    found: dict[SplitName, list[Path]] = {}
    for split in SPLITS:
        shards = sorted((folder / "data").glob(f"{split}-*.parquet"))
        names = [match for shard in shards if (match := _SHARD_NAME.fullmatch(shard.name))]
        if not names:
            continue
        count = int(names[0][3])
        if [(int(name[2]), int(name[3])) for name in names] != [(i, count) for i in range(count)]:
            raise UserError(
                f"got {folder}, where data/ holds {len(names)} of the {count} files of {split}; "
                "allowed: a complete dataset; fix: copy it again, or run the build again"
            )
        found[split] = [folder / "data" / name[0] for name in names]
    if not found:
        raise UserError(
            f"got {folder}, which has no Parquet file in data/; allowed: a folder that longqa "
            "build wrote; fix: check the path, or run the build again"
        )
    return found


def read_rows(folder: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a dataset folder, train first, each with its "split"; one row group at a time.

    Rows that share a context share one string object. Raises `UserError` for a folder without
    data, a damaged file, or a file with other columns.
    """
    wanted = list(SCHEMA.names if columns is None else columns)
    for split, paths in split_paths(folder).items():
        for path in paths:
            try:
                yield from _rows_of(path, wanted, split)
            except (pa.ArrowException, OSError) as error:
                raise UserError(
                    f"got {path}, which cannot be read ({str(error).splitlines()[0]}); allowed: a "
                    "file as longqa build wrote it; fix: run the build again"
                ) from error


def _rows_of(path: Path, columns: list[str], split: SplitName) -> Iterator[dict[str, Any]]:
    stored = {field.name: field.type for field in pq.read_schema(path)}
    wrong = [field.name for field in SCHEMA if stored.get(field.name) != field.type]
    if wrong:
        raise UserError(
            f"got {path}, where the column {', '.join(wrong)} is missing or of another type; "
            "allowed: a file as this longqa writes it; fix: run the build again"
        )
    with pq.ParquetFile(path, read_dictionary=["context"]) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=columns)
            arrays = {name: table.column(name).combine_chunks() for name in columns}
            texts: list[str] = []
            if "context" in arrays:
                context = arrays.pop("context")
                texts, places = context.dictionary.to_pylist(), context.indices.to_pylist()
            lists = {name: array.to_pylist() for name, array in arrays.items()}
            for index in range(table.num_rows):
                row = {name: lists[name][index] for name in columns if name in lists}
                if "context" in columns:
                    row["context"] = texts[places[index]]
                yield {**row, "split": split}
