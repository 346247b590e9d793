"""Small corpora, orders and digests for the tests of packing."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from eval_sets import WORDS, word_tokenizer

from longdata.engines import Engine
from longdata.pack import Packed, pack_corpus
from longdata.pack_order import Order
from longdata.tokenizers import Tokenizer

CTX = (32, 128)


def tokenizer_file(folder: Path, **options: Any) -> str:
    """A tokenizer of words, BOS and EOS named."""
    word_tokenizer(folder / "words.json", **options)
    return str(folder / "words.json")


def texts(count: int, *, seed: int = 0, most: int = 300) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randrange(1, most))) for _ in range(count)]


def corpus(folder: Path, *, count: int = 60) -> Path:
    """Three files of rows: two sources by name, one that its rows name."""
    folder.mkdir(parents=True, exist_ok=True)
    for at, name in enumerate(("arxiv/00.jsonl", "web/a.jsonl", "web/b.jsonl")):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        rows: list[dict[str, Any]] = [{"text": text} for text in texts(count, seed=at)]
        if name == "web/b.jsonl":
            rows = [{**row, "red_pajama_subset": "book"} for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def order(source: Path | str | tuple[str, ...], out: Path, tokenizer: str, **options: Any) -> Order:
    sources = source if isinstance(source, tuple) else (str(source),)
    return Order(**{"sources": sources, "out": out, "ctx": CTX, "tokenizer": tokenizer, **options})


def run(
    source: Path | str | tuple[str, ...],
    out: Path,
    tokenizer: str,
    *,
    workers: int = 1,
    **options: Any,
) -> Packed:
    return pack_corpus(order(source, out, tokenizer, **options), Engine(workers=workers))


def digests(out: Path) -> dict[str, str]:
    """Every file of a result, the card too, but not the work beside it."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".work" not in path.parts
    }


def documents_of(out: Path, ctx: int) -> dict[str, list[int]]:
    """The tokens of each document, put together from its pieces; each must be there once."""
    pieces: dict[str, dict[int, list[int]]] = {}
    for row in rows_of(out, ctx):
        assert len(row["input_ids"]) == ctx == sum(row["seq_lengths"])
        place = 0
        bounds = row["seq_lengths"][: len(row["documents"])]
        for name, start, length in zip(row["documents"], row["starts"], bounds, strict=True):
            assert start not in pieces.setdefault(name, {})
            pieces[name][start] = row["input_ids"][place : place + length]
            place += length
        assert place == ctx - row["n_pad"]
    found: dict[str, list[int]] = {}
    for name, parts in pieces.items():
        whole: list[int] = []
        for start in sorted(parts):
            assert start == len(whole), name
            whole += parts[start]
        found[name] = whole
    return found


def rows_of(out: Path, ctx: int) -> Iterator[dict[str, Any]]:
    for path in sorted((out / f"ctx-{ctx}" / "data").glob("*.parquet")):
        yield from pq.read_table(path).to_pylist()


def expected(folder: Path, tokenizer: Tokenizer) -> dict[str, list[int]]:
    """The tokens of each row of .jsonl files below a folder, by the name of its document."""
    assert tokenizer.eos_id is not None
    found: dict[str, list[int]] = {}
    for path in sorted(folder.rglob("*.jsonl")):
        place = 0
        for line in path.read_bytes().splitlines(keepends=True):
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}:{place}"
            found[name] = [*tokenizer.encode(json.loads(line)["text"]), tokenizer.eos_id]
            place += len(line)
    return found
