"""A dataset's rows in the forms that other training code reads, one record per row.

    export(Path("my-dataset"), format="longalpaca")  -> my-dataset/export/longalpaca-train.json
    record_of(row, "messages")
    -> {"id": …, "question_kind": …, "messages": [{"role": "user", "content": "Below is …"},
                                                 {"role": "assistant", "content": "Alice"}]}
    parse("messages", record).question     -> "Who says: “Nonsense”?"

Prompts are those of training and chat (longdata.prompt_template); only `longalpaca` has the strings
of the rows that LongAlpaca published (longqa.longalpaca). Every record is read back as it is
written: those that do not give their row again are counted, for a question may hold a form's own
strings.

One row group of the dataset is held at a time, and one of the export when that is Parquet.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from longdata.atomic import writing
from longdata.documents import DocumentKind
from longdata.errors import UserError
from longdata.prompt_template import SHORT, head, prompt_of, short_prompt, tail, titles_of
from longqa import longalpaca
from longqa.dataset import read_rows, split_paths
from longqa.facts import SPLITS
from longqa.longalpaca import Parsed

FOLDER = "export"  # inside the dataset folder; `datasets` looks into data/ alone
_GROUP_CHARACTERS = 16 << 20  # of a Parquet row group

_LONGALPACA = ("instruction", "input", "output", "file")
_PLAIN = ("id", "question_kind")


def _schema(plain: Iterable[str], turns: Mapping[str, tuple[str, str]]) -> pa.Schema:
    lists = [
        (name, pa.list_(pa.struct([(key, pa.string()) for key in keys])))
        for name, keys in turns.items()
    ]
    return pa.schema([(name, pa.string()) for name in plain] + lists)


_SCHEMAS = {
    "longalpaca": _schema(_LONGALPACA, {}),
    "messages": _schema(_PLAIN, {"messages": ("role", "content")}),
    "sharegpt": _schema(_PLAIN, {"conversations": ("from", "value")}),
    "trl": _schema(_PLAIN, {"prompt": ("role", "content"), "completion": ("role", "content")}),
}
FORMATS = tuple(_SCHEMAS)


@dataclass(slots=True, kw_only=True)
class Exported:
    """What was written, and how long its rows are by the dataset's exact counts."""

    path: Path
    num_bytes: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    row_tokens: Counter[int] = field(default_factory=Counter)
    ctx: Counter[int] = field(default_factory=Counter)
    num_over: int = 0  # rows that are longer than their own budget
    num_unclear: int = 0  # records that do not give their row again when they are read

    @property
    def num_rows(self) -> int:
        """All rows."""
        return self.by_kind.total()

    def add(self, row: Mapping[str, Any], *, is_clear: bool) -> None:
        """Count one row."""
        self.by_kind[row["question_kind"]] += 1
        self.row_tokens[row["row_tokens"]] += 1
        self.ctx[row["ctx"]] += 1
        self.num_over += row["row_tokens"] > row["ctx"]
        self.num_unclear += not is_clear

    def num_cut(self, window: int) -> int:
        """Rows that lose tokens of their answer where rows are cut on the right at a window."""
        return sum(count for tokens, count in self.row_tokens.items() if tokens > window)


def export(
    folder: Path,
    *,
    format: str,
    split: str = "train",
    out: Path | None = None,
    force: bool = False,
) -> Exported:
    """Write one split in a format; `out` ends in .jsonl, .parquet or (longalpaca) .json.

    UserError: an unknown format or ending, a split without rows, a file that is there and no
    `force`, a place that cannot be written. Then nothing is written.
    """
    endings = _endings(format)
    there = [str(name) for name in split_paths(folder)]
    if split not in there:
        known = split in SPLITS
        raise UserError(
            f"got --split {split}, "
            + ("which has no row in this dataset" if known else "which is no split")
            + f"; allowed: {', '.join(there)}; fix: take one of these"
        )
    path = folder / FOLDER / f"{format}-{split}{endings[0]}" if out is None else out
    _check_place(path, folder, endings, force=force)
    exported = Exported(path=path)
    try:
        if out is None:
            path.parent.mkdir(exist_ok=True)
        with writing(path) as part:
            _WRITERS[path.suffix](_records(folder, split, format, exported), part, _SCHEMAS[format])
            if not exported.num_rows:
                raise UserError(
                    f"got {folder}, where {split} has no row; allowed: a split with rows; "
                    "fix: export another split, or build from more documents"
                )
        exported.num_bytes = path.stat().st_size
    except OSError as error:
        raise UserError(
            f"got {path}, which cannot be written ({error.strerror or error}); allowed: a file in "
            "a folder that is there, writable and has room; fix: choose another --out"
        ) from error
    return exported


def record_of(row: Mapping[str, Any], format: str) -> dict[str, Any]:
    """A row of `longqa.dataset.SCHEMA` as a record of a format."""
    if format == "longalpaca":
        text = longalpaca.instruction(
            context=row["context"],
            question=row["question"],
            title=titles_of(row),
            kind=row["material_kind"],
        )
        return dict(zip(_LONGALPACA, (text, "", row["answer"], titles_of(row)), strict=True))
    user, assistant = prompt_of(row), row["answer"]
    record: dict[str, Any] = {name: row[name] for name in _PLAIN}
    if format == "sharegpt":
        turns = [{"from": "human", "value": user}, {"from": "gpt", "value": assistant}]
        return {**record, "conversations": turns}
    asked = [{"role": "user", "content": user}]
    answered = [{"role": "assistant", "content": assistant}]
    if format == "trl":
        return {**record, "prompt": asked, "completion": answered}
    if format == "messages":
        return {**record, "messages": asked + answered}
    raise ValueError(f"got the format {format}; allowed: {', '.join(FORMATS)}")


def parse(format: str, record: Mapping[str, Any]) -> tuple[Parsed, str]:
    """What the prompt of a record says, and the answer."""
    if format == "longalpaca":
        return longalpaca.parse(record["instruction"]), record["output"]
    if format == "sharegpt":
        user, assistant = (turn["value"] for turn in record["conversations"])
    elif format == "trl":
        user, assistant = record["prompt"][0]["content"], record["completion"][0]["content"]
    else:
        user, assistant = (turn["content"] for turn in record["messages"])
    if record["question_kind"] == SHORT:
        ending = short_prompt("")
        return Parsed(kind=SHORT, context="", question=user.removesuffix(ending)), assistant
    return parse_prompt(user), assistant


def parse_prompt(text: str) -> Parsed:
    """A prompt of `longdata.prompt_template` taken apart: from its opening to its last closing.

    ValueError: it is none. A context may hold the template's strings; a question or a title may
    not.
    """
    closing, ending = tail("\0").split("\0")
    end = text.rfind(closing)
    for before, after, kind in _heads():
        start = text.find(after) if text.startswith(before) else -1
        if 0 <= start < end and text.endswith(ending):
            title, author = _title_and_author(text[len(before) : start])
            return Parsed(
                kind=kind,
                context=text[start + len(after) : end],
                question=text[end + len(closing) : len(text) - len(ending)],
                title=title,
                author=author,
            )
    raise ValueError("got a text that is no prompt of longdata.prompt_template")


@cache
def _heads() -> list[tuple[str, str, str]]:
    """What stands before a title and after an author, for each kind, whole or in part."""
    kinds: tuple[DocumentKind, ...] = get_args(DocumentKind)
    heads: list[tuple[str, str, str]] = []
    for kind in kinds:
        for is_whole in (True, False):
            text = head(title="\0", author=None, kind=kind, is_whole=is_whole)
            before, after = text.split("\0")
            heads.append((before, after.removeprefix("”"), kind))
    return heads


def _title_and_author(text: str) -> tuple[str, str | None]:
    """A title” by An Author -> "A title", "An Author"; A title” -> "A title", None."""
    if text.endswith("”"):
        return text[:-1], None
    title, _, author = text.rpartition("” by ")
    return title, author


def _records(folder: Path, split: str, format: str, exported: Exported) -> Iterator[dict[str, Any]]:
    for row in read_rows(folder):
        if row["split"] != split:
            if exported.num_rows:
                return  # splits follow one another
            continue
        record = record_of(row, format)
        parsed, answer = parse(format, record)
        read = (parsed.kind, parsed.context, parsed.question, answer)
        written = tuple(row[name] for name in ("material_kind", "context", "question", "answer"))
        exported.add(row, is_clear=read == written)
        yield record


def _endings(format: str) -> tuple[str, ...]:
    """The endings a format's file may have, the usual one first."""
    if format not in FORMATS:
        raise UserError(
            f"got --format {format}; allowed: {', '.join(FORMATS)}; fix: take one of these"
        )
    return (".json", ".jsonl", ".parquet") if format == "longalpaca" else (".jsonl", ".parquet")


def _check_place(path: Path, folder: Path, endings: tuple[str, ...], *, force: bool) -> None:
    if path.suffix not in endings:
        raise UserError(
            f"got --out {path}; allowed: a name that ends in {', '.join(endings)}; "
            f"fix: --out {path.with_suffix(endings[0]).name}"
        )
    if path.resolve().is_relative_to((folder / "data").resolve()):
        raise UserError(
            f"got --out {path}, where `datasets` looks for the dataset itself; allowed: any other "
            f"folder; fix: leave --out away, for {folder / FOLDER}"
        )
    if path.is_dir() or (path.exists() and not force):
        what = "a folder" if path.is_dir() else "a file that is there"
        raise UserError(
            f"got {path}, which is {what}; allowed: a new file, or any with --force; "
            "fix: choose another --out, or add --force"
        )


def _write_list(records: Iterable[dict[str, Any]], path: Path, schema: pa.Schema) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        before = "[\n"
        for record in records:
            file.write(before + json.dumps(record, ensure_ascii=False))
            before = ",\n"
        file.write("\n]\n")


def _write_lines(records: Iterable[dict[str, Any]], path: Path, schema: pa.Schema) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _write_parquet(records: Iterable[dict[str, Any]], path: Path, schema: pa.Schema) -> None:
    group: list[dict[str, Any]] = []
    size = 0
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        for record in records:
            group.append(record)
            size += len(str(record))
            if size >= _GROUP_CHARACTERS:
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
                group, size = [], 0
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


_WRITERS = {".json": _write_list, ".jsonl": _write_lines, ".parquet": _write_parquet}
