"""A file of short instructions, read one row at a time in bounded memory.

    file = load_short(Path("alpaca.json"), license="CC-BY-NC-4.0")
    next(file.rows())        -> ("Name three colours.", "Red, green and blue.")

JSON (a list, or a value in each line, whatever the name says; packed with gzip or zstd too) or
Parquet, with Alpaca's `instruction`, `input` and `output`, or with `messages` of one user and one
assistant turn. A row that is neither comes as the reason why; a file that is neither is one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longdata.errors import SourceError, UserError
from longdata.json_values import NotJSON, json_values
from longdata.sidecar import Facts, load_sidecar
from longdata.sources import sha256_of
from longdata.walking import METADATA_NAMES
from longqa.records import SourceRecord

ENDINGS = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".json.zst", ".jsonl.zst", ".parquet")
MAX_ROW = 16 << 20  # characters of one row: nothing short is longer
_BATCH = 256
_COLUMNS = ("instruction", "input", "output", "messages")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortFile:
    """A file of short instructions and what is known about it; `rows` reads it."""

    path: Path
    sha256: str
    facts: Facts = field(default_factory=Facts)

    def rows(self) -> Iterator[tuple[str, str] | str]:
        """Question and answer of every row, or the reason why it has none.

        UserError: the file is damaged, or its first row has other columns.
        """
        found = _parquet(self.path) if self.path.suffix == ".parquet" else self._json()
        is_first = True
        for row in found:
            if is_first and isinstance(row, dict):
                _check_columns(row, self.path)
                is_first = False
            yield _pair(row)

    def _json(self) -> Iterator[Any]:
        try:
            yield from json_values(self.path, max_value=MAX_ROW)
        except SourceError as error:
            raise _damaged(self.path, error.detail) from None

    def source_record(self) -> SourceRecord:
        """Where the rows came from; a table of metadata may say more than the file's name."""
        return SourceRecord(
            title=self.facts.title or self.path.name,
            author=self.facts.author,
            year=self.facts.year,
            license=self.facts.license,
            url=self.facts.url,
            sha256=self.sha256,
        )


def load_short(
    path: Path, *, license: str | None = None, metadata: Path | None = None
) -> ShortFile:
    """A file of short instructions; its rows are read when they are mixed.

    What is known about it comes from `metadata`, else from a metadata.csv or metadata.json beside
    it; `license` is used where neither names one. UserError: no such file, or of an unknown form.
    """
    if not path.is_file():
        raise UserError(
            f"got --mix-short {path}; allowed: a file that is there; fix: check the path"
        )
    if not path.name.lower().endswith(ENDINGS):
        raise UserError(
            f"got --mix-short {path}; allowed: {', '.join(ENDINGS)}; fix: convert it to JSONL"
        )
    beside = [path.with_name(name) for name in METADATA_NAMES]
    said = Facts()
    for table in [metadata, *beside]:
        if table is not None and (table == metadata or table.is_file()):
            sidecar = load_sidecar(table)
            key = sidecar.row_for(path.as_posix(), path, path.parent)
            said = said.over(sidecar.rows[key]) if key is not None else said
    return ShortFile(path=path, sha256=sha256_of(path), facts=said.over(Facts(license=license)))


def _check_columns(row: Mapping[str, Any], path: Path) -> None:
    if "messages" not in row and not {"instruction", "output"} <= row.keys():
        raise UserError(
            f"got --mix-short {path} with the columns {', '.join(sorted(row)[:12]) or '(none)'}; "
            "allowed: instruction and output, with or without input, or messages; "
            "fix: rename the columns"
        )


def _pair(row: Any) -> tuple[str, str] | str:
    """Question and answer of a row, or why it has none."""
    if isinstance(row, NotJSON):
        return row
    if not isinstance(row, dict):
        return "not an object"
    if isinstance(row.get("messages"), list):
        turns = [turn if isinstance(turn, dict) else {} for turn in row["messages"]]
        if [turn.get("role") for turn in turns] != ["user", "assistant"]:
            return "not one user and one assistant turn"
        asked, more, answered = turns[0].get("content"), None, turns[1].get("content")
    else:
        asked, more, answered = row.get("instruction"), row.get("input"), row.get("output")
    if not isinstance(asked, str) or not asked.strip():
        return "no instruction"
    if not isinstance(answered, str) or not answered.strip():
        return "no answer"
    if more is not None and not isinstance(more, str):
        return "an input that is no text"
    question = "\n\n".join(part.strip() for part in (asked, more or "") if part.strip())
    answer = answered.strip()
    try:
        (question + answer).encode()
    except UnicodeEncodeError:
        return "half a character"
    return question, answer


def _parquet(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            there = file.schema_arrow.names
            columns = [name for name in _COLUMNS if name in there]
            _check_columns(dict.fromkeys(there), path)
            for batch in file.iter_batches(_BATCH, columns=columns):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, why: str) -> UserError:
    said = " ".join(why.split())[:200]
    return UserError(
        f"got --mix-short {path}, which cannot be read ({said}); allowed: JSON, JSONL or Parquet "
        "in UTF-8; fix: write the file again"
    )
