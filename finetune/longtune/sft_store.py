"""Rows in tokens on disk: made once, read by every process of a run, the same ones every time.

    prepared = prepare("my-dataset", tokenizer, template="plain", ctx=16384, out=Path("run/rows"))
    prepared.refused                -> {"longer than the context": 12}
    prepared.ids(7)[: prepared.num_prompt[7]]      the prompt of row 7

What does not fit is left out, counted by reason and listed in `…refused.jsonl`: a row that is cut
has lost its answer, and nothing would be learned from it. The rest goes to `….tokens` (int32, one
row behind the other, memory-mapped) and a JSON file of lengths, whose names depend on data,
tokenizer, template and context. Of several processes the first one of each machine writes, the
others wait for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longdata.atomic import disk_errors, write_file, writing
from longdata.errors import UserError
from longdata.sources import sha256_of
from longtune.config import Template
from longtune.sft_rows import Row, Unread, files_of, rows_of
from longtune.sft_tokens import Encoded, PromptEncoder

TOO_LONG = "longer than the context"

_FORMAT = 1  # of the files; another number for other tokens of the same rows
_BATCH_CHARACTERS = 1 << 20  # encoding takes some hundred bytes of memory for each
_CHARACTERS_PER_TOKEN = 128  # no token has more: what is longer is not even encoded
_WAIT = 0.5  # seconds


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Rows in tokens: row i is tokens[starts[i] : starts[i + 1]], its answer after num_prompt[i].

    `num_rows` counts what was read; num_rows = len(self) + the sum of `refused`.
    """

    fingerprint: str
    names: tuple[str, ...]
    tokens: NDArray[np.int32]
    starts: NDArray[np.int64]
    num_prompt: NDArray[np.int64]
    num_rows: int
    refused: Mapping[str, int]
    refused_file: Path

    def __len__(self) -> int:
        return len(self.num_prompt)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row."""
        return np.diff(self.starts)

    @property
    def num_answer_tokens(self) -> int:
        """Tokens that are learned, in all rows."""
        return int((self.lengths - self.num_prompt).sum())

    def ids(self, row: int) -> NDArray[np.int32]:
        """The tokens of a row."""
        return self.tokens[self.starts[row] : self.starts[row + 1]]


def prepare(data: str, tokenizer: Any, *, template: Template, ctx: int, out: Path) -> Prepared:
    """The rows of `data` that fit into `ctx` tokens.

    Raises UserError for data that cannot be read, and when no row of it fits.
    """
    fingerprint = fingerprint_of(data, tokenizer, template=template, ctx=ctx)
    index = out / f"{fingerprint[:16]}.json"
    if not index.is_file():
        if os.environ.get("LOCAL_RANK", "0") == "0":
            encoder = PromptEncoder(tokenizer, template=template)
            with disk_errors(out):
                out.mkdir(parents=True, exist_ok=True)
                _write(data, encoder, ctx=ctx, index=index)
        while not index.is_file():  # a launcher ends this process when the one that writes ends
            time.sleep(_WAIT)
    prepared = _open(index, fingerprint)
    if not len(prepared):
        said = ", ".join(f"{number:,} {reason}" for reason, number in prepared.refused.items())
        raise UserError(
            f"got --data {data} with no row to train on ({said or 'it is empty'}); allowed: rows "
            f"of up to {ctx:,} tokens with an answer; fix: a longer --ctx, or other rows; "
            f"{_listed(index)} lists them"
        )
    return prepared


def fingerprint_of(data: str, tokenizer: Any, *, template: Template, ctx: int) -> str:
    """What decides the tokens: the bytes of the rows, the tokenizer, the template, the context."""
    digest = hashlib.sha256(f"{_FORMAT} {template} {ctx}\n".encode())
    for path in files_of(data):
        digest.update(f"{path.name} {sha256_of(path)}\n".encode())
    digest.update(tokenizer.backend_tokenizer.to_str().encode())
    said = (tokenizer.eos_token_id, tokenizer.chat_template if template == "chat" else None)
    digest.update(json.dumps(said, sort_keys=True).encode())
    return digest.hexdigest()


def _write(data: str, encoder: PromptEncoder, *, ctx: int, index: Path) -> None:
    names: list[str] = []
    lengths: list[int] = []
    num_prompt: list[int] = []
    refused: Counter[str] = Counter()
    with (
        writing(index.with_suffix(".tokens")) as part,
        writing(_listed(index)) as part_listed,
        part.open("wb") as tokens,
        part_listed.open("w", encoding="utf-8", newline="\n") as lines,
    ):
        for row in _encoded(data, encoder, ctx=ctx):
            if isinstance(row, Encoded) and len(row.ids) <= ctx:
                tokens.write(row.ids.astype("<i4").tobytes())
                names.append(row.name)
                lengths.append(len(row.ids))
                num_prompt.append(row.num_prompt)
                continue
            said: dict[str, Any] = {"row": row.name, "reason": TOO_LONG, "ctx": ctx}
            if isinstance(row, Encoded):
                said["tokens"] = len(row.ids)
            else:
                said["reason"] = row.reason
            refused[said["reason"]] += 1
            lines.write(json.dumps(said, ensure_ascii=False) + "\n")
    facts = {
        "names": names,
        "lengths": lengths,
        "num_prompt": num_prompt,
        "refused": dict(refused.most_common()),
    }
    write_file(index, json.dumps(facts))  # last: where it is, the tokens are whole


def _listed(index: Path) -> Path:
    """The file that lists what was refused."""
    return index.with_suffix(".refused.jsonl")


def _encoded(data: str, encoder: PromptEncoder, *, ctx: int) -> Iterator[Encoded | Unread]:
    """Every row in its order, encoded in batches of bounded size."""
    waiting: list[Row | Unread] = []
    size = 0
    for row in rows_of(data):
        if isinstance(row, Row):
            length = sum(len(turn.text) for turn in row.turns)
            if length > ctx * _CHARACTERS_PER_TOKEN:
                row = Unread(name=row.name, reason=TOO_LONG)
            else:
                size += length
        waiting.append(row)
        if size > _BATCH_CHARACTERS:
            yield from _batch(waiting, encoder)
            waiting, size = [], 0
    yield from _batch(waiting, encoder)


def _batch(waiting: list[Row | Unread], encoder: PromptEncoder) -> Iterator[Encoded | Unread]:
    encoded = iter(encoder.encode([row for row in waiting if isinstance(row, Row)]))
    for row in waiting:
        yield next(encoded) if isinstance(row, Row) else row


def _open(index: Path, fingerprint: str) -> Prepared:
    facts = json.loads(index.read_text(encoding="utf-8"))
    lengths = np.array(facts["lengths"], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    path = index.with_suffix(".tokens")
    size = path.stat().st_size if path.is_file() else -1
    if size != 4 * starts[-1]:
        raise UserError(
            f"got {path} with {size:,} bytes, where {4 * int(starts[-1]):,} belong; allowed: the "
            f"file as it was written; fix: remove {index} and run the same command again"
        )
    tokens = np.memmap(path, "<i4", mode="r") if size else np.empty(0, np.int32)
    return Prepared(
        fingerprint=fingerprint,
        names=tuple(facts["names"]),
        tokens=tokens,
        starts=starts,
        num_prompt=np.array(facts["num_prompt"], np.int64),
        num_rows=len(lengths) + sum(facts["refused"].values()),
        refused=facts["refused"],
        refused_file=_listed(index),
    )
