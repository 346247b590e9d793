"""One row on a terminal: every piece with its place, its document and its first and last words.

    row = read_row(folder, facts, 12)            # from one row group; nothing is unpacked
    print_row(row, words_of(None, name, fingerprint), console, short=False)

    | 0 to 5,000  arxiv  arxiv/3.jsonl:81920  whole, 5,000 tokens
    |   <s> The river ran by the old lamp, and nobody at the harbour office had …
    |   … was the last letter that he wrote.</s>
    | 5,000 to 8,192  padding, token 0

What comes from documents is printed as text, never as markup or control codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from longdata.errors import UserError
from longdata.packed_words import Facts
from longdata.tokenizers import DEFAULT_NAME, Tokenizer

ENDS = 24  # tokens at each end of a piece that are shown
SHOWN = 24  # pieces of a row that nobody asked for

_Name = TypeVar("_Name")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """tokens[…] of a row; `where` says which document it is, and which part."""

    first: int
    ids: NDArray[Any]
    where: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """What is printed of a row, or of a document of a token set."""

    title: str
    pieces: tuple[Piece, ...]
    padding: int
    pad_id: int


def read_row(folder: Path, facts: Facts, number: int) -> Row:
    """One row, out of its row group."""
    shard, at = _find(list(facts["shards"].items()), number)
    file = pq.ParquetFile(folder / shard)
    counts = [file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups)]
    group, at = _find(list(enumerate(counts)), at)
    table = file.read_row_group(group, use_threads=False).slice(at, 1)
    ids = table["input_ids"].combine_chunks().flatten().to_numpy()
    row = {name: table[name][0].as_py() for name in table.column_names[1:]}
    of_pieces = (row["sources"], row["documents"], row["starts"], row["document_lengths"])
    pieces = []
    for (low, high), (source, document, start, length) in zip(
        pairwise(np.cumsum([0, *row["seq_lengths"]]).tolist()),
        zip(*of_pieces, strict=True),
        strict=False,  # a last segment is padding
    ):
        where = f"{source}  {document}  {_part(start, high - low, length)}"
        pieces.append(Piece(first=low, ids=ids[low:high], where=where))
    count = f"{len(pieces)} piece{'' if len(pieces) == 1 else 's'}"
    return Row(
        title=f"row {number:,} of ctx-{facts['ctx']}: {facts['ctx']:,} tokens, {count}",
        pieces=tuple(pieces),
        padding=int(row["n_pad"]),
        pad_id=int(facts["pad_id"]),
    )


def _find(sizes: Sequence[tuple[_Name, int]], number: int) -> tuple[_Name, int]:
    """Which one holds the number, counted through all, and its place there."""
    for name, size in sizes:
        if number < size:
            return name, number
        number -= size
    raise IndexError(number)


def _part(start: int, size: int, of: int) -> str:
    if size == of:
        return f"whole, {of:,} tokens"
    return f"tokens {start:,} to {start + size:,} of {of:,}"


def print_row(row: Row, words: Words, console: Console, *, short: bool) -> None:
    """Print it; with `short` a row of many pieces is shortened."""
    console.print()
    console.print(Text(row.title, style="bold"), highlight=False)
    if words.problem:
        console.print(safe(words.problem), highlight=False)
    hidden = range(0)
    if short and len(row.pieces) > SHOWN:
        hidden = range(2 * SHOWN // 3, len(row.pieces) - SHOWN // 3)
    for number, piece in enumerate(row.pieces):
        if number in hidden:
            if number == hidden.start:
                console.print(f"  … {len(hidden):,} pieces more: --row shows them all")
            continue
        place = f"{piece.first:,} to {piece.first + len(piece.ids):,}"
        line = Text.assemble("| ", (place, "bold cyan"), "  ", safe(piece.where))
        console.print(line, highlight=False, soft_wrap=True)
        for shown in words.of(piece.ids):
            console.print(safe(f"|   {shown}"), highlight=False, soft_wrap=True)
    if row.padding:
        end = sum(len(piece.ids) for piece in row.pieces) + row.padding
        place = f"{end - row.padding:,} to {end:,}"
        line = Text.assemble("| ", (place, "bold cyan"), f"  padding, token {row.pad_id}")
        console.print(line, highlight=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Tokens as text; where there is no tokenizer, as numbers, and `problem` says why."""

    tokenizer: Tokenizer | None
    problem: str = ""

    def of(self, ids: NDArray[Any]) -> list[str]:
        """The first and the last words, in one line or two."""
        numbers = ids.tolist()
        if len(numbers) <= 2 * ENDS:
            return [self._text(numbers)]
        return [
            f"{self._text(numbers[:ENDS])} …",
            f"… {self._text(numbers[-ENDS:])}",
        ]

    def _text(self, ids: Sequence[int]) -> str:
        if self.tokenizer is None:
            return " ".join(map(str, ids))
        return " ".join(self.tokenizer.decode(ids).split())


def words_of(asked: str | None, name: str, fingerprint: str, file: str | None = None) -> Words:
    """The tokenizer asked for, or the one the tokens name, or the `file` they were made with.

    Raises UserError when the one asked for is not that of the tokens.
    """
    if asked is not None:
        tokenizer = Tokenizer.load(asked)
        if tokenizer.fingerprint != fingerprint:
            raise UserError(
                f"got --tokenizer {asked} ({tokenizer.fingerprint[:12]}); allowed: the one of the "
                f"tokens, {name} ({fingerprint[:12]}); fix: name that one, or leave it out"
            )
        return Words(tokenizer=tokenizer)
    why = "is not here"
    for each in [None if name == DEFAULT_NAME else name, *([file] if file else [])]:
        try:
            tokenizer = Tokenizer.load(each)
        except UserError:
            continue
        if tokenizer.fingerprint == fingerprint:
            return Words(tokenizer=tokenizer)
        why = "is another one here"
    told = f"tokens are shown as numbers: their tokenizer {name} ({fingerprint[:12]}) {why}; fix: "
    return Words(tokenizer=None, problem=f"{told}name it with --tokenizer")


def safe(text: str) -> Text:
    """What comes from files, as text: no markup, no control codes, one line."""
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
