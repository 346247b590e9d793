"""Texts → a set of tokens to measure a model on, with an account of what became of every text.

    order = Order(source="proof-pile", tokenizer=Tokenizer.load("meta-llama/Llama-2-7b-hf"),
                  out=Path("proof-pile"), min_tokens=32_768, documents=128)
    prepare(order).facts["account"]
    -> {"found": 46000, "kept": 128, "dropped": {"too few tokens": 45000, "not drawn": 872}}

`source` is pg19 or proof-pile (`evaluation_sets`: files of the Hub at one commit, fetched or out of
the cache) or a path. A text is encoded without special tokens; BOS is put before it and EOS after
it as asked, never a second one beside one that is there. By default that is EOS alone: LongLoRA's
file format comes from landmark attention's `prepare.py`, which appends one end-of-text token to
each text. The tokens stand in the order of the sources, whatever the number of workers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from longdata.drawing import Draw
from longdata.errors import UserError
from longdata.eval_sources import EvalFiles, files_of, public_name
from longdata.eval_summary import lengths_of
from longdata.eval_token_writer import TokenWriter
from longdata.eval_tokens import NAME, VERSION, EvalDocument, dtype_for, open_tokens, paths_of
from longdata.sources import Skip, Source
from longdata.token_stream import Stretch, encoded
from longdata.tokenizers import Tokenizer
from longdata.verbatim import texts_of

MOST_LISTED = 1_000  # texts and files left out that are listed one by one
TOO_SHORT, NOT_DRAWN = "too few tokens", "not drawn"
FORMATS = ("longdata", "longlora")

Tell = Callable[[int, int], None]  # documents and tokens so far


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to make. `documents` None: all that are long enough."""

    source: str
    tokenizer: Tokenizer
    out: Path
    split: str = "test"
    min_tokens: int = 1  # of the text, without BOS and EOS
    documents: int | None = None
    seed: int = 0
    bos: bool = False
    eos: bool = True
    format: str = "longdata"  # or "longlora": `out` is a .bin file, and always 16-bit
    text_column: str = "text"
    clean: bool = False
    workers: int = 1
    offline: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        for option, given, least in (
            ("--min-tokens", self.min_tokens, 1),
            ("--documents", 1 if self.documents is None else self.documents, 1),
            ("--workers", self.workers, 1),
        ):
            if given < least:
                raise UserError(
                    f"got {option} {given}; allowed: {least} or more; fix: {option} {least}"
                )
        if self.format not in FORMATS:
            raise UserError(
                f"got --format {self.format}; allowed: {', '.join(FORMATS)}; fix: leave it out"
            )
        if self.format == "longlora" and self.out.suffix != ".bin":
            raise UserError(
                f"got --out {self.out.name} for --format longlora; allowed: the name of a .bin "
                f"file; fix: --out {self.out.name}/{self.split}.bin"
            )
        for option, wanted, id in (
            ("bos", self.bos, self.tokenizer.bos_id),
            ("eos", self.eos, self.tokenizer.eos_id),
        ):
            if wanted and id is None:
                name = public_name(self.tokenizer.name)
                raise UserError(
                    f"got --{option} and a tokenizer that has none ({name}); allowed: with a "
                    f"tokenizer that names its {option.upper()}; fix: --no-{option}"
                )

    @property
    def binary(self) -> Path:
        return self.out if self.format == "longlora" else self.out / NAME

    @cached_property
    def vocab_size(self) -> int:
        """One more than the largest id: vocabularies may have holes."""
        return 1 + max(self.tokenizer.hf.get_vocab(with_added_tokens=True).values())

    @property
    def bos_id(self) -> int | None:
        """What is put before a text: nothing where BOS and EOS are one token, which EOS writes."""
        same = self.eos and self.tokenizer.bos_id == self.tokenizer.eos_id
        return self.tokenizer.bos_id if self.bos and not same else None

    @property
    def eos_id(self) -> int | None:
        return self.tokenizer.eos_id if self.eos else None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A set that is on disk, and what its sidecar says."""

    path: Path
    facts: dict[str, Any]
    is_new: bool  # False: it was there already, made from the same with the same


def prepare(order: Order, tell: Tell = lambda documents, tokens: None) -> Prepared:
    """Make the set; nothing of it is there before it is whole.

    UserError: no such source, nothing in it that can be kept, another set in its place, a
    vocabulary that the format cannot hold, a disk that cannot be written.
    """
    dtype = dtype_for(order.vocab_size)
    if order.format == "longlora" and dtype != "uint16":
        raise UserError(
            f"got --format longlora and a vocabulary of {order.vocab_size:,}; allowed: 65,536 or "
            "fewer, its tokens have 16 bits; fix: leave --format out, then they get 32"
        )
    files = files_of(
        order.source, split=order.split, text_column=order.text_column, offline=order.offline
    )
    plan = _plan(order, files)
    if (there := _already(order, plan)) is not None:
        return there
    skips: list[Skip] = []
    texts = texts_of(files.sources, skips, clean=order.clean, named=files.named)
    with TokenWriter.open(order.binary, dtype) as writer:
        tally = _Tally(draw=Draw(limit=order.documents, seed=order.seed))
        for stretch in encoded(texts, order.tokenizer, workers=order.workers):
            _take(stretch, order, writer, tally, tell)
        documents = tally.draw.chosen
        if not documents:
            raise _nothing(order, tally, skips + tally.skips)
        facts = _facts(order, files, plan, documents, tally, skips + tally.skips)
        told = writer.finish(documents, facts)
    return Prepared(path=order.binary, facts=told, is_new=True)


@dataclass(kw_only=True)
class _Tally:
    """What became of the texts so far."""

    draw: Draw
    text: object = None  # the one whose stretches are coming
    count: int = 0  # its tokens, without BOS and EOS
    is_wanted: bool = False
    short: int = 0
    long_enough: int = 0
    tokens: int = 0
    skips: list[Skip] = field(default_factory=list)


def _take(stretch: Stretch, order: Order, writer: TokenWriter, tally: _Tally, tell: Tell) -> None:
    """One stretch into the file; at the end of its text, the text into the draw or out."""
    text = stretch.text
    if text is not tally.text:
        tally.text, tally.count, tally.is_wanted = text, 0, tally.draw.wants(text.id)
        writer.begin()
    if tally.is_wanted:
        if tally.count == 0 and order.bos_id is not None and order.bos_id not in stretch.ids[:1]:
            writer.append(np.array([order.bos_id]))
        writer.append(stretch.ids)
    tally.count += len(stretch.ids)
    tally.tokens += len(stretch.ids)
    if not stretch.is_last:
        return
    is_kept = False
    if (problem := stretch.problem) is not None:
        tally.skips.append(Skip(text.source, problem.reason, problem.detail))
    elif tally.count < order.min_tokens:
        tally.short += 1
    else:
        tally.long_enough += 1
        if tally.is_wanted:
            if order.eos_id is not None and writer.last != order.eos_id:
                writer.append(np.array([order.eos_id]))
            tally.draw.add(
                EvalDocument(
                    id=text.id,
                    title=text.title,
                    source=text.source,
                    start=writer.place,
                    tokens=writer.written,
                )
            )
            is_kept = True
    if not is_kept:
        writer.drop()
    tally.text = None
    tell(tally.short + tally.long_enough, tally.tokens)


def _plan(order: Order, files: EvalFiles) -> str:
    """A fingerprint of everything that decides the set."""
    decides = {
        "version": [VERSION, version("longqa")],
        "source": [files.name, files.split, files.revision],
        "files": [
            (files.named(source.name), source.sha256)
            for source in files.sources
            if isinstance(source, Source)
        ],
        "tokenizer": order.tokenizer.fingerprint,
        "ids": [order.bos_id, order.eos_id],
        "selection": [order.min_tokens, order.documents, order.seed],
        "text": [order.text_column, order.clean],
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]


def _already(order: Order, plan: str) -> Prepared | None:
    """The same set, if it is there. UserError when another one is and --force was not given."""
    binary, sidecar = paths_of(order.binary)
    if order.force or not (sidecar.exists() or (binary.exists() and binary.name != NAME)):
        return None
    try:
        found = open_tokens(binary)
    except UserError:
        found = None
    if found is not None and found.facts.get("plan") == plan:
        return Prepared(path=binary, facts=dict(found.facts), is_new=False)
    there = (binary if binary.exists() else sidecar).name
    raise UserError(
        f"got --out {order.out.name}, where there is another set ({there}); allowed: a new place, "
        "or the very set that is asked for; fix: another --out, or --force to replace it"
    )


def _nothing(order: Order, tally: _Tally, skips: Sequence[Skip]) -> UserError:
    name = public_name(order.source)
    if tally.short:
        return UserError(
            f"got {name}, in which none of {tally.short:,} documents has {order.min_tokens:,} "
            "tokens; allowed: a source with one at least; fix: a smaller --min-tokens"
        )
    first = next(iter(skips), None)
    why = (
        "no file to read"
        if first is None
        else f"{first.name}: {first.reason}" + (f", {first.detail}" if first.detail else "")
    )
    is_column = first is not None and first.reason == "no text column"
    fix = "name the column with --text-column" if is_column else "mend it or name another source"
    return UserError(f"got {name} ({why}); allowed: a source with texts; fix: {fix}")


def _facts(
    order: Order,
    files: EvalFiles,
    plan: str,
    documents: Sequence[EvalDocument],
    tally: _Tally,
    skips: Sequence[Skip],
) -> dict[str, Any]:
    """What the sidecar says beside sizes and documents."""
    tokenizer = order.tokenizer
    dropped = Counter(skip.reason for skip in skips)
    dropped[TOO_SHORT] += tally.short
    dropped[NOT_DRAWN] += tally.long_enough - len(documents)
    dropped = +dropped
    return {
        "source": {
            "name": files.name,
            "split": files.split,
            "revision": files.revision,
            "files": [
                {"name": files.named(source.name), "sha256": source.sha256}
                for source in files.sources
                if isinstance(source, Source)
            ],
        },
        "text": "cleaned by the readers" if order.clean else "as published",
        "tokenizer": {
            "name": public_name(tokenizer.name),
            "fingerprint": tokenizer.fingerprint,
            "vocab_size": order.vocab_size,
        },
        "bos": {"before_each": order.bos_id is not None, "id": tokenizer.bos_id},
        "eos": {"after_each": order.eos_id is not None, "id": tokenizer.eos_id},
        "selection": {
            "min_tokens": order.min_tokens,
            "documents_asked": order.documents,
            "seed": order.seed,
            "long_enough": tally.long_enough,
            "taken": len(documents),
        },
        "account": {
            "found": len(documents) + dropped.total(),
            "kept": len(documents),
            "dropped": dict(sorted(dropped.items())),
        },
        "lengths": lengths_of([document.tokens for document in documents]),
        "left_out": [dataclasses.asdict(skip) for skip in skips[:MOST_LISTED]],
        "plan": plan,
        "made_by": f"longqa {version('longqa')}",
    }
