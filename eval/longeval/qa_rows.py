"""The questions of a LongQA dataset: its test split, from a folder or the Hub.

    rows = read_rows("my-dataset", split="test")       # or a Hub id: "somebody/my-dataset"
    rows[0].prompt        -> the prompt that the dataset was built for, ending in "Answer:"
    rows[0].closed        -> the same question without the text, with its title
    rows[0].depth         -> 0.42: where in the context the evidence stands

Rows are Parquet files as `longqa build` writes them. A row without a text (a short one) is left out
and counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from longdata.errors import UserError
from longdata.prompt_template import SHORT, prompt_of, short_prompt, titles_of

SPLITS = ("test", "validation", "train")
NO_TEXT = "a short row, which has no text"

_NEEDED = (
    "id",
    "question",
    "answer",
    "context",
    "ctx",
    "question_kind",
    "material_kind",
    "is_whole",
    "evidence",
    "sources",
)
_NOUNS = {"book": "book", "paper": "paper", "papers": "papers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class QaRow:
    """A question, asked with its text or without. `depth`: None without evidence."""

    id: str
    prompt: str
    closed: str
    answer: str
    ctx: int
    question_kind: str
    material_kind: str
    depth: float | None
    document: str  # of which it asks: questions about one text are not independent

    def without_text(self) -> QaRow:
        """The same question, closed book."""
        return replace(self, id=f"{self.id} closed", prompt=self.closed)


def read_rows(source: str, *, split: str = "test") -> tuple[list[QaRow], dict[str, int]]:
    """The rows with a text, and how many are left out, by reason. UserError: none there."""
    if split not in SPLITS:
        raise UserError(f"got --split {split}; allowed: {', '.join(SPLITS)}; fix: choose one")
    left_out: Counter[str] = Counter()
    found: dict[str, QaRow] = {}
    for path in _files(source, split):
        for row in _rows_of(path):
            if row["material_kind"] == SHORT or not row["context"]:
                left_out[NO_TEXT] += 1
            else:
                one = _row(row)
                found[one.id] = one
    if not found:
        raise UserError(
            f"got {source}, whose {split} split has no question with a text; allowed: at least "
            "one; fix: --split train, or a dataset with more documents"
        )
    return list(found.values()), dict(left_out)


def _files(source: str, split: str) -> list[Path]:
    folder = Path(source)
    if not folder.is_dir():
        folder = _from_hub(source, split)
    files = sorted((folder / "data").glob(f"{split}-*.parquet"))
    if not files:
        raise UserError(
            f"got {source}, which has no {split} split in data/; allowed: a dataset of longqa "
            "build; fix: check the path, or choose another --split"
        )
    return files


def _from_hub(name: str, split: str) -> Path:
    from huggingface_hub import errors, snapshot_download

    # What its HTTP library raises: httpx in some versions, httpx2 in others.
    http_error: type[Exception] = errors.HfHubHTTPError.__mro__[1]
    try:
        return Path(
            snapshot_download(name, repo_type="dataset", allow_patterns=[f"data/{split}-*.parquet"])
        )
    except (http_error, errors.HFValidationError, OSError, ValueError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:150]
        raise UserError(
            f"got the dataset {name}, which is neither a folder nor on the Hub ({line}); allowed: "
            "a folder that longqa build wrote, or a dataset's Hub id; fix: check the spelling"
        ) from error


def _rows_of(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, read_dictionary=["context"]) as file:
            missing = [name for name in _NEEDED if name not in file.schema_arrow.names]
            if missing:
                raise UserError(
                    f"got {path}, which has no column {', '.join(missing)}; allowed: a dataset of "
                    "longqa build; fix: build it again"
                )
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=list(_NEEDED))
                rest = table.drop_columns("context").to_pylist()
                for row, text in zip(rest, _shared(table.column("context")), strict=True):
                    yield {**row, "context": text}
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"got {path}, which cannot be read ({str(error).splitlines()[0][:150]}); allowed: a "
            "file as longqa build wrote it; fix: build or copy it again"
        ) from error


def _shared(column: Any) -> Iterator[str | None]:
    """The texts of a column; rows with the same text share one object."""
    import pyarrow as pa

    array = column.combine_chunks()
    if not pa.types.is_dictionary(array.type):  # nothing but nulls
        yield from array.to_pylist()
        return
    texts = array.dictionary.to_pylist()
    for place in array.indices.to_pylist():
        yield None if place is None else texts[place]


def _row(row: Mapping[str, Any]) -> QaRow:
    prompt = prompt_of(row)
    depths = [one["depth"] for one in row["evidence"] or () if one["depth"] is not None]
    source = row["sources"][0]
    key = hashlib.sha256(f"{row['id']}\0{prompt}".encode()).hexdigest()[:16]
    return QaRow(
        id=key,
        prompt=prompt,
        closed=closed_book(row),
        answer=row["answer"],
        ctx=row["ctx"],
        question_kind=row["question_kind"],
        material_kind=row["material_kind"],
        depth=sum(depths) / len(depths) if depths else None,
        document=str(source["sha256"] or source["title"]),
    )


def closed_book(row: Mapping[str, Any]) -> str:
    """The question without its text; the title and the author say what it is about."""
    noun = _NOUNS.get(row["material_kind"], "document")
    author = row["sources"][0]["author"]
    by = f" by {author}" if author and noun != "papers" else ""
    return short_prompt(
        f"The question is about the {noun} “{titles_of(row)}”{by}.\n\nQuestion: {row['question']}"
    )
